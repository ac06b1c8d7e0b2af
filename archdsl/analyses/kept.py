"""What autograd keeps for the backward pass, tensor by tensor.

Every layer says which of its inputs and outputs it keeps. A tensor kept twice counts once, whoever keeps it: the ReLU's
output that the next convolution keeps as its input is one tensor. So the tally goes by storage: views resolve to the
tensor they look into, and a block's summary names which of its own inputs and outputs are kept, so that its caller can
go on counting. Parameters and buffers are not counted. Nothing is kept where no gradient flows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self, cast

from archdsl.analyses.walk import closing, is_alias, merged, product, sizes
from archdsl.ir.graph import Branches, Call, Chain, Extern, Graph, Node, Prim, Unit, Wire, all_graphs
from archdsl.ops.merge import broadcast
from archdsl.ops.op import Attrs, Op, Saved

_PAIRWISE = ("mul", "max", "min")  # two tensors after the other, from the left


@dataclass(frozen=True, slots=True)
class Bytes:
    """An amount of memory that grows with the batch: so much a sample, and so much whatever the batch."""

    per_sample: int = 0
    per_batch: int = 0

    def at(self, batch: int) -> int:
        """Bytes for a batch of that size."""
        return self.per_sample * batch + self.per_batch

    def most(self, other: Bytes) -> Bytes:
        """The greater of two, by a sample, then by the rest."""
        return max(self, other, key=lambda b: (b.per_sample, b.per_batch))

    def __add__(self, other: Bytes) -> Bytes:
        return Bytes(self.per_sample + other.per_sample, self.per_batch + other.per_batch)

    def __sub__(self, other: Bytes) -> Bytes:
        return Bytes(self.per_sample - other.per_sample, self.per_batch - other.per_batch)

    def __mul__(self, times: int) -> Bytes:
        return Bytes(self.per_sample * times, self.per_batch * times)


@dataclass(frozen=True, slots=True)
class Output:
    """What a caller must know of a block's output.

    source: the input whose memory it is; twin: the earlier output it is the same tensor as; saved: kept inside the
    block; grad: whether a gradient flows through it.
    """

    source: int | None
    twin: int | None
    saved: bool
    grad: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """What a block keeps: `inside` beside its inputs and outputs, which inputs, and its outputs one by one."""

    inside: Bytes
    inputs: frozenset[int]
    outputs: tuple[Output, ...]

    def inside_of_network(self, graph: Graph) -> Bytes:
        """Everything kept, where the graph is the whole network: nobody else counts its inputs and outputs."""
        kept_inputs = [size_of(graph.inputs[i]) for i in self.inputs]
        own = [o.saved and o.source is None and o.twin is None for o in self.outputs]
        kept_outputs = [size_of(wire) for wire, counted in zip(graph.outputs, own, strict=True) if counted]
        result = self.inside
        for part in (*kept_inputs, *kept_outputs):
            result += part
        return result


def kept(graph: Graph) -> Kept:
    """What a network keeps in training when its input needs no gradient."""
    for inner in all_graphs(graph):  # callees first, so that the usual case needs no recursion
        kept_in(inner, (True,) * len(inner.inputs))
    return kept_in(graph, (False,) * len(graph.inputs))


def kept_in(graph: Graph, grads: tuple[bool, ...]) -> Kept:
    """What a graph keeps where its inputs do or do not carry gradients."""
    key = f"kept:{grads}"
    if key not in graph.cache:
        graph.cache[key] = Tape().run(graph, grads).summary()
    return cast("Kept", graph.cache[key])


def size_of(wire: Wire) -> Bytes:
    """The memory of one tensor."""
    size = 4 * product(wire.values)
    return Bytes(size, 0) if wire.batched else Bytes(0, size)


@dataclass(eq=False, slots=True)
class _Storage:
    """The memory behind one tensor, or behind each of `copies` equal ones in a run of repeated units."""

    size: Bytes
    copies: int
    grad: bool
    saved: bool = False


@dataclass(frozen=True, slots=True)
class _Made:
    """What one application put on the tape: storages `first` to `last`, and further bytes."""

    first: int
    last: int
    extra: Bytes
    came: list[_Storage]
    outs: list[_Storage]


@dataclass(eq=False, slots=True)
class Tape:
    """The storages of one graph, gathered in the order in which its layers run."""

    inner: list[_Storage] = field(default_factory=list[_Storage])
    extra: Bytes = Bytes()
    inputs: list[_Storage] = field(default_factory=list[_Storage])
    outputs: list[_Storage] = field(default_factory=list[_Storage])
    made: dict[int, list[_Made]] = field(default_factory=dict[int, list["_Made"]])

    def run(self, graph: Graph, grads: tuple[bool, ...]) -> Self:
        """Goes through a graph whose inputs carry gradients or not."""
        self.inputs = [_Storage(size_of(wire), 1, grad) for wire, grad in zip(graph.inputs, grads, strict=True)]
        known = {id(wire): storage for wire, storage in zip(graph.inputs, self.inputs, strict=True)}
        for node in graph.nodes:
            outs = self.apply(node, [known[id(wire)] for wire in node.inputs], 1)
            known.update((id(wire), storage) for wire, storage in zip(node.outputs, outs, strict=False))
        self.outputs = [known[id(wire)] for wire in graph.outputs]
        return self

    def summary(self) -> Kept:
        """What the graph's callers must know."""
        inside = self.extra
        for storage in self.inner:
            if storage.saved and storage not in self.outputs:
                inside += storage.size * storage.copies
        saved = frozenset(i for i, storage in enumerate(self.inputs) if storage.saved)
        return Kept(inside, saved, tuple(_output(k, self.outputs, self.inputs) for k in range(len(self.outputs))))

    def keep_outputs(self, saved: tuple[bool, ...]) -> None:
        """Marks the outputs that are kept outside of the graph."""
        for storage, kept_outside in zip(self.outputs, saved, strict=False):
            storage.saved = storage.saved or kept_outside

    def kept_at(self, node: Node) -> Bytes:
        """What is kept of the tensors that `node` made, in all its places together."""
        result = Bytes()
        for made in self.made.get(id(node), ()):
            result += made.extra
            for storage in self.inner[made.first : made.last]:
                if storage.saved:
                    result += storage.size * storage.copies
        return result

    def state_at(self, node: Node) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
        """Whether the node's inputs carry gradients, and whether its outputs are kept in the end."""
        made = self.made[id(node)][-1]
        return tuple(s.grad for s in made.came), tuple(s.saved for s in made.outs)

    def new(self, size: Bytes, copies: int, grad: bool) -> _Storage:
        storage = _Storage(size, copies, grad)
        self.inner.append(storage)
        return storage

    def apply(self, node: Node, came: list[_Storage], copies: int) -> list[_Storage]:
        """The storages of a node's outputs when `came` goes in, in `copies` equal places at once."""
        first, before = len(self.inner), self.extra
        outs = self.applied(node, came, copies)
        made = _Made(first, len(self.inner), self.extra - before, came, outs)
        self.made.setdefault(id(node), []).append(made)
        return outs

    def applied(self, node: Node, came: list[_Storage], copies: int) -> list[_Storage]:
        what = node.what
        if isinstance(what, Chain):
            return self.chain(what, came, copies)
        if isinstance(what, Branches):
            parallel = [out for branch in what.branches for out in self.chain(branch, came, copies)]
            return self.prim(what.merge, merged(node, what), parallel, node.outputs, copies)
        if isinstance(what, Call):
            return self.call(what, node, came, copies)
        if isinstance(what, Extern):
            return [self.new(size_of(wire), copies, grad=True) for wire in node.outputs]
        if what.body is not None:
            came = self.chain(what.body, came, copies)
        return self.prim(what, node.inputs, came, node.outputs, copies)

    def chain(self, chain: Chain, came: list[_Storage], copies: int) -> list[_Storage]:
        for unit in chain.units():
            came = self.repeat(unit, came, copies)
        return came

    def repeat(self, unit: Unit, came: list[_Storage], copies: int) -> list[_Storage]:
        """The first and the last of a run of equal units stand alone, those between as one with a count."""
        runs = [1] * unit.count if unit.count < 3 else [1, unit.count - 2, 1]
        for run in runs:
            came = self.apply(unit.node, came, copies * run)
        return came

    def call(self, call: Call, node: Node, came: list[_Storage], copies: int) -> list[_Storage]:
        graph = call.graph
        found = kept_in(graph, tuple(storage.grad for storage in came))
        self.extra += found.inside * copies
        for i in found.inputs:
            came[i].saved = True
        outs: list[_Storage] = []
        for wire, output in zip(graph.outputs, found.outputs, strict=True):
            outs.append(self.output(output, wire, came, outs, copies))
        join = closing(node, graph)
        return outs if join is None else self.prim(join, graph.outputs, outs, node.outputs, copies)

    def output(self, output: Output, wire: Wire, came: list[_Storage], outs: list[_Storage], copies: int) -> _Storage:
        if output.source is not None:
            return came[output.source]
        if output.twin is not None:
            return outs[output.twin]
        storage = self.new(size_of(wire), copies, output.grad)
        storage.saved = output.saved
        return storage

    def prim(
        self, prim: Prim, inputs: Sequence[Wire], came: list[_Storage], outputs: tuple[Wire, ...], copies: int
    ) -> list[_Storage]:
        shapes, attrs = sizes(tuple(inputs)), prim.plain
        if came and (is_alias(prim.op, attrs, len(came)) or _hands_on(prim.op, attrs)):
            return [came[0]] * len(outputs)
        learned = any(weight.trainable for weight in prim.op.weights(shapes, attrs))
        grad = learned or any(storage.grad for storage in came)
        source = not came and learned  # the weight itself is the output
        outs = [self.new(Bytes() if source else size_of(wire), copies, grad) for wire in outputs]
        if grad and not source and prim.op.name in _PAIRWISE:
            self.save_pairs(prim.op.name, inputs, came, copies)
        elif grad and not source:
            self.save(prim.op.saved(shapes, attrs), came, outs, learned, copies)
        return outs

    def save_pairs(self, name: str, inputs: Sequence[Wire], came: list[_Storage], copies: int) -> None:
        """Marks what is kept where two tensors after the other meet, and adds the results in between.

        A factor is kept for the gradient of the other one; both of a maximum are kept for the gradient of either.
        """
        left, grad = inputs[0], came[0].grad
        for i, (wire, storage) in enumerate(zip(inputs[1:], came[1:], strict=True), 1):
            keeps_right = grad if name == "mul" else grad or storage.grad
            keeps_left = storage.grad if name == "mul" else keeps_right
            storage.saved = storage.saved or keeps_right
            if keeps_left and i == 1:
                came[0].saved = True
            elif keeps_left:
                self.extra += size_of(left) * copies
            shape = broadcast(left.shape, wire.shape) or left.shape
            left, grad = Wire(shape, batched=left.batched or wire.batched), grad or storage.grad

    def save(self, saved: Saved, came: list[_Storage], outs: list[_Storage], learned: bool, copies: int) -> None:
        """Marks what one primitive keeps. A factor is kept only for the gradient of the others or of the weights."""
        for i in saved.inputs:
            if learned or len(came) == 1 or any(s.grad for k, s in enumerate(came) if k != i):
                came[i].saved = True
        for storage in outs if saved.output else ():
            storage.saved = True
        self.extra += Bytes(saved.per_sample, saved.per_batch) * copies


def _hands_on(op: Op, attrs: Attrs) -> bool:
    """Whether training, and not evaluation, hands on the input: the result of a layer that survives as it is."""
    return op.name == "stochastic_depth" and attrs["per"] == "batch" and not attrs["rescale"]


def _output(k: int, outs: list[_Storage], inputs: list[_Storage]) -> Output:
    storage = outs[k]
    source = next((i for i, s in enumerate(inputs) if s is storage), None)
    twin = next((j for j in range(k) if outs[j] is storage), None)
    return Output(source, None if source is not None else twin, storage.saved, storage.grad)

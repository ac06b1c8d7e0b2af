"""What autograd keeps for the backward pass, tensor by tensor.

Every layer says which of its inputs and outputs it keeps. A tensor kept twice counts once, whoever keeps it: the ReLU's
output that the next convolution keeps as its input is one tensor. So the tally goes by storage: views resolve to the
memory they look into, and a block's summary names which of its own inputs and outputs are kept, so that its caller can
go on counting. A layer that cannot read a view as it lies keeps a copy (`layout.py`). Parameters and buffers are not
counted. Nothing is kept where no gradient flows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self, cast

from archdsl.analyses.layout import Layout, copied, repeated, viewed, written
from archdsl.analyses.walk import Sizes, closing, ends, is_alias, merged, product, sizes
from archdsl.ir.graph import Branches, Call, Chain, Extern, Graph, Node, Prim, Unit, Wire, all_graphs
from archdsl.ops.merge import broadcast
from archdsl.ops.op import Attrs, Op, Saved

_TURNS = 12  # equal units in a row that are looked at one by one, where each changes the layout
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
class Way:
    """How a tensor comes in: whether a gradient flows through it, and how it lies in memory."""

    grad: bool
    layout: Layout = None


@dataclass(frozen=True, slots=True)
class Output:
    """What a caller must know of a block's output.

    source: the input whose memory it is; twin: the earlier output whose memory it is; saved: kept inside the block;
    size: all of the memory, of which a view is a part; way: how it goes on.
    """

    source: int | None
    twin: int | None
    saved: bool
    size: Bytes
    way: Way


@dataclass(frozen=True, slots=True)
class Kept:
    """What a block keeps: `inside` beside its inputs and outputs, which inputs, and its outputs one by one."""

    inside: Bytes
    inputs: frozenset[int]
    outputs: tuple[Output, ...]

    def inside_of_network(self, graph: Graph) -> Bytes:
        """Everything kept, where the graph is the whole network: nobody else counts its inputs and outputs."""
        kept_inputs = [size_of(graph.inputs[i]) for i in self.inputs]
        kept_outputs = [o.size for o in self.outputs if o.saved and o.source is None and o.twin is None]
        return sum((*kept_inputs, *kept_outputs), self.inside)


def kept(graph: Graph) -> Kept:
    """What a network keeps in training when its input needs no gradient."""
    for inner in all_graphs(graph):  # callees first, so that the usual case needs no recursion
        kept_in(inner, usual(inner))
    return kept_in(graph, (Way(grad=False),) * len(graph.inputs))


def usual(graph: Graph) -> tuple[Way, ...]:
    """Inputs with gradients, laid plainly."""
    return (Way(grad=True),) * len(graph.inputs)


def kept_in(graph: Graph, ways: tuple[Way, ...]) -> Kept:
    """What a graph keeps where its inputs come in such ways."""
    key = f"kept:{ways}"
    if key not in graph.cache:
        graph.cache[key] = Tape().run(graph, ways).summary()
    return cast("Kept", graph.cache[key])


def size_of(wire: Wire) -> Bytes:
    """The memory of one tensor."""
    size = 4 * product(wire.values)
    return Bytes(size, 0) if wire.batched else Bytes(0, size)


@dataclass(eq=False, slots=True)
class Storage:
    """The memory behind one tensor, or behind each of `copies` equal ones in a run of repeated units."""

    size: Bytes
    copies: int
    saved: bool = False


@dataclass(eq=False, slots=True)
class Tensor:
    """A tensor: the memory it lies in, or looks into, and how it goes on."""

    storage: Storage
    way: Way


@dataclass(frozen=True, slots=True)
class _Made:
    """What one application put on the tape: storages `first` to `last`, and further bytes."""

    first: int
    last: int
    extra: Bytes
    came: list[Tensor]
    outs: list[Tensor]


@dataclass(eq=False, slots=True)
class Tape:
    """The storages of one graph, gathered in the order in which its layers run."""

    inner: list[Storage] = field(default_factory=list[Storage])
    extra: Bytes = Bytes()
    inputs: list[Tensor] = field(default_factory=list[Tensor])
    outputs: list[Tensor] = field(default_factory=list[Tensor])
    made: dict[int, list[_Made]] = field(default_factory=dict[int, list["_Made"]])

    def run(self, graph: Graph, ways: tuple[Way, ...]) -> Self:
        """Goes through a graph whose inputs come in such ways."""
        self.inputs = [Tensor(Storage(size_of(wire), 1), way) for wire, way in zip(graph.inputs, ways, strict=True)]
        known = {id(wire): tensor for wire, tensor in zip(graph.inputs, self.inputs, strict=True)}
        for node in graph.nodes:
            outs = self.apply(node, [known[id(wire)] for wire in node.inputs], 1)
            known.update((id(wire), tensor) for wire, tensor in zip(node.outputs, outs, strict=False))
        self.outputs = [known[id(wire)] for wire in graph.outputs]
        return self

    def summary(self) -> Kept:
        """What the graph's callers must know."""
        inside, handed_on = self.extra, [tensor.storage for tensor in self.outputs]
        for storage in self.inner:
            if storage.saved and storage not in handed_on:
                inside += storage.size * storage.copies
        saved = frozenset(i for i, tensor in enumerate(self.inputs) if tensor.storage.saved)
        return Kept(inside, saved, tuple(_output(k, self.outputs, self.inputs) for k in range(len(self.outputs))))

    def keep_outputs(self, saved: tuple[bool, ...]) -> None:
        """Marks the outputs that are kept outside of the graph."""
        for tensor, kept_outside in zip(self.outputs, saved, strict=False):
            tensor.storage.saved = tensor.storage.saved or kept_outside

    def kept_at(self, node: Node) -> Bytes:
        """What is kept of the tensors that `node` made, in all its places together."""
        result = Bytes()
        for made in self.made.get(id(node), ()):
            result += made.extra
            for storage in self.inner[made.first : made.last]:
                if storage.saved:
                    result += storage.size * storage.copies
        return result

    def state_at(self, node: Node) -> tuple[tuple[Way, ...], tuple[bool, ...]]:
        """How the node's inputs come in, and whether its outputs are kept in the end."""
        made = self.made[id(node)][-1]
        return tuple(tensor.way for tensor in made.came), tuple(tensor.storage.saved for tensor in made.outs)

    def keep(self, tensor: Tensor) -> None:
        """Marks the memory of a tensor as kept."""
        tensor.storage.saved = True

    def new(self, size: Bytes, copies: int, way: Way) -> Tensor:
        storage = Storage(size, copies)
        self.inner.append(storage)
        return Tensor(storage, way)

    def apply(self, node: Node, came: list[Tensor], copies: int) -> list[Tensor]:
        """The storages of a node's outputs when `came` goes in, in `copies` equal places at once."""
        first, before = len(self.inner), self.extra
        outs = self.applied(node, came, copies)
        made = _Made(first, len(self.inner), self.extra - before, came, outs)
        self.made.setdefault(id(node), []).append(made)
        return outs

    def applied(self, node: Node, came: list[Tensor], copies: int) -> list[Tensor]:
        what = node.what
        if isinstance(what, Chain):
            return self.chain(what, came, copies)
        if isinstance(what, Branches):
            parallel = [out for branch in what.branches for out in self.chain(branch, came, copies)]
            return self.prim(what.merge, merged(node, what), parallel, node.outputs, copies)
        if isinstance(what, Call):
            return self.call(what, node, came, copies)
        if isinstance(what, Extern):
            return [self.new(size_of(wire), copies, Way(grad=True)) for wire in node.outputs]
        if what.body is None:
            return self.prim(what, node.inputs, came, node.outputs, copies)
        came = self.chain(what.body, came, copies)
        return self.prim(what, ends(what.body, node.inputs), came, node.outputs, copies)

    def chain(self, chain: Chain, came: list[Tensor], copies: int) -> list[Tensor]:
        for unit in chain.units():
            came = self.repeat(unit, came, copies)
        return came

    def repeat(self, unit: Unit, came: list[Tensor], copies: int) -> list[Tensor]:
        """The first and the last of a run of equal units stand alone, those between as one with a count.

        The first ones stand alone until what comes in is like what went in; a layout may turn a few times before.
        """
        left = unit.count
        while left > 2 and unit.count - left < _TURNS:
            ways = [tensor.way for tensor in came]
            came, left = self.apply(unit.node, came, copies), left - 1
            if ways == [tensor.way for tensor in came]:
                break
        for run in [1] * left if left < 3 else [left - 1, 1]:
            came = self.apply(unit.node, came, copies * run)
        return came

    def call(self, call: Call, node: Node, came: list[Tensor], copies: int) -> list[Tensor]:
        graph = call.graph
        found = kept_in(graph, tuple(tensor.way for tensor in came))
        self.extra += found.inside * copies
        for i in found.inputs:
            self.keep(came[i])
        outs: list[Tensor] = []
        for output in found.outputs:
            outs.append(self.output(output, came, outs, copies))
        join = closing(node, graph)
        return outs if join is None else self.prim(join, graph.outputs, outs, node.outputs, copies)

    def output(self, output: Output, came: list[Tensor], outs: list[Tensor], copies: int) -> Tensor:
        if output.source is not None:
            return Tensor(came[output.source].storage, output.way)
        if output.twin is not None:
            return Tensor(outs[output.twin].storage, output.way)
        tensor = self.new(output.size, copies, output.way)
        tensor.storage.saved = output.saved
        return tensor

    def prim(
        self, prim: Prim, inputs: Sequence[Wire], came: list[Tensor], outputs: tuple[Wire, ...], copies: int
    ) -> list[Tensor]:
        shapes, attrs, name = sizes(tuple(inputs)), prim.plain, prim.op.name
        if came and (is_alias(prim.op, attrs, len(came)) or hands_on(prim.op, attrs)):
            return [self.view(name, attrs, shapes[0], came[0], wire, copies) for wire in outputs]
        came = self.read(name, inputs, came, copies)
        layouts = [tensor.way.layout for tensor in came]
        learned = any(weight.trainable for weight in prim.op.weights(shapes, attrs))
        grad = learned or any(tensor.way.grad for tensor in came)
        if not came:  # the weight itself is the output
            return [self.new(Bytes(), copies, Way(grad, repeated(wire.values))) for wire in outputs]
        ways = [Way(grad, written(name, attrs, shapes, layouts, wire.values)) for wire in outputs]
        outs = [self.new(size_of(wire), copies, way) for wire, way in zip(outputs, ways, strict=True)]
        if grad and name in _PAIRWISE:
            self.save_pairs(name, inputs, came, copies)
        elif grad:
            self.save(prim.op.saved(shapes, attrs), came, outs, learned, copies)
        return outs

    def view(self, name: str, attrs: Attrs, shape: Sizes, came: Tensor, wire: Wire, copies: int) -> Tensor:
        layout, copy = viewed(name, attrs, shape, came.way.layout, wire.values)
        way = Way(came.way.grad, layout)
        return self.new(size_of(wire), copies, way) if copy else Tensor(came.storage, way)

    def read(self, name: str, inputs: Sequence[Wire], came: list[Tensor], copies: int) -> list[Tensor]:
        """What a layer reads: the tensors as they come, or copies where it has to make them."""
        if all(tensor.way.layout is None for tensor in came):
            return came
        copy = copied(name, sizes(tuple(inputs)), [tensor.way.layout for tensor in came])
        return [
            self.new(Bytes(4 * product(wire.values)), copies, Way(tensor.way.grad)) if copies_it else tensor
            for wire, tensor, copies_it in zip(inputs, came, copy, strict=True)
        ]

    def save_pairs(self, name: str, inputs: Sequence[Wire], came: list[Tensor], copies: int) -> None:
        """Marks what is kept where two tensors after the other meet, and adds the results in between.

        A factor is kept for the gradient of the other one; both of a maximum are kept for the gradient of either.
        """
        left, grad = inputs[0], came[0].way.grad
        for i, (wire, tensor) in enumerate(zip(inputs[1:], came[1:], strict=True), 1):
            keeps_right = grad if name == "mul" else grad or tensor.way.grad
            keeps_left = tensor.way.grad if name == "mul" else keeps_right
            if keeps_right:
                self.keep(tensor)
            if keeps_left and i == 1:
                self.keep(came[0])
            elif keeps_left:
                self.extra += size_of(left) * copies
            shape = broadcast(left.shape, wire.shape) or left.shape
            left, grad = Wire(shape, batched=left.batched or wire.batched), grad or tensor.way.grad

    def save(self, saved: Saved, came: list[Tensor], outs: list[Tensor], learned: bool, copies: int) -> None:
        """Marks what one primitive keeps. A factor is kept only for the gradient of the others or of the weights."""
        for i in saved.inputs:
            if learned or len(came) == 1 or any(tensor.way.grad for k, tensor in enumerate(came) if k != i):
                self.keep(came[i])
        for tensor in outs if saved.output else ():
            self.keep(tensor)
        self.extra += Bytes(saved.per_sample, saved.per_batch) * copies


def hands_on(op: Op, attrs: Attrs) -> bool:
    """Whether training, and not evaluation, hands on the input: the result of a layer that survives as it is."""
    return op.name == "stochastic_depth" and attrs["per"] == "batch" and not attrs["rescale"]


def _output(k: int, outs: list[Tensor], inputs: list[Tensor]) -> Output:
    storage, way = outs[k].storage, outs[k].way
    source = next((i for i, tensor in enumerate(inputs) if tensor.storage is storage), None)
    twin = next((j for j in range(k) if outs[j].storage is storage), None)
    return Output(source, None if source is not None else twin, storage.saved, storage.size, way)

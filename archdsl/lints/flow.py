"""Who reads whose output, over a whole network: the view of the graph that structural rules look at.

Block borders, chains and branches vanish here; what remains are the primitives, each once for every distinct form
of a block, with the primitives before and after it in all places where the block is applied. A unit that is
repeated also follows itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Union, cast

from archdsl.analyses.walk import Sizes, closing, ends, merged, sizes
from archdsl.ir.graph import Branches, Call, Chain, Extern, Graph, Node, Prim, Unit, Wire, all_graphs, plain
from archdsl.ops.op import Value
from archdsl.scalar import Scalar
from archdsl.source import Span

ACTIVATIONS = frozenset(
    {"relu", "relu6", "leaky_relu", "prelu", "elu", "selu", "gelu", "silu", "sigmoid", "tanh"}
    | {"hard_sigmoid", "hard_swish", "hard_tanh", "maxout"}
)
RECTIFIERS = frozenset({"relu", "relu6"})
NORMS = frozenset({"bn", "ln", "gn", "instance_norm"})
CONVS = frozenset({"conv", "conv_transpose", "conv_table", "depthwise"})
ADDS = frozenset({"add", "sum"})
GLOBAL_POOLS = frozenset({"global_avg_pool", "global_max_pool", "adaptive_avg_pool", "adaptive_max_pool"})
VIEWS = frozenset({"flatten", "reshape", "identity"})


@dataclass(eq=False, slots=True)
class Step:
    """One primitive of the network, or one of its ends: `name` is then "input", "output", "auxiliary" or "extern".

    sources: for each input the primitives it may come from; readers: all primitives that read an output.
    span: the user's own place; node and graph: where it stands.
    """

    name: str
    attrs: dict[str, Value]
    raw: dict[str, Value]
    node: Node | None
    graph: Graph
    span: Span
    inputs: tuple[Sizes, ...] = ()
    outputs: tuple[Sizes, ...] = ()
    sources: list[list[Step]] = field(default_factory=list[list["Step"]])
    readers: list[Step] = field(default_factory=list["Step"])
    _before: list[Step] | None = None

    def __repr__(self) -> str:
        return f"<{self.name} in {self.graph.name}>"

    def number(self, name: str) -> int:
        """A whole-number attribute, the larger of two where it is a pair; 1 where there is none."""
        value = self.attrs.get(name, 1)
        if type(value) is int:
            return value
        parts = value if isinstance(value, tuple) else (value,)
        return max((int(cast("int", p)) for p in parts if isinstance(p, int)), default=1)

    def is_pointwise(self) -> bool:
        """Whether it is a 1×1 convolution."""
        return self.name == "conv" and self.number("kernel") == 1

    def before(self) -> list[Step]:
        """All primitives that any input comes from."""
        if self._before is None:  # nearly every rule asks, once the flow is whole
            self._before = [step for sources in self.sources for step in sources]
        return self._before

    def given(self, name: str) -> bool:
        """Whether an attribute is a constant of the text rather than computed from parameters."""
        value = self.raw.get(name)
        return not (isinstance(value, Scalar) and value.expr is not None)


# A tensor's origin inside one graph: an input of the graph, or output `k` of something in it.
_Origin = Union[int, tuple["Step", int], tuple["_Applied", int]]
_Origins = list[_Origin]


@dataclass(eq=False, slots=True)
class _Applied:
    """A block applied in a graph."""

    graph: Graph
    span: Span
    inputs: list[_Origins]


@dataclass(eq=False, slots=True)
class _Local:
    """One graph by itself: its primitives and block applications, and where its outputs come from."""

    graph: Graph
    steps: list[tuple[Step, list[_Origins]]] = field(default_factory=list[tuple[Step, list["_Origins"]]])
    applied: list[_Applied] = field(default_factory=list[_Applied])
    wires: dict[int, _Origins] = field(default_factory=dict[int, "_Origins"])

    def read(self) -> _Local:
        for i, wire in enumerate(self.graph.inputs):
            self.wires[id(wire)] = [i]
        for node in self.graph.nodes:
            outs = self.place(node, [self.wires.get(id(wire), []) for wire in node.inputs])
            self.wires.update((id(wire), out) for wire, out in zip(node.outputs, outs, strict=False))
        return self

    def place(self, node: Node, came: list[_Origins]) -> list[_Origins]:
        what = node.what
        if isinstance(what, Chain):
            return self.chain(what, came)
        if isinstance(what, Branches):
            parallel = [end for branch in what.branches for end in self.chain(branch, came)]
            return self.step(what.merge, node, merged(node, what), parallel)
        if isinstance(what, Call):
            return self.call(what, node, came)
        if isinstance(what, Prim) and what.body is not None:
            return self.step(what, node, ends(what.body, node.inputs), self.chain(what.body, came))
        return self.step(what, node, node.inputs, came)

    def chain(self, chain: Chain, came: list[_Origins]) -> list[_Origins]:
        for unit in chain.units():
            came = self.unit(unit, came)
        return came

    def unit(self, unit: Unit, came: list[_Origins]) -> list[_Origins]:
        if unit.count == 1:
            return self.place(unit.node, came)
        coming = list(came[0])
        outs = self.place(unit.node, [coming])
        if outs[0] is not coming:
            coming.extend(outs[0])  # every copy but the first reads the one before it
        return outs

    def call(self, what: Call, node: Node, came: list[_Origins]) -> list[_Origins]:
        applied = _Applied(what.graph, node.span, came)
        self.applied.append(applied)
        outs: list[_Origins] = [[(applied, k)] for k in range(len(what.graph.outputs))]
        join = closing(node, what.graph)
        return outs if join is None else self.step(join, node, what.graph.outputs, outs)

    def step(self, what: Prim | Extern, node: Node, wires: tuple[Wire, ...], came: list[_Origins]) -> list[_Origins]:
        raw, attrs = (what.attrs, what.plain) if isinstance(what, Prim) else (what.args, plain(what.args))
        name = what.op.name if isinstance(what, Prim) else "extern"
        step = Step(name, attrs, raw, node, self.graph, node.span, sizes(wires), sizes(node.outputs))
        self.steps.append((step, came))
        return [[(step, k)] for k in range(len(node.outputs))]


@dataclass(eq=False, slots=True)
class Flow:
    """All primitives of a network, callers before the blocks they call, and the network's ends."""

    root: Graph
    steps: list[Step]
    input: Step
    output: Step
    auxiliary: Step
    _present: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self._present = {step.name for step in self.steps}

    def named(self, names: Iterable[str]) -> Iterator[Step]:
        """The steps of these primitives."""
        wanted = self._present.intersection(names)  # of what most rules are about, a network has nothing
        return (step for step in self.steps if step.name in wanted) if wanted else iter(())


def flow(root: Graph) -> Flow:
    """The flow of a network; made once."""
    if "flow" not in root.cache:
        root.cache["flow"] = _Builder(root).build()
    return cast("Flow", root.cache["flow"])


class _Builder:
    def __init__(self, root: Graph) -> None:
        self.root = root
        self.order = all_graphs(root)
        self.local = {id(graph): _Local(graph).read() for graph in self.order}
        self.tails: dict[int, list[_Origins]] = {}
        self.arriving: dict[int, list[dict[int, Step]]] = {id(g): [{} for _ in g.inputs] for g in self.order}
        self.blamed: dict[int, Span] = {}
        span = root.span or (root.nodes[0].span if root.nodes else None)
        self.ends = [Step(name, {}, {}, None, root, cast("Span", span)) for name in ("input", "output", "auxiliary")]

    def build(self) -> Flow:
        for graph in self.order:  # callees first: what their outputs come from
            local = self.local[id(graph)]
            self.tails[id(graph)] = [self.resolved(local.wires.get(id(w), [])) for w in graph.outputs]
        for arriving in self.arriving[id(self.root)]:
            arriving[id(self.ends[0])] = self.ends[0]
        for graph in reversed(self.order):  # callers first: what arrives at their inputs
            self.connect(self.local[id(graph)])
        self.finish()
        steps = [step for graph in reversed(self.order) for step, _ in self.local[id(graph)].steps]
        return Flow(self.root, steps, *self.ends)

    def resolved(self, origins: _Origins) -> _Origins:
        """The origins with block applications looked through: inputs of the graph and primitives remain."""
        if len(origins) == 1 and (isinstance(origins[0], int) or isinstance(origins[0][0], Step)):
            return origins  # as most are
        found: dict[object, _Origin] = {}
        todo, seen = list(reversed(origins)), set[tuple[int, int]]()
        while todo:
            origin = todo.pop()
            if isinstance(origin, int):
                found[origin] = origin
            elif isinstance(origin[0], Step):
                found[id(origin[0])] = origin
            elif (id(origin[0]), origin[1]) not in seen:
                seen.add((id(origin[0]), origin[1]))
                todo += self.through(origin[0], origin[1])
        return list(found.values())

    def through(self, applied: _Applied, k: int) -> _Origins:
        result: _Origins = []
        for tail in reversed(self.tails[id(applied.graph)][k]):
            result += reversed(applied.inputs[tail]) if isinstance(tail, int) else [tail]
        return result

    def connect(self, local: _Local) -> None:
        graph = local.graph
        for step, inputs in local.steps:
            step.span = self.blame(graph, step.span)
            for origins in inputs:
                sources = self.steps_of(graph, origins)
                step.sources.append(sources)
                for source in sources:
                    source.readers.append(step)
        for applied in local.applied:
            self.blamed.setdefault(id(applied.graph), self.blame(graph, applied.span))
            for slot, origins in zip(self.arriving[id(applied.graph)], applied.inputs, strict=False):
                slot.update((id(step), step) for step in self.steps_of(graph, origins))

    def steps_of(self, graph: Graph, origins: _Origins) -> list[Step]:
        found: dict[int, Step] = {}
        for origin in self.resolved(origins):
            if isinstance(origin, int):
                found.update(self.arriving[id(graph)][origin])
            else:
                step = cast("Step", origin[0])
                found[id(step)] = step
        return list(found.values())

    def blame(self, graph: Graph, span: Span) -> Span:
        """The user's own place: where the library was called, for a place inside it."""
        return self.blamed.get(id(graph), span) if span.source.library else span

    def heads(self) -> tuple[Wire, ...]:
        return tuple(auxiliary.wire for auxiliary in self.root.auxiliaries)

    def finish(self) -> None:
        known = self.local[id(self.root)].wires
        for end, wires in zip(self.ends[1:], (self.root.outputs, self.heads()), strict=True):
            for wire in wires:
                sources = self.steps_of(self.root, known.get(id(wire), []))
                end.sources.append(sources)
                for source in sources:
                    source.readers.append(end)


def back(steps: Iterable[Step], through: Iterable[str]) -> list[Step]:
    """The steps, with those named in `through` replaced by what they read, again and again."""
    return _follow(steps, frozenset(through), Step.before)


def ahead(steps: Iterable[Step], through: Iterable[str]) -> list[Step]:
    """The steps, with those named in `through` replaced by what reads them, again and again."""
    return _follow(steps, frozenset(through), _readers)


def _follow(steps: Iterable[Step], through: frozenset[str], nexts: Callable[[Step], list[Step]]) -> list[Step]:
    found: dict[int, Step] = {}
    seen: set[int] = set()
    todo = list(steps)
    while todo:
        step = todo.pop()
        if id(step) in seen:
            continue
        seen.add(id(step))
        if step.name in through:
            todo += nexts(step)
        else:
            found[id(step)] = step
    return list(found.values())


def upstream(steps: Iterable[Step]) -> dict[int, Step]:
    """Everything that the steps depend on, themselves included, by identity."""
    return _closure(steps, Step.before)


def downstream(steps: Iterable[Step]) -> dict[int, Step]:
    """Everything that depends on the steps, themselves included, by identity."""
    return _closure(steps, _readers)


_readers: Callable[[Step], list[Step]] = attrgetter("readers")


def _closure(steps: Iterable[Step], nexts: Callable[[Step], list[Step]]) -> dict[int, Step]:
    found: dict[int, Step] = {}
    todo = list(steps)
    while todo:
        step = todo.pop()
        if id(step) not in found:
            found[id(step)] = step
            todo += nexts(step)
    return found

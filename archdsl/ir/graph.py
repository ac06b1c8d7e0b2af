"""The checked network: a nested graph, one `Graph` per distinct block call.

The graph stays nested: a block application is a `Call` that holds the block's own `Graph`, analysed once however often
it is applied. Everything inside a `Graph` is said in the block's own terms: dimensions and attributes are `Scalar`s
whose expressions use only the graph's own symbols (its parameters and `in_channels`-like input dimensions). A `Call`
binds those symbols to values in the caller's terms, so a graph never depends on where it is used.

Shapes are per sample, without the batch dimension.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Union, cast

from archdsl.ops.op import Op, Shape, Value
from archdsl.scalar import Scalar
from archdsl.source import Span


@dataclass(eq=False, slots=True)
class Wire:
    """One tensor inside a graph: an input of the graph or an output of a node. Identity is what counts.

    name: what the block's text calls it, or "" for an intermediate value.
    batched: false for a learned tensor, which has no batch dimension.
    """

    shape: Shape
    name: str = ""
    span: Span | None = None
    batched: bool = True
    _values: tuple[int, ...] | None = field(default=None, init=False, repr=False)

    @property
    def values(self) -> tuple[int, ...]:
        """The shape as plain ints."""
        if self._values is None:
            self._values = tuple([int(d) for d in self.shape])
        return self._values


def plain(attrs: dict[str, Value]) -> dict[str, Value]:
    """Attributes without the expressions that made them."""
    return {name: value.value if isinstance(value, Scalar) else _plain_value(value) for name, value in attrs.items()}


def _plain_value(value: Value) -> Value:
    if isinstance(value, tuple):
        return tuple([_plain_value(item) for item in value])
    return value.value if isinstance(value, Scalar) else value


@dataclass(eq=False, slots=True)
class Prim:
    """An application of a primitive."""

    op: Op
    attrs: dict[str, Value]
    # for a primitive that wraps a layer (stochastic depth): that layer, as a chain from the same input
    body: Chain | None = None
    _plain: dict[str, Value] | None = field(default=None, init=False, repr=False)

    @property
    def plain(self) -> dict[str, Value]:
        """The attributes without the expressions that made them."""
        if self._plain is None:
            self._plain = plain(self.attrs)
        return self._plain


@dataclass(eq=False, slots=True)
class Call:
    """An application of a block. `args` binds the graph's symbols to values in the caller's terms."""

    graph: Graph
    args: dict[str, Value]


@dataclass(eq=False, slots=True)
class Extern:
    """An application of a Python class that the text only names."""

    name: str
    path: str  # "package.module:Class"
    args: dict[str, Value]
    params: int


@dataclass(eq=False, slots=True)
class Unit:
    """One layer of a chain, `count` equal copies of it in a row (each with its own weights unless shared)."""

    node: Node
    count: int = 1


@dataclass(eq=False, slots=True)
class Segment:
    """The units that came from one factor of a chain: one layer (`count` is 1), or `layer * count`.

    The units' own counts add up to `count`; there are several units where sizes change on the way.
    """

    units: tuple[Unit, ...]
    count: Scalar


@dataclass(eq=False, slots=True)
class Chain:
    """Layers in a row, one input and one output: an `nn.Sequential`. Chains inside chains are flattened."""

    segments: tuple[Segment, ...]

    def units(self) -> Iterator[Unit]:
        """All units in order."""
        for segment in self.segments:
            yield from segment.units


@dataclass(eq=False, slots=True)
class Branches:
    """Similar chains side by side on one input, merged at once: `sum(in -> f(i) for i in 1..n)`.

    Each branch is a chain from the node's only input; `merge` (add, concat, mean, max, join ...) takes their outputs.
    """

    branches: tuple[Chain, ...]
    merge: Prim


What = Union[Prim, Call, Chain, Branches, Extern]


@dataclass(eq=False, slots=True)
class Node:
    """One step of a graph.

    statement: the name on the left of the statement it was written in ("" where there is none).
    label: the name of the layer value that was applied (`branch` in `branch = relu -> conv(...)`), or "".
    shared: a key for one set of weights; nodes of one graph with the same key share theirs.
    """

    what: What
    inputs: tuple[Wire, ...]
    outputs: tuple[Wire, ...]
    span: Span
    statement: str = ""
    label: str = ""
    shared: str | None = None


@dataclass(eq=False, slots=True)
class Parameter:
    """A symbol of a graph: a block parameter with its value here, or a dimension of an input.

    kind: "required" or "optional" for the block's own parameters (in the order of its text), "dimension" for
    input dimensions (`in_channels`, `in_height`, `in_width`; `left_channels` ... where inputs are named).
    Parameters whose value is a layer, a list or a function have no symbol and do not appear.
    """

    name: str
    value: Value
    kind: str
    default: Value = None


@dataclass(eq=False, slots=True)
class Auxiliary:
    """A training-only output with its weight in the loss."""

    name: str
    wire: Wire
    weight: Value


@dataclass(frozen=True, slots=True)
class InitRule:
    """A weight-initialisation rule: which weights, how.

    target: a primitive's name ("conv") or the name of a statement of the graph ("gate"); weight: "weight", "bias" or
    another weight's name; how: the rule ("he_normal", "constant" ...) and its arguments.
    """

    target: str
    weight: str
    how: str
    args: dict[str, Value]
    span: Span


@dataclass(eq=False, slots=True)
class Graph:
    """One block call or one network: nodes in the order in which they run.

    open_join: the block ends in a join that its caller may still widen (joins that feed joins are one join): then
    `outputs` are the joined tensors and this is the join to apply where a single tensor is needed.
    decisions: the `if` conditions met on the way, as text, with their outcome: why this form of the block.
    """

    name: str
    kind: str  # "block" or "network"
    parameters: tuple[Parameter, ...]
    inputs: tuple[Wire, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Wire, ...]
    output_names: tuple[str, ...]
    auxiliaries: tuple[Auxiliary, ...] = ()
    open_join: Prim | None = None
    inits: tuple[InitRule, ...] = ()
    decisions: tuple[tuple[str, bool], ...] = ()
    doc: str = ""
    span: Span | None = None
    cache: dict[str, object] = field(default_factory=dict[str, object])  # analyses keep their result per graph here

    def calls(self) -> tuple[Graph, ...]:
        """The graphs of all blocks applied directly in this one, each once."""
        if "calls" not in self.cache:
            found = {id(graph): graph for node in self.nodes for graph in calls_in(node)}
            self.cache["calls"] = tuple(found.values())
        return cast("tuple[Graph, ...]", self.cache["calls"])


def calls_in(node: Node) -> Iterator[Graph]:
    """The graphs that `node` applies, through chains and branches, not through the graphs themselves."""
    what = node.what
    if isinstance(what, Call):
        yield what.graph
    elif isinstance(what, Prim) and what.body is not None:
        yield from _calls_in_chain(what.body)
    elif isinstance(what, Chain):
        yield from _calls_in_chain(what)
    elif isinstance(what, Branches):
        for branch in what.branches:
            yield from _calls_in_chain(branch)


def _calls_in_chain(chain: Chain) -> Iterator[Graph]:
    for unit in chain.units():
        yield from calls_in(unit.node)


def all_graphs(root: Graph) -> tuple[Graph, ...]:
    """Every distinct graph below `root`, callees first, `root` last."""
    order: list[Graph] = []
    seen: set[int] = set()

    def visit(graph: Graph) -> None:
        if id(graph) in seen:
            return
        seen.add(id(graph))
        for callee in graph.calls():
            visit(callee)
        order.append(graph)

    visit(root)
    return tuple(order)

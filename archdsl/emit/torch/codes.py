"""What is known of a class before its names are: its fields, its steps, and what the whole file has in common."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from archdsl.emit.errors import InternalError
from archdsl.emit.torch.blocks import BlockClass, Callees
from archdsl.emit.torch.code import Code
from archdsl.emit.torch.forms import Form, symbols_of
from archdsl.emit.torch.row import Row
from archdsl.ir.graph import Call, Chain, Graph, Node, Prim, Wire
from archdsl.ops.op import Shape
from archdsl.scalar import Number, Scalar

Rows = Mapping[str, Row]


@dataclass(frozen=True, slots=True)
class FieldCode:
    """A field of a class: the mark by which the node's call names it, the name it would like, its constructor."""

    mark: str
    base: str
    code: Code
    op: str = ""


@dataclass(frozen=True, slots=True)
class NodeCode:
    """A step of a forward. `again` says how often a shared layer is applied in a row, where more than once."""

    first: int  # the number of its first result
    inputs: tuple[int, ...]
    names: tuple[str, ...]
    fields: tuple[FieldCode, ...]
    call: Code
    statement: str
    label: str
    shared: str
    starts: bool
    op: str = ""
    again: Form | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """How some weights of a graph start. Its arguments are constants: graphs that differ in them share no class."""

    target: str
    weight: str
    how: str
    args: tuple[tuple[str, Number | str], ...]


@dataclass(frozen=True, slots=True)
class GraphCode:
    """The text of a graph. Wires are numbered: inputs first, then the nodes' outputs in order."""

    inputs: int
    nodes: tuple[NodeCode, ...]
    outputs: tuple[int, ...]
    auxiliaries: tuple[int, ...]
    lent: tuple[FieldCode, ...]  # shared layers that only occur inside other layers
    rules: tuple[Rule, ...] = ()

    def symbols(self) -> frozenset[str]:
        """All symbols that the text names."""
        codes = [f.code for node in self.nodes for f in node.fields] + [node.call for node in self.nodes]
        forms = [form for code in (*codes, *(f.code for f in self.lent)) for form in code.slots]
        forms += [node.again for node in self.nodes if node.again is not None]
        return frozenset[str]().union(*map(symbols_of, forms))


# What may hold weights: PyTorch's own layers of these kinds, and helper classes.
_WEIGHTED = re.compile(r"\b(?:nn\.(?:Conv|Linear|\w+Norm|PReLU)\w*|(?<![.\w])[A-Z]\w*)(?=\()")


@dataclass(slots=True)
class Layers:
    """All layers of one primitive: the classes they are written as, and the weights of each."""

    classes: set[str] = field(default_factory=set[str])
    weights: list[frozenset[str]] = field(default_factory=list[frozenset[str]])


@dataclass(slots=True)
class Module:
    """What is known of the whole file while its classes are written."""

    rows: Rows
    callees: Callees = field(default_factory=Callees)
    classes: dict[int, BlockClass] = field(default_factory=dict[int, BlockClass])  # by the identity of a graph
    floats: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])  # by the name of a block
    externs: dict[str, str] = field(default_factory=dict[str, str])  # path to mark
    helpers: set[str] = field(default_factory=set[str])
    prepared: dict[str, None] = field(default_factory=dict[str, None])  # statements for the network's forward
    layers: dict[str, Layers] = field(default_factory=dict[str, "Layers"])  # by the name of the primitive

    def made(self, prim: Prim, inputs: tuple[Shape, ...], text: str) -> None:
        """Remember what a primitive was written as, and which weights it has."""
        layers = self.layers.setdefault(prim.op.name, Layers())
        layers.classes.update(_WEIGHTED.findall(text) if prim.body is None else ())
        layers.weights.append(frozenset(w.name for w in prim.op.weights(inputs, prim.attrs)))

    def row(self, prim: Prim) -> Row:
        """How PyTorch spells a primitive."""
        if prim.op.name not in self.rows:
            raise InternalError(f"PyTorch has no row for `{prim.op.name}`")
        return self.rows[prim.op.name]


def wires_of(graph: Graph) -> list[Wire]:
    """The wires of a graph in their numbering."""
    return [*graph.inputs, *(wire for node in graph.nodes for wire in node.outputs)]


def unwrapped(node: Node) -> tuple[Node, Scalar | None]:
    """The node itself, or the only unit of a chain in its place, and how often that unit stands in a row."""
    if not isinstance(node.what, Chain):
        return node, None
    units = list(node.what.units())
    if len(units) != 1 or (units[0].count != 1 and units[0].node.shared is None):
        return node, None
    count = node.what.segments[0].count
    inner = units[0].node
    label = node.label or inner.label
    whole = Node(inner.what, node.inputs, node.outputs, node.span, node.statement, label, node.shared or inner.shared)
    return whole, None if count == 1 and count.expr is None else count


def is_nothing(node: Node) -> bool:
    """Whether a node gives out what it takes in: `identity`, or a block that comes to that."""
    what = node.what
    if isinstance(what, Prim):
        return what.op.name == "identity"
    return isinstance(what, Call) and not what.graph.nodes and what.graph.outputs == what.graph.inputs[:1]

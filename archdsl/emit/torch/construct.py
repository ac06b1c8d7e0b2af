"""The text of one graph with its numbers still open: what its fields are made of, and what its forward calls."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from archdsl.emit.errors import InternalError
from archdsl.emit.torch.blocks import Argument, BlockClass, Callees, number_of, values_of
from archdsl.emit.torch.code import (
    FIELD_MARK,
    MERGE_MARK,
    Code,
    Holes,
    class_mark,
    enclosed,
    loop_mark,
    operand_mark,
    shared_mark,
)
from archdsl.emit.torch.folding import Factor, Item, folded_row
from archdsl.emit.torch.forms import Form, Resolver, constant_form, symbols_of
from archdsl.emit.torch.pretty import text_literal
from archdsl.emit.torch.row import Layer, Row
from archdsl.ir.graph import Branches, Call, Chain, Extern, Graph, InitRule, Node, Prim, Segment, Unit, Wire
from archdsl.ops.op import Shape, Value
from archdsl.scalar import Expr, Number, Scalar

Rows = Mapping[str, Row]
_BRANCH = loop_mark("branch")


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


def unwrapped(node: Node) -> tuple[Node, Form | None]:
    """The node itself, or the only unit of a chain in its place, and how often that unit stands in a row."""
    if not isinstance(node.what, Chain):
        return node, None
    units = list(node.what.units())
    if len(units) != 1 or (units[0].count != 1 and units[0].node.shared is None):
        return node, None
    inner = units[0].node
    label = node.label or inner.label
    whole = Node(inner.what, node.inputs, node.outputs, node.span, node.statement, label, node.shared or inner.shared)
    return whole, None if units[0].count == 1 else constant_form(units[0].count)


class GraphWriter:
    """Writes the text of one graph. `names` says what a class calls the block's symbols; None: what the block does."""

    def __init__(self, module: Module, graph: Graph, names: Mapping[str, Expr] | None = None) -> None:
        self._module = module
        self._graph = graph
        self._names = names
        self._final = names is not None
        self._numbers = Resolver(values_of(graph))
        self._indices = {id(wire): index for index, wire in enumerate(wires_of(graph))}
        self._shared: dict[str, str] = {}
        self._started: set[str] = set()
        self._lent: dict[str, FieldCode] = {}

    def write(self) -> GraphCode:
        """The text of the graph."""
        graph = self._graph
        self._started.update(node.shared for node in map(self._plain, graph.nodes) if node.shared)
        first = self._firsts()
        nodes = tuple(self._node(node, id(node) in first) for node in graph.nodes if not self._passes(node))
        auxiliaries = tuple(self._indices[id(a.wire)] for a in graph.auxiliaries)
        outputs = tuple(self._indices[id(wire)] for wire in graph.outputs)
        lent = tuple(self._lent.values())
        return GraphCode(len(graph.inputs), nodes, outputs, auxiliaries, lent, tuple(map(_rule, graph.inits)))

    def _passes(self, node: Node) -> bool:
        """Whether a node does nothing; then its result is its operand, under that one's number."""
        if not is_nothing(self._plain(node)):
            return False
        self._indices[id(node.outputs[0])] = self._indices[id(node.inputs[0])]
        return True

    def _plain(self, node: Node) -> Node:
        return unwrapped(node)[0]

    def _firsts(self) -> set[int]:
        """The nodes that make fields: all but the later ones of a shared layer."""
        first: dict[str, int] = {}
        for node in self._graph.nodes:
            first.setdefault(self._plain(node).shared or str(id(node)), id(node))
        return set(first.values())

    # --- nodes ----------------------------------------------------------------------------------------------------

    def _node(self, outer: Node, starts: bool) -> NodeCode:
        node, again = unwrapped(outer)
        fields, call = self._parts(node)
        return NodeCode(
            first=self._indices[id(node.outputs[0])],
            inputs=tuple(self._indices[id(wire)] for wire in node.inputs),
            names=tuple(wire.name for wire in node.outputs),
            fields=fields,
            call=call,
            statement=node.statement,
            label=node.label,
            shared=self._key(node.shared) if node.shared else "",
            starts=starts,
            op=node.what.op.name if isinstance(node.what, Prim) else "",
            again=again,
        )

    def _key(self, shared: str) -> str:
        return self._shared.setdefault(shared, shared_mark(len(self._shared)))

    def _parts(self, node: Node) -> tuple[tuple[FieldCode, ...], Code]:
        what = node.what
        if isinstance(what, Prim):
            return self._prim_parts(what, node)
        if isinstance(what, Branches):
            return self._branches_parts(what, node)
        base = node.label or _base(what)
        return (FieldCode(FIELD_MARK, base, self.constructor(node)),), _applied(FIELD_MARK, len(node.inputs))

    def _prim_parts(self, prim: Prim, node: Node) -> tuple[tuple[FieldCode, ...], Code]:
        if prim.op.inputs == (0, 0):
            return (self._field(prim, node),), Code(FIELD_MARK)
        call = self._call(prim, _shapes(node.inputs), _shapes(node.outputs))
        if call is not None:
            return (), call
        return (self._field(prim, node),), _applied(FIELD_MARK, len(node.inputs))

    def _field(self, prim: Prim, node: Node) -> FieldCode:
        return FieldCode(FIELD_MARK, node.label or prim.op.name, self.constructor(node), prim.op.name)

    def _call(self, prim: Prim, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Code | None:
        """What a forward writes for a primitive, where it needs no field."""
        row = self._module.row(prim)
        holes = Holes()
        layer = self._layer(prim, inputs, outputs, holes)
        if row.call is None or (row.module is not None and not row.calls(layer)):
            return None
        code = holes.around(row.call(layer, tuple(operand_mark(i) for i in range(len(inputs)))))
        traced = any(symbols_of(form) for form in code.slots)
        return None if traced and row.module is not None else code

    # --- constructors ---------------------------------------------------------------------------------------------

    def constructor(self, node: Node) -> Code:
        """What makes the module of a node."""
        what = node.what
        if isinstance(what, Prim):
            return self._module_of(what, _shapes(node.inputs), _shapes(node.outputs))
        if is_nothing(node):
            return Code("nn.Identity()")
        if isinstance(what, Call):
            return self._instance(what, node)[0]
        if isinstance(what, Chain):
            return self._sequential(what)
        if isinstance(what, Extern):
            return self._extern(what)
        raise InternalError("side by side layers cannot stand inside a Sequential")

    def _module_of(self, prim: Prim, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Code:
        row = self._module.row(prim)
        if row.module is None:
            raise InternalError(f"`{prim.op.name}` has no form as a module")
        holes = Holes()
        layer = self._layer(prim, inputs, outputs, holes)
        code = holes.around(row.module(layer))
        if self._final:
            self._module.helpers.update(row.helpers(layer))
            self._prepare(row, layer)
            self._module.made(prim, inputs, code.text)
        return code

    def _prepare(self, row: Row, layer: Layer) -> None:
        statement = row.prepare(layer, operand_mark(0)) if row.prepare else ""
        if statement:
            self._module.prepared.setdefault(statement)

    def _layer(self, prim: Prim, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...], holes: Holes) -> Layer:
        attrs = {name: self._renamed(value) for name, value in prim.attrs.items()}
        given, made = self._sizes(inputs), self._sizes(outputs)
        if prim.body is None:
            return Layer(attrs, given, made, lambda value: self._show(value, holes))
        body = holes.code(self._sequential(prim.body))
        wrapped = self._sizes(_shapes(_last(prim.body).node.outputs))
        return Layer(attrs, wrapped, made, lambda value: self._show(value, holes), body, given)

    def _instance(self, call: Call, node: Node) -> tuple[Code, tuple[str, ...]]:
        """A block's class with its arguments, and what these are called."""
        block = self._module.classes[id(self._module.callees.of(call, node.outputs))]
        holes = Holes()
        given = [(a, self._argument(call, block, a)) for a in block.arguments]
        given = [(a, form) for a, form in given if not _is_default(a, form)]
        texts = [f"{a.name}={holes.form(form)}" if a.keyword else holes.form(form) for a, form in given]
        code = holes.around(f"{class_mark(block.number)}({', '.join(texts)})")
        return code, tuple(a.name for a, _ in given)

    def _argument(self, call: Call, block: BlockClass, argument: Argument) -> Form:
        value = call.args.get(argument.symbol)
        if value is None:
            value = values_of(call.graph)[argument.symbol]
        form = self._number(value)
        if form is None:
            raise InternalError(f"`{argument.symbol}` of `{block.block}` is no number")
        return form

    def _extern(self, extern: Extern) -> Code:
        mark = self._module.externs.setdefault(extern.path, f"__extern{len(self._module.externs)}__")
        holes = Holes()
        shown = [f"{name}={self._show(value, holes)}" for name, value in extern.args.items()]
        return holes.around(f"{mark}({', '.join(shown)})")

    # --- layers in a row and side by side -------------------------------------------------------------------------

    def _sequential(self, chain: Chain) -> Code:
        segments = [s for s in chain.segments if not all(is_nothing(unit.node) for unit in s.units)]
        units = [unit for segment in segments for unit in segment.units]
        if not units:
            return Code("nn.Identity()")
        if len(units) == 1 and units[0].count == 1:
            return self._unit(units[0], counted=False).code
        return enclosed("nn.Sequential(", folded_row([self._factor(s) for s in segments]), ")")

    def _factor(self, segment: Segment) -> Factor:
        counted = int(segment.count) > 1
        count = self._number(segment.count) or constant_form(int(segment.count))
        return Factor(tuple(self._unit(unit, counted) for unit in segment.units), count)

    def _unit(self, unit: Unit, counted: bool) -> Item:
        node, count = unit.node, constant_form(unit.count)
        if node.shared:
            return Item(Code(f"self.{self._borrowed(node, node.shared)}"), count, counted=counted)
        if isinstance(node.what, Call) and not is_nothing(node):
            code, hints = self._instance(node.what, node)
            return Item(code, count, hints, counted)
        return Item(self.constructor(node), count, counted=counted)

    def _borrowed(self, node: Node, shared: str) -> str:
        """The mark of a shared layer inside another; it gets a field of its own unless a step makes one."""
        key = self._key(shared)
        if shared not in self._started and key not in self._lent:
            op = node.what.op.name if isinstance(node.what, Prim) else ""
            self._lent[key] = FieldCode(key, node.label or _base(node.what), self.constructor(node), op)
        return key

    def _branches_parts(self, what: Branches, node: Node) -> tuple[tuple[FieldCode, ...], Code]:
        items = tuple(Item(self._sequential(branch), constant_form(1)) for branch in what.branches)
        pieces = folded_row([Factor(items, constant_form(len(items)))])
        listed = enclosed("nn.ModuleList([", pieces, "])")
        if len(pieces) == 1 and pieces[0].text.startswith("*["):
            listed = enclosed("nn.ModuleList(", [Code(pieces[0].text[1:], pieces[0].slots)], ")")
        branches = FieldCode(FIELD_MARK, node.label or "branches", listed)
        merge = self._merge(what, node)
        return (branches, *merge[0]), merge[1]

    def _merge(self, what: Branches, node: Node) -> tuple[tuple[FieldCode, ...], Code]:
        """How the outputs of branches come together: in one expression over all of them, where there is one."""
        inputs = tuple(_last(branch).node.outputs[0].shape for branch in what.branches)
        prim, each = what.merge, f"{_BRANCH}({operand_mark(0)}) for {_BRANCH} in self.{FIELD_MARK}"
        call = self._call(prim, inputs, _shapes(node.outputs))
        if call is None:
            code = self._module_of(prim, inputs, _shapes(node.outputs))
            return (FieldCode(MERGE_MARK, prim.op.name, code, prim.op.name),), Code(f"self.{MERGE_MARK}(*[{each}])")
        if prim.op.name in ("add", "sum"):
            return (), Code(f"sum({each})")
        if prim.op.name in ("mean", "join"):
            return (), Code(f"sum({each}) / {len(inputs)}")
        return (), _listed_call(call, len(inputs), each)

    # --- numbers --------------------------------------------------------------------------------------------------

    def _renamed(self, value: Value) -> Value:
        if isinstance(value, tuple):
            return tuple(self._renamed(part) for part in value)
        if self._names is None or not isinstance(value, Scalar):
            return value
        return self._numbers.renamed(value, self._names)

    def _sizes(self, shapes: Sequence[Shape]) -> tuple[Shape, ...]:
        return tuple(tuple(self._renamed(d) for d in shape) for shape in shapes)  # pyright: ignore

    def _number(self, value: Value) -> Form | None:
        value = self._renamed(value)
        if isinstance(value, (bool, str, tuple)) or value is None:
            return None
        return self._numbers.form(value)

    def _show(self, value: Value, holes: Holes) -> str:
        """A value as text: a hole for every number in it."""
        if isinstance(value, tuple):
            parts = ", ".join(self._show(part, holes) for part in value)
            return f"({parts},)" if len(value) == 1 else f"({parts})"
        if isinstance(value, str):
            return text_literal(value)
        form = self._number(value)
        return str(value) if form is None else holes.form(form)


def is_nothing(node: Node) -> bool:
    """Whether a node gives out what it takes in: `identity`, or a block that comes to that."""
    what = node.what
    if isinstance(what, Prim):
        return what.op.name == "identity"
    return isinstance(what, Call) and not what.graph.nodes and what.graph.outputs == what.graph.inputs[:1]


def _rule(rule: InitRule) -> Rule:
    args = [(name, value if isinstance(value, str) else number_of(value) or 0) for name, value in rule.args.items()]
    return Rule(rule.target, rule.weight, rule.how, tuple(args))


def _shapes(wires: Sequence[Wire]) -> tuple[Shape, ...]:
    return tuple(wire.shape for wire in wires)


def _last(chain: Chain) -> Unit:
    return chain.segments[-1].units[-1]


def _base(what: object) -> str:
    """What a field is called after what it holds."""
    if isinstance(what, Call):
        return what.graph.name
    if isinstance(what, Extern):
        return what.name
    return what.op.name if isinstance(what, Prim) else "layers"


def _applied(mark: str, inputs: int) -> Code:
    return Code(f"self.{mark}({', '.join(operand_mark(i) for i in range(inputs))})")


def _is_default(argument: Argument, form: Form) -> bool:
    return argument.default is not None and form == constant_form(argument.default)


def _listed_call(call: Code, count: int, each: str) -> Code:
    """A call on all branches: over a list of them where it takes its operands in a row, one by one otherwise."""
    operands = ", ".join(operand_mark(i) for i in range(count))
    if f"({operands})" in call.text:
        return Code(call.text.replace(f"({operands})", f"[{each}]", 1), call.slots)
    single = f"self.{FIELD_MARK}[\\1]({operand_mark(0)})"
    return Code(re.sub(operand_mark("([0-9]+)"), single, call.text), call.slots)

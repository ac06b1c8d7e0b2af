"""The constructors of layers with their numbers still open: primitives by their rows, blocks by their classes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from archdsl.emit.errors import InternalError
from archdsl.emit.torch.blocks import Argument, BlockClass, values_of
from archdsl.emit.torch.code import Code, Holes, class_mark, enclosed, extern_mark, operand_mark, shared_mark
from archdsl.emit.torch.codes import FieldCode, Module, is_nothing
from archdsl.emit.torch.folding import Factor, Item, folded_row
from archdsl.emit.torch.forms import Form, Resolver, constant_form, symbols_of
from archdsl.emit.torch.pretty import text_literal
from archdsl.emit.torch.row import Layer, Row
from archdsl.ir.graph import Call, Chain, Extern, Graph, Node, Prim, Segment, Unit, Wire
from archdsl.ops.op import Shape, Value
from archdsl.scalar import Expr, Scalar


class LayerWriter:
    """Writes the layers of one graph. `names`: what a class calls the block's symbols; None: what the block does."""

    def __init__(self, module: Module, graph: Graph, names: Mapping[str, Expr] | None) -> None:
        self._module = module
        self._names = names
        self._numbers = Resolver(values_of(graph), module.floats.get(graph.name, frozenset()))
        self._shared: dict[str, str] = {}
        self._made: set[str] = set()
        self.lent: dict[str, FieldCode] = {}

    def shared_key(self, shared: str) -> str:
        """The mark of a shared layer's field."""
        return self._shared.setdefault(shared, shared_mark(len(self._shared)))

    def starts(self, shared: str | None) -> bool:
        """Whether a field for a layer is to be made here: always for its own weights, once for shared ones."""
        if shared is None:
            return True
        new = shared not in self._made
        self._made.add(shared)
        return new

    def call(self, prim: Prim, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Code | None:
        """What a forward writes for a primitive, where it needs no field."""
        row = self._module.row(prim)
        holes = Holes()
        layer = self._layer(prim, inputs, outputs, holes)
        if row.call is None or (row.module is not None and not row.calls(layer)):
            return None
        code = holes.around(row.call(layer, tuple(operand_mark(i) for i in range(len(inputs)))))
        traced = any(symbols_of(form) for form in code.slots)
        return None if traced and row.module is not None else code

    def constructor(self, node: Node) -> Code:
        """What makes the module of a node."""
        what = node.what
        if isinstance(what, Prim):
            return self.module_of(what, shapes_of(node.inputs), shapes_of(node.outputs))
        if is_nothing(node):
            return Code("nn.Identity()")
        if isinstance(what, Call):
            return self._instance(what, node)[0]
        if isinstance(what, Chain):
            return self.sequential(what)
        if isinstance(what, Extern):
            return self._extern(what)
        raise InternalError("side by side layers cannot stand inside a Sequential")

    def module_of(self, prim: Prim, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Code:
        row = self._module.row(prim)
        if row.module is None and len(inputs) == len(outputs) == 1:
            return Code("nn.Identity()")  # one tensor merged, or split in one part, is that tensor
        if row.module is None:
            raise InternalError(f"`{prim.op.name}` has no form as a module")
        holes = Holes()
        layer = self._layer(prim, inputs, outputs, holes)
        code = holes.around(row.module(layer))
        if self._names is not None:
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
        body = holes.code(self.sequential(prim.body))
        wrapped = self._sizes(shapes_of(last_unit(prim.body).node.outputs)) if prim.body.segments else given
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
        form = self.number(value)
        if form is None:
            raise InternalError(f"`{argument.symbol}` of `{block.block}` is no number")
        return form

    def _extern(self, extern: Extern) -> Code:
        mark = self._module.externs.setdefault(extern.path, extern_mark(len(self._module.externs)))
        holes = Holes()
        shown = [f"{name}={self._show(value, holes)}" for name, value in extern.args.items()]
        return holes.around(f"{mark}({', '.join(shown)})")

    # --- layers in a row ------------------------------------------------------------------------------------------

    def sequential(self, chain: Chain) -> Code:
        segments = [s for s in chain.segments if not all(is_nothing(unit.node) for unit in s.units)]
        units = [unit for segment in segments for unit in segment.units]
        if not units:
            return Code("nn.Identity()")
        if len(units) == 1 and units[0].count == 1:
            return self._unit(units[0], counted=False).code
        return enclosed("nn.Sequential(", folded_row([self._factor(s) for s in segments]), ")")

    def _factor(self, segment: Segment) -> Factor:
        counted = int(segment.count) > 1
        count = self.number(segment.count) or constant_form(int(segment.count))
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
        """The mark of a shared layer inside another; its field is made before unless there is one."""
        key = self.shared_key(shared)
        if self.starts(shared):
            op = node.what.op.name if isinstance(node.what, Prim) else ""
            self.lent[key] = FieldCode(key, node.label or base_name(node.what), self.constructor(node), op)
        return key

    # --- numbers --------------------------------------------------------------------------------------------------

    def _renamed(self, value: Value) -> Value:
        if isinstance(value, tuple):
            return tuple(self._renamed(part) for part in value)
        if self._names is None or not isinstance(value, Scalar):
            return value
        return self._numbers.renamed(value, self._names)

    def _sizes(self, shapes: Sequence[Shape]) -> tuple[Shape, ...]:
        return tuple(tuple(self._renamed(d) for d in shape) for shape in shapes)  # pyright: ignore

    def number(self, value: Value) -> Form | None:
        """The form of a number in the class's terms; None for what is not a number."""
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
        form = self.number(value)
        return str(value) if form is None else holes.form(form)


def shapes_of(wires: Sequence[Wire]) -> tuple[Shape, ...]:
    """The shapes of wires."""
    return tuple(wire.shape for wire in wires)


def last_unit(chain: Chain) -> Unit:
    """The layer that gives out what a chain gives out."""
    return chain.segments[-1].units[-1]


def base_name(what: object) -> str:
    """What a field is called after what it holds."""
    if isinstance(what, Call):
        return what.graph.name
    if isinstance(what, Extern):
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", what.name).lower()
    return what.op.name if isinstance(what, Prim) else "layers"


def _is_default(argument: Argument, form: Form) -> bool:
    return argument.default is not None and form == constant_form(argument.default)

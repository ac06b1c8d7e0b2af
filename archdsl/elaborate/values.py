"""What expressions mean. A value is one of: an exact number (`Scalar`), true or false, a text, `none`, a list (a Python
tuple), a tensor (`Wire`, or `Join` while a join may still grow), a layer, a function, or `UNKNOWN`.

`UNKNOWN` stands for what an error made unknowable; whatever touches it is UNKNOWN too, and silent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Union

from archdsl.ir.graph import Node, Prim, Wire
from archdsl.ops.op import Op
from archdsl.record import record
from archdsl.scalar import Number, Scalar
from archdsl.source import Span
from archdsl.syntax import ast

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from archdsl.elaborate.frame import Frame
    from archdsl.elaborate.load import Module
    from archdsl.ops.op import Value as Attr


class Unknown(Enum):
    """The type of `UNKNOWN`."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN


@dataclass(eq=False, slots=True)
class Join:
    """Tensors on their way into one join. Joins that feed joins are one join, so the merge waits until it is used.

    call: where the columns are the outputs of a block that ends in a join, the node that applies it.
    """

    merge: Prim
    columns: tuple[Wire, ...]
    span: Span
    call: Node | None = None
    result: Wire | None = None


@record
class OpLayer:
    """A primitive with the arguments it has been given; a template, applied with fresh weights each time."""

    op: Op
    bound: dict[str, Value]
    span: Span
    body: Layer | None = None


@record
class BlockLayer:
    """A block, or an extern, with the arguments it has been given."""

    block: ast.Block | ast.ExternDecl
    module: Module
    bound: dict[str, Value]
    span: Span


@record
class Sequence:
    """Layers in a row. `label` is the name it was given; `grouped` makes it one `Sequential` where it is applied."""

    layers: tuple[Layer, ...]
    span: Span
    label: str = ""
    grouped: bool = False


@record
class Repeat:
    """`layer * count`."""

    layer: Layer
    count: Scalar
    span: Span


@record
class Shared:
    """A layer with one set of weights, usable in the body that made it."""

    layer: Layer
    key: str
    owner: Frame
    span: Span


@record
class Named:
    """A layer that a statement gave a name to."""

    layer: Layer
    label: str
    span: Span


@record
class Function:
    """A function of a file or a body; `home` is where its free names are looked up."""

    declaration: ast.Function
    home: Frame


@record
class Builtin:
    """A function of the language itself: `floor`, `chain`, `fold` ..."""

    name: str


Layer = Union[OpLayer, BlockLayer, Sequence, Repeat, Shared, Named]
Tensor = Union[Wire, Join]
Value = Union[Scalar, bool, str, None, tuple["Value", ...], Wire, Join, Layer, Function, Builtin, Unknown]

# Sets of exact types, as none has subclasses: a look into a set is a tenth of `isinstance` with so many types.
LAYERS: frozenset[type] = frozenset({OpLayer, BlockLayer, Sequence, Repeat, Shared, Named})
COMPOUND = LAYERS | {tuple}
TENSORS: frozenset[type] = frozenset({Wire, Join})


def parts(value: Value) -> tuple[Value, ...]:
    """The values that a list or a layer is made of."""
    if type(value) not in COMPOUND:  # most are numbers
        return ()
    if isinstance(value, tuple):
        return value
    if isinstance(value, Sequence):
        return value.layers
    if isinstance(value, OpLayer):
        return (*value.bound.values(), value.body)
    if isinstance(value, (Repeat, Named, Shared)):
        return (value.layer,)
    return tuple(value.bound.values()) if isinstance(value, BlockLayer) else ()


def weight(value: Value, most: int) -> int:
    """How many parts a value has in all, one that is used twice counted twice; some number over `most` if more."""
    count, waiting = 0, [value]
    while waiting and count <= most:
        inside = parts(waiting.pop())
        count += len(inside)
        waiting += [part for part in inside if type(part) in COMPOUND]
    return count


@dataclass(slots=True)
class Binding:
    """A name's value, where it was given, and the expression that gave it (for messages that show the arithmetic)."""

    value: Value
    span: Span
    origin: ast.Expr | None = None
    used: bool = field(default=False)


def is_layer(value: Value) -> TypeIs[Layer]:
    """Whether a value is a layer."""
    return type(value) in LAYERS


def is_tensor(value: Value) -> TypeIs[Tensor]:
    """Whether a value is a tensor, or a join that will be one."""
    return type(value) in TENSORS


def is_number(value: Value) -> TypeIs[Scalar]:
    """Whether a value is a number."""
    return isinstance(value, Scalar)


def described(value: Value) -> str:
    """What kind of value it is, for messages."""
    if isinstance(value, Scalar):
        return f"the number {shown(value)}"
    if isinstance(value, bool) or value is None:
        return shown(value)
    if isinstance(value, str):
        return f"the text {shown(value)}"
    if isinstance(value, tuple):
        return f"a list of {len(value)}"
    if is_tensor(value):
        return "a tensor"
    if is_layer(value):
        return f"the layer `{layer_name(value)}`"
    return "a function" if isinstance(value, (Function, Builtin)) else "something unknown"


def layer_name(layer: Layer) -> str:
    """What a layer is called in messages."""
    if isinstance(layer, OpLayer):
        return layer.op.name
    if isinstance(layer, BlockLayer):
        return layer.block.name.text
    if isinstance(layer, Sequence):
        return layer.label or " -> ".join(map(layer_name, layer.layers[:3])) + (
            " -> ..." if len(layer.layers) > 3 else ""
        )
    if isinstance(layer, Repeat):
        return f"{layer_name(layer.layer)} * {shown(layer.count)}"
    return layer.label if isinstance(layer, Named) else layer_name(layer.layer)


def shown(value: Value | Attr | Number) -> str:
    """A plain value as the language writes it; never longer than a line."""
    if isinstance(value, Scalar):
        return _number(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "none"
    if isinstance(value, str):
        return f'"{value[:40]}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(map(shown, value[:8])) + (", ...]" if len(value) > 8 else "]")
    if isinstance(value, (int, Fraction)):
        return _number(value)
    return "a tensor" if is_tensor(value) else "..."


def _number(value: Number) -> str:
    numerator, denominator = value.numerator, value.denominator
    if max(abs(numerator), denominator).bit_length() > 256:
        return "a very large number"
    return str(numerator) if denominator == 1 else _fraction(numerator, denominator)


def _fraction(numerator: int, denominator: int) -> str:
    """A decimal where the fraction has a short one, numerator and denominator otherwise."""
    for decimals in range(1, 7):
        if 10**decimals % denominator == 0:
            digits = f"{abs(numerator) * (10**decimals // denominator):0{decimals + 1}d}"
            return f"{'-' if numerator < 0 else ''}{digits[:-decimals]}.{digits[-decimals:]}"
    return f"{numerator}/{denominator}"


def shape_text(wire: Wire) -> str:
    """A shape as the language writes it: `[16, 32, 32]`."""
    return "[" + ", ".join(map(str, wire.values)) + "]"

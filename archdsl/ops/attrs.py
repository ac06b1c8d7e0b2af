"""Typed reading of coerced attributes, and the few shape helpers that every family needs."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import prod
from typing import Any, cast

from archdsl.ops.op import Attrs, Dim, Misfit, Saved, Shape, Value
from archdsl.scalar import Number, Scalar, value_of

Infer = Callable[[tuple[Shape, ...], Attrs], "tuple[Shape, ...] | Misfit"]

BYTES = 4  # of a float32
INDEX_BYTES = 8  # of an int64, which pooling keeps for each output


def is_traced(value: Value) -> bool:
    """Whether a value, or a part of it, is an expression over parameters."""
    if isinstance(value, tuple):
        return any(is_traced(part) for part in value)
    return isinstance(value, Scalar) and value.expr is not None


def whole(attrs: Attrs, name: str) -> Dim:
    """A whole-number attribute, traced where it was."""
    value: Any = attrs[name]
    return value


def count(attrs: Attrs, name: str) -> int:
    """The value of a whole-number attribute."""
    return int(whole(attrs, name))


def number(attrs: Attrs, name: str) -> Number:
    """The exact value of a numeric attribute."""
    return value_of(cast("int | Fraction | Scalar", attrs[name]))


def flag(attrs: Attrs, name: str) -> bool:
    """A true-or-false attribute."""
    return bool(attrs[name])


def text(attrs: Attrs, name: str) -> str:
    """A choice attribute."""
    return cast(str, attrs[name])


def pair(attrs: Attrs, name: str) -> tuple[Dim, Dim]:
    """A size attribute as (height, width)."""
    return as_pair(attrs[name])


def as_pair(value: Value) -> tuple[Dim, Dim]:
    """One number for both directions, or the two given."""
    both: Any = value if isinstance(value, tuple) else (value, value)
    return both


def sides(value: Value) -> tuple[Dim, Dim, Dim, Dim]:
    """A padding as (top, bottom, left, right)."""
    if isinstance(value, tuple) and len(value) == 4:
        return cast(tuple[Dim, Dim, Dim, Dim], value)
    high, wide = as_pair(value)
    return high, high, wide, wide


def wholes(attrs: Attrs, name: str) -> tuple[Dim, ...]:
    """A list attribute."""
    return cast(tuple[Dim, ...], attrs[name])


def table_of(attrs: Attrs, name: str) -> tuple[tuple[int, ...], ...]:
    """An attribute that is a list of lists."""
    rows = cast(tuple[tuple[Dim, ...], ...], attrs[name])
    return tuple(tuple(int(i) for i in row) for row in rows)


def numel(shape: Shape) -> int:
    """How many numbers a tensor of this shape holds, for one sample."""
    return prod(int(d) for d in shape)


def size(shape: Shape) -> str:
    """A shape as messages write it: `[16, 32, 32]`."""
    return "[" + ", ".join(str(d) for d in shape) + "]"


def by(high: object, wide: object) -> str:
    """Two extents as messages write them: `5x5`."""
    return f"{high}x{wide}"


def is_map(shape: Shape) -> bool:
    """Whether the shape is [channels, height, width]."""
    return len(shape) == 3


def is_vector(shape: Shape) -> bool:
    """Whether the shape is [channels]."""
    return len(shape) == 1


def on_maps(name: str, infer: Infer, hint: str | None = None) -> Infer:
    """`infer` for maps only; anything else gets a sentence that says so."""

    def checked(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
        if not is_map(shapes[0]):
            return Misfit(f"`{name}` takes a map [channels, height, width], got {size(shapes[0])}", hint)
        return infer(shapes, attrs)

    return checked


def unchanged(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...]:
    """The shape rule of everything that works on each number by itself."""
    return (shapes[0],)


def uneven(amount: Dim, what: str, parts: Dim, into: str) -> Misfit | None:
    """A misfit where `amount` cannot be split into `parts` equal parts."""
    if int(amount) % int(parts) == 0:
        return None
    quotient = Fraction(int(amount), int(parts))
    return Misfit(f"{amount} {what} cannot be split into {parts} {into}: {quotient}", param=into)


def rows_then_columns(before: Shape, after: Shape) -> Saved:
    """Of a map that is cut: on the way back there is one with all of its columns, and the rows that are left."""
    return Saved(workspace=BYTES * numel((before[0], after[1], before[2])))

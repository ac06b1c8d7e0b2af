"""From what a spec says to what a primitive takes: kind, range and form of each argument, with exact sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import cast

from archdsl.ops.op import Kind, Misfit, Op, Param, Value
from archdsl.scalar import Scalar, value_of

LARGEST = 2**31 - 1  # beyond it a size overflows somewhere in every back end
SMALLEST = Fraction(1, 10**300)  # below it a number is rounded away in a float

# What lies behind one argument: a number, or None where the value is not one.
_Number = int | Fraction | Scalar
_NUMBERS = (Scalar, int, Fraction)  # the likeliest first: to ask whether something is a Fraction takes long


def coerce(param: Param, value: object) -> Value | Misfit:
    """The attribute for `value`, or why it cannot be one."""
    if value is None and param.optional:
        return None
    found = _KINDS[param.kind](param, value)
    return _misfit(param, value) if isinstance(found, _No) else found


def attributes(op: Op, given: Mapping[str, object]) -> dict[str, Value] | Misfit:
    """All attributes of `op`, defaults included, in the order of its parameters.

    `given` may name known parameters only; the first misfit is returned.
    """
    found: dict[str, Value] = {}
    for param in op.params:
        if param.name not in given and param.required:
            return Misfit(f"`{op.name}` needs `{param.name}`", param=param.name)
        value = coerce(param, given.get(param.name, param.default))
        if isinstance(value, Misfit):
            return value
        found[param.name] = value
    return found


def expected(param: Param) -> str:
    """What the parameter takes, in words."""
    if param.kind is Kind.CHOICE:
        return _either([f'"{choice}"' for choice in param.choices])
    return param.kind.value + (", or none" if param.optional else "")


def describe(value: object) -> str:
    """A value as a spec would write it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{_clipped(value)}"'
    if isinstance(value, (list, tuple)):
        return _clipped("[" + ", ".join(describe(part) for part in cast(Sequence[object], value)) + "]")
    return _clipped(_digits(value)) if isinstance(value, _NUMBERS) else "something else"


def _digits(value: _Number) -> str:
    """Decimal digits, without ever tripping over Python's own limit on their number."""
    exact = value_of(value)
    if max(abs(exact.numerator), exact.denominator).bit_length() > 4096:
        return "a number of more than a thousand digits"
    return str(exact)


def _clipped(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _either(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " or " + names[-1]


def _misfit(param: Param, value: object) -> Misfit:
    hint = f"PyTorch takes at most {LARGEST:,}" if _is_too_large(value) else None
    return Misfit(f"`{param.name}` takes {expected(param)}, got {describe(value)}", hint, param.name)


def _is_too_large(value: object) -> bool:
    return isinstance(value, _NUMBERS) and abs(value_of(value)) > LARGEST


class _No:
    """Marks a value that does not fit; distinct from every value, `none` included."""


_NO = _No()


def _plain(value: _Number) -> Value:
    """A traced number as it is; a constant without its wrapping."""
    if isinstance(value, Scalar) and value.expr is not None:
        return value
    exact = value_of(value)
    return exact.numerator if exact.denominator == 1 else exact


def _whole(value: object, least: int = -LARGEST) -> Value | _No:
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        return _NO
    exact = value_of(value)
    return _plain(value) if exact.denominator == 1 and least <= exact <= LARGEST else _NO


def _number(param: Param, value: object) -> Value | _No:
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        return _NO
    exact = value_of(value)
    return _plain(value) if exact == 0 or SMALLEST <= abs(exact) <= LARGEST else _NO


def _probability(param: Param, value: object) -> Value | _No:
    found = _number(param, value)
    return found if isinstance(found, _NUMBERS) and 0 <= value_of(found) <= 1 else _NO


def _flag(param: Param, value: object) -> Value | _No:
    return value if isinstance(value, bool) else _NO


def _choice(param: Param, value: object) -> Value | _No:
    return value if isinstance(value, str) and value in param.choices else _NO


def _list(value: object, least: int, lengths: tuple[int, ...] = ()) -> Value | _No:
    """A tuple of whole numbers of at least `least`, of one of `lengths` where they are given."""
    if not isinstance(value, (list, tuple)):
        return _NO
    parts = [_whole(part, least) for part in cast(Sequence[object], value)]
    if not parts or (lengths and len(parts) not in lengths) or any(part is _NO for part in parts):
        return _NO
    return tuple(cast(Value, part) for part in parts)


def _square(value: Value | _No) -> Value | _No:
    """[3, 3] as 3; a tuple whose parts differ, or whose expressions do, as it is."""
    if not isinstance(value, tuple):
        return value
    terms = [part.term if isinstance(part, Scalar) else part for part in value]
    return value[0] if all(term == terms[0] for term in terms) else value


def _extent(value: object, least: int, lengths: tuple[int, ...]) -> Value | _No:
    single = _whole(value, least)
    return _square(_list(value, least, lengths)) if single is _NO else single


def _padding(param: Param, value: object) -> Value | _No:
    return value if isinstance(value, str) and value in ("same", "valid") else _extent(value, 0, (2, 4))


def _table(param: Param, value: object) -> Value | _No:
    if not isinstance(value, (list, tuple)) or not value:
        return _NO
    rows = [_list(row, 0) for row in cast(Sequence[object], value)]
    return _NO if any(row is _NO for row in rows) else tuple(cast(Value, row) for row in rows)


_KINDS: dict[Kind, Callable[[Param, object], Value | _No]] = {
    Kind.COUNT: lambda param, value: _whole(value, 1),
    Kind.WHOLE: lambda param, value: _whole(value, 0),
    Kind.INTEGER: lambda param, value: _whole(value),
    Kind.NUMBER: _number,
    Kind.PROBABILITY: _probability,
    Kind.FLAG: _flag,
    Kind.CHOICE: _choice,
    Kind.SIZE: lambda param, value: _extent(value, 1, (2,)),
    Kind.PADDING: _padding,
    Kind.WHOLES: lambda param, value: _list(value, -LARGEST),
    Kind.COUNTS: lambda param, value: _list(value, 1),
    Kind.MARGIN: lambda param, value: _extent(value, 0, (2,)),
    Kind.SIDES: lambda param, value: _extent(value, 0, (2, 4)),
    Kind.TABLE: _table,
}

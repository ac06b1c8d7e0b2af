"""Numbers as a class may print them: in normal form over the symbols of its block, or as plain constants.

An expression is kept only where Python would compute the very value with it; what fails that test becomes a constant.
Whole numbers are compared as polynomials. Fractions are never rearranged, for floats would give other bits.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Union, cast

from archdsl.emit.torch.polynomial import Memo, Polynomial, constant, folded, normal_form, substituted
from archdsl.scalar import Expr, Number, Scalar, exact

_DEEPEST = 12


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number. `raw` is how the author wrote it, which may read better than the normal form."""

    polynomial: Polynomial
    raw: Expr | None = field(default=None, compare=False)

    @property
    def constant(self) -> int | None:
        return self.polynomial.constant


@dataclass(frozen=True, slots=True)
class Inexact:
    """An expression whose value is a float in Python, printed as it was written."""

    expr: Expr


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant fraction."""

    value: Fraction


Form = Union[Whole, Inexact, Literal]


def constant_form(value: Number) -> Whole | Literal:
    """A number without symbols."""
    value = exact(value)
    return Whole(constant(value)) if isinstance(value, int) else Literal(value)


def symbols_of(form: Form) -> frozenset[str]:
    """The symbols that the printed form names."""
    if isinstance(form, Whole):
        return form.polynomial.symbols()
    return frozenset(names_in(form.expr)) if isinstance(form, Inexact) else frozenset()


class Resolver:
    """Turns the numbers of one graph into forms.

    values: what the graph's symbols stand for in this instance; floats: those that are a fraction in some instance of
    the block, so that `1 - p` is the same form where p is 0 and where it is one half.
    """

    def __init__(self, values: Mapping[str, Number], floats: frozenset[str] = frozenset()) -> None:
        self._values = values
        self._floats = floats
        self._python: Memo[Any] = {}
        self._normal: Memo[Polynomial] = {}
        self._rebuilt: dict[int, tuple[Expr, Expr]] = {}

    def form(self, number: Number | Scalar) -> Form:
        """The form of a number: its expression where that gives the value, else the value."""
        if not isinstance(number, Scalar):
            return constant_form(number)
        if number.expr is None or not self._agrees(number.expr, number.value):
            return constant_form(number.value)
        if isinstance(number.value, int) and not self._floats.intersection(self._named(number.expr)):
            return self._whole(number.expr)
        return Inexact(number.expr) if _depth(number.expr) <= _DEEPEST else constant_form(number.value)

    def _named(self, expr: Expr) -> list[str]:
        return names_in(expr) if self._floats else []

    def renamed(self, number: Scalar, names: Mapping[str, Expr]) -> Scalar:
        """The number with symbols replaced by others or by constants; without any symbol left, a constant."""
        if number.expr is None:
            return number
        expr = folded(number.expr, lambda leaf: names.get(cast(str, leaf), leaf), _rebuilt, self._rebuilt)
        return Scalar(number.value, expr if any(names_in(expr)) else None)

    def _whole(self, expr: Expr) -> Whole:
        polynomial = normal_form(expr, self._normal)
        return Whole(polynomial, expr if _depth(expr) <= _DEEPEST else None)

    def _agrees(self, expr: Expr, value: Number) -> bool:
        """Whether Python, with floats for fractions, computes the value bit by bit."""
        try:
            computed = folded(expr, self._python_leaf, _computed, self._python)
        except (KeyError, ArithmeticError):
            return False
        if isinstance(value, int):
            return type(computed) is int and computed == value
        return type(computed) is float and computed == float(value)

    def _python_leaf(self, leaf: Expr) -> int | float:
        value = self._values[leaf] if isinstance(leaf, str) else leaf
        return value if isinstance(value, int) else float(cast(Fraction, value))


def replaced(form: Form, values: Mapping[str, Polynomial]) -> Form:
    """A whole form with symbols replaced by whole expressions; the author's own spelling is lost."""
    return Whole(substituted(form.polynomial, values)) if isinstance(form, Whole) else form


def names_in(expr: Expr) -> list[str]:
    """The symbols of an expression."""
    names: list[str] = []
    todo, seen = [expr], set[int]()
    while todo:
        part = todo.pop()
        if isinstance(part, str):
            names.append(part)
        elif isinstance(part, tuple) and id(part) not in seen:
            seen.add(id(part))
            todo.extend(part[1:])
    return names


def _depth(expr: Expr) -> int:
    """How deep an expression is nested, as far as that matters."""
    level: list[Expr] = [expr]
    depth = 0
    while level and depth <= _DEEPEST:
        level = [part for node in level if isinstance(node, tuple) for part in cast("tuple[Expr, ...]", node[1:])]
        depth += 1
    return depth


def _rebuilt(sign: str, parts: list[Expr]) -> Expr:
    """An operation on parts some of which may have become constants; neutral elements go."""
    a, b = parts[0], parts[-1]
    if len(parts) == 2 and (sign, b) in _NEUTRAL_RIGHT:
        return a
    if len(parts) == 2 and (sign, a) in _NEUTRAL_LEFT:
        return b
    return (sign, *parts)


_NEUTRAL_RIGHT: frozenset[tuple[str, Any]] = frozenset({("+", 0), ("-", 0), ("*", 1), ("//", 1)})
_NEUTRAL_LEFT: frozenset[tuple[str, Any]] = frozenset({("+", 0), ("*", 1)})


def _computed(sign: str, operands: list[Any]) -> Any:
    return _PYTHON[sign](*operands)


def _divided(a: Any, b: Any) -> Any:
    return a / b


def _floored(a: Any, b: Any) -> Any:
    return a // b


_PYTHON: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divided,
    "//": _floored,
    "%": operator.mod,
    "neg": operator.neg,
    "max": max,
    "min": min,
}

"""Exact numbers that remember how they were made.

A block's body is evaluated once per distinct call. Every number in it carries, beside its exact value, the expression
over the block's own parameters and input sizes that produced it, so that the generated class can say `4 * width`
where the value is 64. An expression is dropped (the number becomes a plain constant) wherever Python's arithmetic
would not give back the exact value; code generation then falls back to the constant.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import reduce
from typing import Any, Union

Number = Union[int, Fraction]
# A leaf is a parameter name (str) or a number; an inner node is (operator, operand, ...).
Expr = Union[str, int, Fraction, tuple[Any, ...]]


def exact(value: Number) -> Number:
    """The value as an int where it is whole."""
    return value.numerator if value.denominator == 1 else value


class Scalar:
    """An exact number with its expression; `expr` is None for a constant. Compares and hashes by value."""

    __slots__ = ("expr", "value")

    def __init__(self, value: Number, expr: Expr | None = None) -> None:
        self.value = value if type(value) is int else exact(value)
        self.expr = expr

    @property
    def is_whole(self) -> bool:
        return isinstance(self.value, int)

    @property
    def term(self) -> Expr:
        """The expression, or the value itself for a constant."""
        return self.value if self.expr is None else self.expr

    def __add__(self, other: Operand) -> Scalar:
        return _binary("+", self, other, self.value + value_of(other))

    def __sub__(self, other: Operand) -> Scalar:
        return _binary("-", self, other, self.value - value_of(other))

    def __mul__(self, other: Operand) -> Scalar:
        return _binary("*", self, other, self.value * value_of(other))

    def __truediv__(self, other: Operand) -> Scalar:
        return _binary("/", self, other, _quotient(self.value, value_of(other)))

    def __floordiv__(self, other: Operand) -> Scalar:
        return _binary("//", self, other, self.value // value_of(other))

    def __mod__(self, other: Operand) -> Scalar:
        return _binary("%", self, other, self.value % value_of(other))

    def __radd__(self, other: Operand) -> Scalar:
        return _binary("+", other, self, value_of(other) + self.value)

    def __rsub__(self, other: Operand) -> Scalar:
        return _binary("-", other, self, value_of(other) - self.value)

    def __rmul__(self, other: Operand) -> Scalar:
        return _binary("*", other, self, value_of(other) * self.value)

    def __rfloordiv__(self, other: Operand) -> Scalar:
        return _binary("//", other, self, value_of(other) // self.value)

    def __neg__(self) -> Scalar:
        return Scalar(-self.value, None if self.expr is None else fitting(("neg", self.expr)))

    def __int__(self) -> int:
        return int(self.value)

    def __index__(self) -> int:
        if not isinstance(self.value, int):
            raise TypeError("not a whole number")
        return self.value

    def __float__(self) -> float:
        return float(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __eq__(self, other: object) -> bool:
        if type(other) is Scalar:  # most are; to ask whether something is a Fraction takes long
            return self.value == other.value
        return isinstance(other, (int, Fraction)) and self.value == other

    def __lt__(self, other: Operand) -> bool:
        return self.value < value_of(other)

    def __le__(self, other: Operand) -> bool:
        return self.value <= value_of(other)

    def __gt__(self, other: Operand) -> bool:
        return self.value > value_of(other)

    def __ge__(self, other: Operand) -> bool:
        return self.value >= value_of(other)

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"Scalar({self.value}, {self.expr!r})"

    def __str__(self) -> str:
        return str(self.value)


Operand = Union[int, Fraction, Scalar]


def value_of(operand: Operand) -> Number:
    """The exact value of a number, traced or not."""
    return operand.value if isinstance(operand, Scalar) else operand


def term_of(operand: Operand) -> Expr:
    """The expression of a number; its value where it has none."""
    if isinstance(operand, Scalar):
        return operand.value if operand.expr is None else operand.expr
    return operand


def _quotient(a: Number, b: Number) -> Number:
    """The exact `a / b`; whole ones, which most are in a network, without a Fraction on the way."""
    if isinstance(a, int) and isinstance(b, int):
        return Fraction(a, b) if a % b else a // b
    return Fraction(a) / b


def _binary(operator: str, left: Operand, right: Operand, value: Number) -> Scalar:
    result = Scalar(value)
    if (isinstance(left, Scalar) and left.expr is not None) or (isinstance(right, Scalar) and right.expr is not None):
        result.expr = _simplified(operator, left, right, result.value)
    return result


def _simplified(operator: str, left: Operand, right: Operand, value: Number) -> Expr | None:
    """The expression of an operation, without neutral elements; None where Python's own would not be exact."""
    a, b = term_of(left), term_of(right)
    whole = isinstance(value_of(left), int) and isinstance(value_of(right), int)
    if isinstance(value, int) and not whole:
        return None  # 6/4 * 2 is 3 here and 3.0 there
    if operator == "/" and whole and isinstance(value, int):
        operator = "//"
    if (operator in ("+", "-") and b == 0) or (operator in ("*", "/", "//") and b == 1):
        return a
    if (operator == "+" and a == 0) or (operator == "*" and a == 1):
        return b
    return fitting((operator, a, b)) if isinstance(a, tuple) or isinstance(b, tuple) else (operator, a, b)


_LARGEST = 100  # parts of an expression; a line that long says nothing to anyone, and a few calls can double it


def fitting(expr: Expr) -> Expr | None:
    """The expression, or None where it is too large to be kept."""
    count, waiting = 0, [expr]
    while waiting and count <= _LARGEST:
        part = waiting.pop()
        if isinstance(part, tuple):
            count += 1
            waiting += part[1:]
    return expr if count <= _LARGEST else None


def substitute(expr: Expr, bindings: dict[str, Expr]) -> Expr:
    """`expr` with its parameter names replaced."""
    if isinstance(expr, str):
        return bindings.get(expr, expr)
    if isinstance(expr, tuple):
        return (expr[0], *(substitute(part, bindings) for part in expr[1:]))
    return expr


def has_symbols(expr: Expr) -> bool:
    """Whether a parameter name stands in `expr`."""
    if isinstance(expr, tuple):
        return any(has_symbols(part) for part in expr[1:])
    return isinstance(expr, str)


def evaluate(expr: Expr, bindings: dict[str, Number]) -> Number:
    """The value of `expr` where its parameters have the values in `bindings`.

    Raises KeyError for a parameter without a value.
    """
    if isinstance(expr, str):
        return bindings[expr]
    if not isinstance(expr, tuple):
        return expr
    operands = [evaluate(part, bindings) for part in expr[1:]]
    return -operands[0] if expr[0] == "neg" else exact(reduce(_OPERATORS[expr[0]], operands))


_OPERATORS: dict[str, Callable[[Number, Number], Number]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: Fraction(a) / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "max": max,
    "min": min,
}

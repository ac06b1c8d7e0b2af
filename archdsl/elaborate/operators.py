"""Arithmetic, comparison and repetition: what the operators mean for each kind of value."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

from archdsl.elaborate import errors
from archdsl.elaborate.values import UNKNOWN, Repeat, Value, is_layer, is_tensor, shown
from archdsl.limits import EXPONENT, NUMBER
from archdsl.scalar import Scalar, value_of
from archdsl.source import Span

if TYPE_CHECKING:
    from archdsl.elaborate.frame import Frame

_ELEMENTWISE = {"+": "add", "-": "sub", "*": "mul"}


def combine(operator: str, left: Value, right: Value, frame: Frame, span: Span) -> Value:
    """`left operator right`, for `+ - * / // %`."""
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    if isinstance(left, Scalar) and isinstance(right, Scalar):
        return arithmetic(operator, left, right, frame, span)
    if is_tensor(left) or is_tensor(right):
        return _with_tensor(operator, left, right, frame, span)
    if operator == "*" and is_layer(left) and isinstance(right, Scalar):
        return Repeat(left, right, span)
    if operator == "+" and isinstance(left, tuple) and isinstance(right, tuple):
        frame.check_items(len(left) + len(right), span)
        return left + right
    hint = "a row of copies is written `layer * n`" if operator == "*" and is_layer(right) else None
    frame.report(errors.wrong_operands(span, operator, left, right, hint))
    return UNKNOWN


def arithmetic(operator: str, left: Scalar, right: Scalar, frame: Frame, span: Span) -> Value:
    """Exact arithmetic; a result beyond all use is refused, not rounded."""
    if operator in ("/", "//", "%") and right.value == 0:
        frame.report(errors.bad_arithmetic(span, "this divides by zero"))
        return UNKNOWN
    return bounded(_NUMERIC[operator](left, right), frame, span)


_NUMERIC: dict[str, Callable[[Scalar, Scalar], Scalar]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}


def bounded(number: Scalar, frame: Frame, span: Span) -> Value:
    """The number, unless it is too large to be meant."""
    value = number.value
    if max(abs(value.numerator), value.denominator).bit_length() > NUMBER.value:
        frame.report(errors.bad_arithmetic(span, f"this number has more than {NUMBER}"))
        return UNKNOWN
    return number


def power(base: Value, exponent: Value, frame: Frame, span: Span) -> Value:
    """`base ^ exponent`, for whole exponents."""
    if base is UNKNOWN or exponent is UNKNOWN:
        return UNKNOWN
    if not isinstance(base, Scalar) or not isinstance(exponent, Scalar):
        frame.report(errors.wrong_operands(span, "^", base, exponent))
        return UNKNOWN
    times = exponent.value
    if not isinstance(times, int):
        frame.report(errors.not_whole(span, "an exponent", f"this is {shown(exponent)}"))
        return UNKNOWN
    if abs(times) > EXPONENT.value:
        frame.report(errors.bad_arithmetic(span, f"an exponent is at most {EXPONENT.value}, not {shown(exponent)}"))
        return UNKNOWN
    if base.value == 0 and times < 0:
        frame.report(errors.bad_arithmetic(span, "this divides by zero"))
        return UNKNOWN
    result = Scalar(1)
    for _ in range(abs(times)):
        result = result * base
    return bounded(result if times >= 0 else Scalar(1 / Fraction(result.value)), frame, span)


def negate(value: Value, frame: Frame, span: Span) -> Value:
    """`-value`."""
    if isinstance(value, Scalar):
        return -value
    if is_tensor(value):
        return _affine(value, frame, span, scale=Scalar(-1))
    if value is not UNKNOWN:
        frame.report(errors.wrong_operands(span, "-", Scalar(0), value))
    return UNKNOWN


def compare(operator: str, left: Value, right: Value, frame: Frame, span: Span) -> Value:
    """A comparison: equality of any two plain values, order of numbers."""
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    if operator in ("==", "!="):
        return _equality(operator, left, right, frame, span)
    if not isinstance(left, Scalar) or not isinstance(right, Scalar):
        frame.report(errors.wrong_operands(span, operator, left, right))
        return UNKNOWN
    a, b = left.value, right.value
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator]


def _equality(operator: str, left: Value, right: Value, frame: Frame, span: Span) -> Value:
    for value in (left, right):
        if not (value is None or isinstance(value, (Scalar, bool, str, tuple))):
            frame.report(errors.wrong_operands(span, operator, left, right))
            return UNKNOWN
    equal = type(left) is type(right) and left == right
    return equal == (operator == "==")


def _with_tensor(operator: str, left: Value, right: Value, frame: Frame, span: Span) -> Value:
    if is_tensor(left) and is_tensor(right) and operator in _ELEMENTWISE:
        from archdsl.elaborate.merges import merge

        return merge(_ELEMENTWISE[operator], (left, right), {}, frame, span, f"`{operator}`")
    if isinstance(right, Scalar):
        return _tensor_and_number(operator, left, right, frame, span)
    if isinstance(left, Scalar):
        return _number_and_tensor(operator, left, right, frame, span)
    hint = "apply it first: `x -> ...`" if is_layer(left) or is_layer(right) else None
    frame.report(errors.wrong_operands(span, operator, left, right, hint))
    return UNKNOWN


def _tensor_and_number(operator: str, tensor: Value, number: Scalar, frame: Frame, span: Span) -> Value:
    if operator == "/" and number.value != 0:
        return _affine(tensor, frame, span, scale=Scalar(1 / Fraction(value_of(number))))
    if operator == "*":
        return _affine(tensor, frame, span, scale=number)
    if operator in ("+", "-"):
        return _affine(tensor, frame, span, shift=number if operator == "+" else -number)
    frame.report(errors.wrong_operands(span, operator, tensor, number))
    return UNKNOWN


def _number_and_tensor(operator: str, number: Scalar, tensor: Value, frame: Frame, span: Span) -> Value:
    if operator == "*":
        return _affine(tensor, frame, span, scale=number)
    if operator in ("+", "-"):
        return _affine(tensor, frame, span, scale=Scalar(1 if operator == "+" else -1), shift=number)
    frame.report(errors.wrong_operands(span, operator, number, tensor))
    return UNKNOWN


def _affine(tensor: Value, frame: Frame, span: Span, **attrs: Scalar) -> Value:
    from archdsl.elaborate.apply import apply
    from archdsl.elaborate.values import OpLayer
    from archdsl.ops import OPS

    return apply(OpLayer(OPS["affine"], dict(attrs), span), tensor, frame, span)

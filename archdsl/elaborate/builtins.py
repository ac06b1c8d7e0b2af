"""The functions of the language itself, one table: whole-number arithmetic, lists, rows of layers, and the merges,
which on numbers are arithmetic (`max(1, 2)`) and on tensors layers (`max(a, b)`)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING, cast

from archdsl.elaborate import errors
from archdsl.elaborate.arguments import Given, check_op, match
from archdsl.elaborate.evaluate import each_item, evaluate, given_arguments
from archdsl.elaborate.functions import call_function
from archdsl.elaborate.lists import as_list
from archdsl.elaborate.merges import branches, merge
from archdsl.elaborate.operators import arithmetic
from archdsl.elaborate.values import (
    UNKNOWN,
    Function,
    Layer,
    OpLayer,
    Sequence,
    Value,
    described,
    is_layer,
    is_tensor,
)
from archdsl.ir.graph import Node
from archdsl.ops import OPS
from archdsl.scalar import Expr, Scalar
from archdsl.source import Span
from archdsl.syntax import ast

if TYPE_CHECKING:
    from archdsl.elaborate.frame import Frame

Run = Callable[[str, list[Value], ast.Apply, "Frame"], Value]


def call_builtin(name: str, expr: ast.Apply, frame: Frame) -> Value:
    """`name(arguments)` for a function of the language."""
    if name in _MERGES:
        return _call_merge(name, expr, frame)
    given = [arg for argument in expr.arguments for arg in given_arguments(argument, frame)]
    least, most, run = BUILTINS[name]
    names = _PARAMETERS.get(name, ("value",))
    values = [value for _, value, _ in given]
    named = next((argument for argument, _, _ in given if argument is not None), None)
    if named is not None:
        frame.report(errors.unknown_argument(named.span, named.text, name, ()))
    elif len(values) > most:
        frame.report(errors.too_many_arguments(given[most][2], name, most, len(values)))
    elif len(values) < least:
        frame.report(errors.missing_argument(expr.span, name, names[len(values) :]))
    elif not any(value is UNKNOWN for value in values):
        return run(name, values, expr, frame)
    return UNKNOWN


# ---- numbers ----------------------------------------------------------------------------------------------------


def half_up(value: Fraction | int) -> int:
    """The nearest whole number; halves go up, as in the Torch code of the papers."""
    return floor(value + Fraction(1, 2))


_ROUNDED: dict[str, Callable[[Fraction | int], int]] = {"floor": floor, "ceil": ceil, "round": half_up}


def _rounded(name: str, values: list[Value], expr: ast.Apply, frame: Frame) -> Value:
    number = values[0]
    if not isinstance(number, Scalar):
        return _not_numbers(name, values, expr, frame)
    return Scalar(_ROUNDED[name](number.value), _rounding_expression(name, number))


def _rounding_expression(name: str, number: Scalar) -> Expr | None:
    """`floor(a / b)` as Python's exact `a // b`; anything else stays a constant."""
    if number.is_whole:
        return number.expr
    expr = number.expr
    if name == "floor" and isinstance(expr, tuple) and expr[0] == "/":
        return ("//", expr[1], expr[2])
    return None


def _absolute(name: str, values: list[Value], expr: ast.Apply, frame: Frame) -> Value:
    number = values[0]
    if not isinstance(number, Scalar):
        return _not_numbers(name, values, expr, frame)
    return number if number.value >= 0 else -number


def _not_numbers(name: str, values: list[Value], expr: ast.Apply, frame: Frame) -> Value:
    wrong = next(v for v in values if not isinstance(v, Scalar))
    frame.report(errors.wrong_argument(expr.span, name, f"takes numbers, got {described(wrong)}"))
    return UNKNOWN


def _fold_numbers(name: str, numbers: tuple[Scalar, ...], frame: Frame, span: Span) -> Value:
    """`sum`, `mean`, `max`, `min` of numbers."""
    if not numbers:
        return Scalar(0)
    result: Value = numbers[0]
    for number in numbers[1:]:
        if not isinstance(result, Scalar):
            return result
        if name in ("sum", "mean"):
            result = arithmetic("+", result, number, frame, span)
        elif (number > result) == (name == "max"):
            result = number
    if name == "mean" and isinstance(result, Scalar):
        return arithmetic("/", result, Scalar(len(numbers)), frame, span)
    return result


# ---- lists ------------------------------------------------------------------------------------------------------


def _length(name: str, values: list[Value], expr: ast.Apply, frame: Frame) -> Value:
    items = as_list(values[0], frame, expr.arguments[0].span)
    return UNKNOWN if items is None else Scalar(len(items))


def _zip(name: str, values: list[Value], expr: ast.Apply, frame: Frame) -> Value:
    lists = [as_list(value, frame, expr.span) for value in values]
    if any(items is None for items in lists):
        return UNKNOWN
    known = [items for items in lists if items is not None]
    if len({len(items) for items in known}) > 1:
        lengths = ", ".join(str(len(items)) for items in known)
        frame.report(errors.wrong_argument(expr.span, name, f"takes lists of one length, got {lengths}"))
        return UNKNOWN
    return tuple(zip(*known, strict=True))


def _reversed(name: str, values: list[Value], expr: ast.Apply, frame: Frame) -> Value:
    items = as_list(values[0], frame, expr.arguments[0].span)
    return UNKNOWN if items is None else items[::-1]


def _fold(name: str, values: list[Value], expr: ast.Apply, frame: Frame) -> Value:
    """`fold(step, start, list)`: the last value of `acc = step(acc, item)`; `scan` gives all, start left out."""
    step, value = values[0], values[1]
    items = as_list(values[2], frame, expr.arguments[-1].span)
    if items is None:
        return UNKNOWN
    if not isinstance(step, Function):
        frame.report(errors.wrong_argument(expr.span, name, f"takes a function first, got {described(step)}"))
        return UNKNOWN
    passed: list[Value] = []
    for item in items:
        arguments: list[Given] = [(None, value, expr.span), (None, item, expr.span)]
        value = call_function(step, arguments, frame, expr.span)
        if value is UNKNOWN:
            return UNKNOWN
        passed.append(value)
    return tuple(passed) if name == "scan" else value


def _chain(name: str, values: list[Value], expr: ast.Apply, frame: Frame) -> Value:
    """`chain(layers)`: a row of layers, from a comprehension, a list, or one after the other."""
    layers: list[Layer] = []
    for value in values[0] if len(values) == 1 and isinstance(values[0], tuple) else values:
        if not is_layer(value):
            frame.report(errors.wrong_argument(expr.span, name, f"takes layers, got {described(value)}"))
            return UNKNOWN
        layers.append(value)
    return Sequence(tuple(layers), expr.span, grouped=True)


# ---- merges -----------------------------------------------------------------------------------------------------


def _call_merge(name: str, expr: ast.Apply, frame: Frame) -> Value:
    """A merge: of the tensors of a comprehension, of tensors one by one or in lists; or of numbers."""
    tensors = [a for a in expr.arguments if a.name is None]
    options: list[Given] = [(a.name, evaluate(a.value, frame), a.span) for a in expr.arguments if a.name is not None]
    if len(tensors) == 1 and isinstance(tensors[0].value, ast.Comprehension):
        return _merge_items(name, tensors[0].value, options, expr, frame)
    values = _spread([evaluate(a.value, frame) for a in tensors])
    if any(value is UNKNOWN for value in values):
        return UNKNOWN
    if name in _NUMERIC_MERGES and values and all(isinstance(v, Scalar) for v in values) and not options:
        return _fold_numbers(name, cast(tuple[Scalar, ...], values), frame, expr.span)
    if values and not any(map(is_tensor, values)):
        return _not_tensors(name, values, options, expr, frame)
    attrs = _options(name, options, frame, expr.span)
    if attrs is None:
        return UNKNOWN
    if not values:  # `(a, b) -> concat(axis=1)`
        return OpLayer(OPS[name], attrs, expr.span)
    return merge(name, values, attrs, frame, expr.span)


def _spread(values: list[Value]) -> tuple[Value, ...]:
    return tuple(part for value in values for part in (value if isinstance(value, tuple) else (value,)))


def _options(name: str, options: list[Given], frame: Frame, span: Span) -> dict[str, Value] | None:
    names = [param.name for param in OPS[name].params]
    bound = match(name, names, {}, options, frame, span)
    if bound is None:
        return None
    return bound if check_op(OpLayer(OPS[name], bound, span), options, frame) else None


def _not_tensors(name: str, values: tuple[Value, ...], options: list[Given], expr: ast.Apply, frame: Frame) -> Value:
    wrong = next(v for v in values if not isinstance(v, Scalar) or name not in _NUMERIC_MERGES or options)
    hint = "apply the layers first: `x -> ...`" if is_layer(wrong) else None
    frame.report(errors.wrong_argument(expr.span, name, f"merges tensors, got {described(wrong)}", hint))
    return UNKNOWN


def _merge_items(name: str, loop: ast.Comprehension, options: list[Given], expr: ast.Apply, frame: Frame) -> Value:
    runs: list[tuple[list[Node], Value]] = []

    def run(inner: Frame) -> Value:
        with inner.detached() as nodes:
            value = evaluate(loop.item, inner)
        runs.append((nodes, value))
        return value

    values = [value for value, _ in each_item(loop, frame, run)]
    if any(value is UNKNOWN for value in values):
        return UNKNOWN
    if name in _NUMERIC_MERGES and all(isinstance(v, Scalar) for v in values) and not options:
        return _fold_numbers(name, cast(tuple[Scalar, ...], tuple(values)), frame, expr.span)
    attrs = _options(name, options, frame, expr.span)
    return UNKNOWN if attrs is None else branches(name, attrs, runs, frame, expr.span)


_MERGES = frozenset(name for name, op in OPS.items() if op.inputs[1] is None or op.inputs[0] > 1)
_NUMERIC_MERGES = frozenset(["sum", "mean", "max", "min"])
_PARAMETERS = {"fold": ("step", "start", "list"), "scan": ("step", "start", "list")}
_MANY = 10_000

# name: (fewest arguments, most, what it does)
BUILTINS: dict[str, tuple[int, int, Run]] = {
    "floor": (1, 1, _rounded),
    "ceil": (1, 1, _rounded),
    "round": (1, 1, _rounded),
    "abs": (1, 1, _absolute),
    "len": (1, 1, _length),
    "zip": (1, _MANY, _zip),
    "reversed": (1, 1, _reversed),
    "fold": (3, 3, _fold),
    "scan": (3, 3, _fold),
    "chain": (0, _MANY, _chain),
    **dict.fromkeys(sorted(_MERGES), (0, _MANY, _chain)),
}

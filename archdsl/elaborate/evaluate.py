"""Expressions to values: one function per kind of expression, found in one table.

The tree is no deeper than its brackets, which the lexer bounds; operator chains are flat.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

from archdsl.elaborate import errors
from archdsl.elaborate.apply import apply
from archdsl.elaborate.arguments import Given
from archdsl.elaborate.derivation import report_not_whole
from archdsl.elaborate.frame import Frame, TooMuch
from archdsl.elaborate.functions import call, call_function
from archdsl.elaborate.lists import as_list, take_apart
from archdsl.elaborate.merges import settled
from archdsl.elaborate.operators import combine, compare, negate, power
from archdsl.elaborate.values import (
    COMPOUND,
    UNKNOWN,
    BlockLayer,
    Builtin,
    Function,
    Layer,
    OpLayer,
    Sequence,
    Value,
    is_layer,
    is_tensor,
)
from archdsl.ops import OPS
from archdsl.scalar import Scalar
from archdsl.source import Span
from archdsl.syntax import ast


def evaluate(expr: ast.Expr, frame: Frame) -> Value:
    """The value of an expression; UNKNOWN after an error, which is then reported."""
    frame.enter(expr.span, 1)
    try:
        value = _EVALUATORS[type(expr)](expr, frame)
    finally:
        frame.session.level -= 1
    if type(value) in COMPOUND and not isinstance(expr, ast.Name):
        frame.weigh(value, expr.span)
    return value


def evaluate_alone(expr: ast.Expr, frame: Frame) -> Value:
    """The value of an expression that stands in no network; UNKNOWN also where a limit is reached."""
    try:
        return evaluate(expr, frame)
    except TooMuch:
        return UNKNOWN


# ---- leaves -----------------------------------------------------------------------------------------------------


def _name(expr: ast.Name, frame: Frame) -> Value:
    binding = frame.look_up(expr.text)
    if binding is not None:
        binding.used = True
        return binding.value
    return top_level(expr, frame)


def top_level(expr: ast.Name, frame: Frame) -> Value:
    """A name that no body has given: of the file, of an import, of the language."""
    found = frame.module.names.get(expr.text)
    if found is not None:
        home, declaration = found
        if isinstance(declaration, ast.Constant):
            return _constant(declaration, home, frame, expr.span)
        if isinstance(declaration, ast.Function):
            return Function(declaration, _file_frame(frame, home))
        if declaration.name.text and isinstance(declaration, (ast.Block, ast.ExternDecl)):
            return BlockLayer(declaration, home, {}, expr.span)
    if (builtin := _builtin(expr.text)) is not None:
        return builtin
    op = OPS.get(expr.text)
    return UNKNOWN if op is None else OpLayer(op, {}, expr.span)  # unknown names are said by `resolve`


@lru_cache(1024)  # the import inside is slow, and this is asked for every layer
def _builtin(name: str) -> Builtin | None:
    from archdsl.elaborate.builtins import BUILTINS

    return Builtin(name) if name in BUILTINS else None


def _file_frame(frame: Frame, home: Any) -> Frame:
    """A scope with nothing but the names of a file in sight."""
    return Frame(frame.session, home, frame.assembly, {}, None, frame.site, frame.place)


def _constant(declaration: ast.Constant, home: Any, frame: Frame, span: Span) -> Value:
    constants, running = frame.session.constants, frame.session.running
    if declaration not in constants:
        constants[declaration] = UNKNOWN
        with frame.deeper(declaration.span), frame.running(declaration):
            constants[declaration] = evaluate(declaration.value, _file_frame(frame, home))
    elif declaration in running:
        frame.report(errors.endless(span, declaration.name.text, "needs its own value"))
    return constants[declaration]


def _number(expr: ast.Number, frame: Frame) -> Value:
    return Scalar(expr.value)


def _text(expr: ast.Text, frame: Frame) -> Value:
    return expr.value


def _literal(expr: ast.Literal, frame: Frame) -> Value:
    return expr.value


def _wildcard(expr: ast.Wildcard, frame: Frame) -> Value:
    frame.report(errors.wrong_place(expr.span, "_", "an expression", "it stands for any size in a shape annotation"))
    return UNKNOWN


# ---- brackets ---------------------------------------------------------------------------------------------------


def _group(expr: ast.Group, frame: Frame) -> Value:
    if len(expr.items) == 1:
        return evaluate(expr.items[0], frame)
    return tuple(evaluate(item, frame) for item in expr.items)


def _list(expr: ast.ListOf, frame: Frame) -> Value:
    values: list[Value] = []
    for item in expr.items:
        if isinstance(item, ast.Comprehension):
            values.extend(comprehend(item, frame))
        else:
            values.append(evaluate(item, frame))
    frame.check_items(len(values), expr.span)
    return tuple(values)


def _comprehension(expr: ast.Comprehension, frame: Frame) -> Value:
    return tuple(comprehend(expr, frame))


def comprehend(expr: ast.Comprehension, frame: Frame) -> list[Value]:
    """The items of a comprehension."""
    return [value for value, _ in each_item(expr, frame, lambda inner: evaluate(expr.item, inner))]


def each_item(expr: ast.Comprehension, frame: Frame, run: Callable[[Frame], Value]) -> list[tuple[Value, int]]:
    """`run` in a scope for each item that the comprehension goes through."""
    source = evaluate(expr.source, frame)
    items = as_list(source, frame, expr.source.span)
    if items is None:
        return [(UNKNOWN, 0)]
    results: list[tuple[Value, int]] = []
    for index, item in enumerate(items):
        inner = frame.inner()
        inner.place = _joined_place(frame.place, f"item {index + 1} of {len(items)}")
        if not take_apart(expr.names, item, inner, expr.source.span):
            return [(UNKNOWN, 0)]
        if expr.condition is None or truth(expr.condition, inner):
            results.append((run(inner), index))
    return results


def _joined_place(place: str, more: str) -> str:
    return f"{place}, {more}" if place else more


def _index(expr: ast.Index, frame: Frame) -> Value:
    value, index = evaluate(expr.value, frame), evaluate(expr.index, frame)
    items = as_list(value, frame, expr.value.span)
    if items is None or index is UNKNOWN:
        return UNKNOWN
    if not isinstance(index, Scalar) or not isinstance(index.value, int) or not 0 <= index.value < len(items):
        frame.report(errors.no_such_item(expr.index.span, index, len(items)))
        return UNKNOWN
    return items[index.value]


_DIMENSIONS = {1: ("features",), 2: ("tokens", "features"), 3: ("channels", "height", "width")}


def dimension_names(rank: int) -> tuple[str, ...]:
    """What the dimensions of a tensor of that rank are called."""
    return _DIMENSIONS.get(rank, tuple(f"size{i}" for i in range(rank)))


def _attribute(expr: ast.Attribute, frame: Frame) -> Value:
    value = evaluate(expr.value, frame)
    if value is UNKNOWN:
        return UNKNOWN
    if not is_tensor(value):
        frame.report(errors.unknown_attribute(expr.name.span, expr.name.text, (), "this value"))
        return UNKNOWN
    wire = settled(value, frame)
    sizes = dict(zip(dimension_names(len(wire.shape)), wire.shape, strict=True))
    if expr.name.text == "shape":
        return tuple(_size(d) for d in wire.shape)
    if expr.name.text not in sizes:
        frame.report(errors.unknown_attribute(expr.name.span, expr.name.text, [*sizes, "shape"], "this tensor"))
        return UNKNOWN
    return _size(sizes[expr.name.text])


def _size(dimension: int | Scalar) -> Scalar:
    return dimension if isinstance(dimension, Scalar) else Scalar(dimension)


# ---- operators --------------------------------------------------------------------------------------------------


def _chained(expr: ast.Chained, frame: Frame) -> Value:
    operator = expr.operators[0].text
    if operator in ("and", "or"):
        return _logic(expr, operator, frame)
    if operator in ("==", "!=", "<", "<=", ">", ">="):
        return _comparisons(expr, frame)
    value = evaluate(expr.operands[0], frame)
    for sign, operand in zip(expr.operators, expr.operands[1:], strict=True):
        span = expr.span if len(expr.operands) == 2 else expr.operands[0].span.to(operand.span)
        other = evaluate(operand, frame)
        if sign.text == "*" and is_layer(value) and isinstance(other, Scalar) and not other.is_whole:
            report_not_whole("a repeat", operand, other, frame)
            return UNKNOWN
        value = combine(sign.text, value, other, frame, span)
    return value


def _logic(expr: ast.Chained, operator: str, frame: Frame) -> Value:
    for operand in expr.operands:
        value = evaluate(operand, frame)
        if value is UNKNOWN:
            return UNKNOWN
        if not isinstance(value, bool):
            frame.report(errors.not_a_condition(operand.span, value))
            return UNKNOWN
        if value == (operator == "or"):
            return value
    return operator == "and"


def _comparisons(expr: ast.Chained, frame: Frame) -> Value:
    values = [evaluate(operand, frame) for operand in expr.operands]
    for index, sign in enumerate(expr.operators):
        span = expr.operands[index].span.to(expr.operands[index + 1].span)
        holds = compare(sign.text, values[index], values[index + 1], frame, span)
        if holds is not True:
            return holds
    return True


def _unary(expr: ast.Unary, frame: Frame) -> Value:
    value = evaluate(expr.operand, frame)
    if expr.operator.text == "-":
        return negate(value, frame, expr.span)
    if value is UNKNOWN:
        return UNKNOWN
    if not isinstance(value, bool):
        frame.report(errors.not_a_condition(expr.operand.span, value))
        return UNKNOWN
    return not value


def _power(expr: ast.Power, frame: Frame) -> Value:
    return power(evaluate(expr.base, frame), evaluate(expr.exponent, frame), frame, expr.span)


def _range(expr: ast.Range, frame: Frame) -> Value:
    first, last = evaluate(expr.first, frame), evaluate(expr.last, frame)
    if first is UNKNOWN or last is UNKNOWN:
        return UNKNOWN
    for value, part in ((first, expr.first), (last, expr.last)):
        if not isinstance(value, Scalar) or not value.is_whole:
            report_not_whole("a range", part, value, frame)
            return UNKNOWN
    start, stop = int(cast(Scalar, first)), int(cast(Scalar, last))
    frame.check_items(stop - start + 1, expr.span)
    return tuple(Scalar(i) for i in range(start, stop + 1))


def _choice(expr: ast.Choice, frame: Frame) -> Value:
    outcome = condition(expr.condition, frame)
    if outcome is None:
        return UNKNOWN
    return evaluate(expr.then if outcome else expr.otherwise, frame)


def truth(expr: ast.Expr, frame: Frame) -> bool:
    """Whether a condition holds; false after an error."""
    value = evaluate(expr, frame)
    if value is not UNKNOWN and not isinstance(value, bool):
        frame.report(errors.not_a_condition(expr.span, value))
    return value is True


def condition(expr: ast.Expr, frame: Frame) -> bool | None:
    """The outcome of an `if`, noted as a decision of the block; None after an error."""
    value = evaluate(expr, frame)
    if value is UNKNOWN:
        return None
    if not isinstance(value, bool):
        frame.report(errors.not_a_condition(expr.span, value))
        return None
    frame.assembly.decisions.append((expr.span.line, value))
    return value


# ---- application ------------------------------------------------------------------------------------------------


def _arrow(expr: ast.Arrow, frame: Frame) -> Value:
    value = evaluate(expr.parts[0], frame)
    if is_layer(value) or isinstance(value, Builtin):
        return _composed(expr, value, frame)
    for part in expr.parts[1:]:
        layer = evaluate(part, frame)
        if isinstance(layer, Builtin):
            layer = _merge_layer(layer, part)
        if isinstance(layer, Function):
            layer = call_function(layer, [(None, value, part.span)], frame, part.span)
            frame.report(errors.not_a_layer(part.span, layer))
            return UNKNOWN
        value = apply(layer, value, frame, part.span)
    return value


def _merge_layer(builtin: Builtin, part: ast.Expr) -> Value:
    """`(a, b) -> concat`: a merge without arguments is a layer of several inputs."""
    return OpLayer(OPS[builtin.name], {}, part.span) if builtin.name in OPS else builtin


def _composed(expr: ast.Arrow, first: Value, frame: Frame) -> Value:
    values = [first, *(evaluate(part, frame) for part in expr.parts[1:])]
    if any(value is UNKNOWN for value in values):
        return UNKNOWN
    layers: list[Layer] = []
    for value, part in zip(values, expr.parts, strict=True):
        layer = _merge_layer(value, part) if isinstance(value, Builtin) else value
        if not is_layer(layer):
            frame.report(errors.not_a_layer(part.span, layer))
            return UNKNOWN
        layers.append(layer)
    return Sequence(tuple(layers), expr.span)


def _apply_call(expr: ast.Apply, frame: Frame) -> Value:
    callee = evaluate(expr.callee, frame)
    if isinstance(callee, Builtin):
        from archdsl.elaborate.builtins import call_builtin

        return call_builtin(callee.name, expr, frame)
    given = [arg for argument in expr.arguments for arg in given_arguments(argument, frame)]
    return call(callee, given, expr, frame)


def given_arguments(argument: ast.Argument, frame: Frame) -> list[Given]:
    """An argument, or the items of a comprehension as so many arguments."""
    if isinstance(argument.value, ast.Comprehension):
        return [(None, value, argument.span) for value in comprehend(argument.value, frame)]
    return [(argument.name, evaluate(argument.value, frame), argument.span)]


_EVALUATORS: dict[type, Callable[[Any, Frame], Value]] = {
    ast.Name: _name,
    ast.Number: _number,
    ast.Text: _text,
    ast.Literal: _literal,
    ast.Wildcard: _wildcard,
    ast.Group: _group,
    ast.ListOf: _list,
    ast.Comprehension: _comprehension,
    ast.Index: _index,
    ast.Attribute: _attribute,
    ast.Chained: _chained,
    ast.Unary: _unary,
    ast.Power: _power,
    ast.Range: _range,
    ast.Choice: _choice,
    ast.Arrow: _arrow,
    ast.Apply: _apply_call,
}

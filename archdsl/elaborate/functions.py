"""Calls: a layer configured further, or a function's value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.elaborate import errors
from archdsl.elaborate.apply import apply
from archdsl.elaborate.arguments import Given, configure, match
from archdsl.elaborate.frame import CallSite
from archdsl.elaborate.values import (
    UNKNOWN,
    BlockLayer,
    Function,
    Named,
    OpLayer,
    Sequence,
    Value,
    is_layer,
    is_tensor,
)
from archdsl.source import Span
from archdsl.syntax import ast

if TYPE_CHECKING:
    from archdsl.elaborate.frame import Frame


def call(callee: Value, given: list[Given], expr: ast.Apply, frame: Frame) -> Value:
    """`callee(given)`: a layer configured further, or a function's value."""
    if callee is UNKNOWN:
        return UNKNOWN
    if isinstance(callee, Function):
        return call_function(callee, given, frame, expr.span)
    if isinstance(callee, Named):
        inner = call(callee.layer, given, expr, frame)
        return Named(inner, callee.label, expr.span) if is_layer(inner) else inner
    if not isinstance(callee, (OpLayer, BlockLayer)):
        frame.report(errors.not_callable(expr.span, callee))
        return UNKNOWN
    if any(is_tensor(value) for _, value, _ in given):
        return _call_on_tensor(callee, given, expr, frame)
    configured = configure(callee, given, frame, expr.span, expr.arguments)
    if configured is None:
        return UNKNOWN
    if isinstance(configured, OpLayer) and configured.op.inputs == (0, 0):
        return apply(configured, (), frame, expr.span)
    return configured


def _call_on_tensor(callee: OpLayer | BlockLayer, given: list[Given], expr: ast.Apply, frame: Frame) -> Value:
    name = callee.op.name if isinstance(callee, OpLayer) else callee.block.name.text
    tensor = next(span for _, value, span in given if is_tensor(value))
    frame.report(errors.layer_on_tensor(expr.span, name, tensor.text))
    return UNKNOWN


def call_function(function: Function, given: list[Given], frame: Frame, span: Span) -> Value:
    """The value of a `fn` for its arguments. What it makes becomes part of the caller's graph."""
    from archdsl.elaborate.evaluate import evaluate

    declaration = function.declaration
    names = [param.name.text for param in declaration.params]
    bound = match(declaration.name.text, names, {}, given, frame, span)
    if bound is None:
        return UNKNOWN
    site = CallSite(frame, span, declaration.name.text, "fn", place_of(frame))
    inner = function.home.inner(site)
    inner.assembly, inner.place = frame.assembly, ""
    absent = bind_parameters(declaration.params, bound, inner)
    if absent:
        frame.report(errors.missing_argument(span, declaration.name.text, absent, declaration.name.span))
        return UNKNOWN
    with frame.deeper(span):
        value = evaluate(declaration.value, inner)
    if isinstance(value, Sequence) and not value.grouped:
        return Sequence(value.layers, span, declaration.name.text, grouped=True)
    return value


def bind_parameters(params: tuple[ast.Param, ...], bound: dict[str, Value], frame: Frame) -> tuple[str, ...]:
    """Bind parameters to their arguments or defaults, in order; the names of those that have neither."""
    from archdsl.elaborate.evaluate import evaluate

    absent: list[str] = []
    for param in params:
        name = param.name.text
        if name in bound:
            frame.bind(name, bound[name], param.name.span, None)
        elif param.default is not None:
            frame.bind(name, evaluate(param.default, frame), param.name.span, None)
        else:
            absent.append(name)
    return tuple(absent)


def place_of(frame: Frame) -> str:
    """Where in its body evaluation stands: the statement, and which unit of how many."""
    return ", ".join(part for part in (frame.assembly.statement, frame.place) if part)

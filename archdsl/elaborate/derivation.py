"""How a number came about, for messages that show their arithmetic; the one about numbers that are not whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.diagnostic import Label
from archdsl.elaborate import errors
from archdsl.elaborate.values import Binding, Value, shown
from archdsl.scalar import Scalar
from archdsl.syntax import ast

if TYPE_CHECKING:
    from archdsl.elaborate.frame import Frame


def derivation(expr: ast.Expr, value: Value, frame: Frame) -> str:
    """How a number came about: `n = (depth - 4) / 6 = 25/6, where depth = 29`."""
    binding = frame.look_up(expr.text) if isinstance(expr, ast.Name) else None
    origin = binding.origin if binding is not None else None
    text = expr.items[0].span.text if isinstance(expr, ast.Group) and len(expr.items) == 1 else expr.span.text
    if origin is not None:
        text = f"{text} = {origin.span.text}"
    known = _numbers_in(origin if origin is not None else expr, frame)
    where = f", where {', '.join(known)}" if known else ""
    if isinstance(expr, ast.Number):
        return shown(value)
    if origin is None and isinstance(expr, ast.Name):
        return f"{text} = {shown(value)}"
    return f"{text} = {shown(value)}{where}"


def report_not_whole(what: str, expr: ast.Expr, value: Value, frame: Frame) -> None:
    """Report a number that `what` needs to be whole, once for each name with a fraction: the rest follows from it."""
    values = [binding.value for binding in _bindings_in(expr, frame).values()]
    named = {value for value in values if isinstance(value, Scalar) and not value.is_whole}
    if not named & frame.session.fractions:
        frame.report(errors.not_whole(expr.span, what, derivation(expr, value, frame), origins(expr, frame)))
    frame.session.fractions |= named


def origins(expr: ast.Expr, frame: Frame) -> tuple[Label, ...]:
    """The statement that gave a name its value."""
    binding = frame.look_up(expr.text) if isinstance(expr, ast.Name) else None
    if binding is None or binding.origin is None:
        return ()
    return (Label(binding.span.to(binding.origin.span), f"this is {shown(binding.value)}"),)


def _numbers_in(expr: ast.Expr, frame: Frame) -> list[str]:
    bindings = _bindings_in(expr, frame).items()
    return [f"{name} = {shown(b.value)}" for name, b in bindings if isinstance(b.value, (Scalar, str, bool))]


def _bindings_in(expr: ast.Expr, frame: Frame) -> dict[str, Binding]:
    """The names in an expression that have a value, in order."""
    if isinstance(expr, ast.Name):
        binding = frame.look_up(expr.text)
        return {expr.text: binding} if binding is not None else {}
    parts: tuple[ast.Expr, ...] = ()
    if isinstance(expr, ast.Chained):
        parts = expr.operands
    elif isinstance(expr, ast.Group):
        parts = expr.items
    elif isinstance(expr, ast.Unary):
        parts = (expr.operand,)
    return {name: binding for part in parts for name, binding in _bindings_in(part, frame).items()}

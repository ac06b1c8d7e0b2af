"""How a number came about, for messages that show their arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.diagnostic import Label
from archdsl.elaborate.values import Value, shown
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


def origins(expr: ast.Expr, frame: Frame) -> tuple[Label, ...]:
    """The statement that gave a name its value."""
    binding = frame.look_up(expr.text) if isinstance(expr, ast.Name) else None
    if binding is None or binding.origin is None:
        return ()
    return (Label(binding.span.to(binding.origin.span), f"this is {shown(binding.value)}"),)


def _numbers_in(expr: ast.Expr, frame: Frame) -> list[str]:
    if isinstance(expr, ast.Name):
        binding = frame.look_up(expr.text)
        plain = binding is not None and isinstance(binding.value, (Scalar, str, bool))
        return [f"{expr.text} = {shown(binding.value)}"] if binding is not None and plain else []
    parts: tuple[ast.Expr, ...] = ()
    if isinstance(expr, ast.Chained):
        parts = expr.operands
    elif isinstance(expr, ast.Group):
        parts = expr.items
    elif isinstance(expr, ast.Unary):
        parts = (expr.operand,)
    found = [text for part in parts for text in _numbers_in(part, frame)]
    return list(dict.fromkeys(found))

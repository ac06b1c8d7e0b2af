"""Lists gone through and taken apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.elaborate import errors
from archdsl.elaborate.values import UNKNOWN, Value
from archdsl.source import Span
from archdsl.syntax import ast

if TYPE_CHECKING:
    from archdsl.elaborate.frame import Frame


def take_apart(names: tuple[ast.Name, ...], value: Value, frame: Frame, span: Span) -> bool:
    """Bind one name to a value, or several to the items of a list."""
    if len(names) == 1:
        frame.bind(names[0].text, value, names[0].span)
        return True
    items = as_list(value, frame, span)
    if items is None:
        return False
    if len(items) != len(names):
        frame.report(errors.wrong_count(names[0].span.to(names[-1].span), len(names), len(items)))
        return False
    for name, item in zip(names, items, strict=True):
        frame.bind(name.text, item, name.span)
    return True


def as_list(value: Value, frame: Frame, span: Span) -> tuple[Value, ...] | None:
    """The items of a list; None for anything else (reported)."""
    if isinstance(value, tuple):
        return value
    if value is not UNKNOWN:
        frame.report(errors.not_a_list(span, value))
    return None

"""The first two stages as text: what the lexer and the parser make of a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import cast

from archdsl.diagnostic import Diagnostics
from archdsl.source import Source, Span
from archdsl.syntax.ast import Name
from archdsl.syntax.lexer import tokenize
from archdsl.syntax.parser import parse
from archdsl.visible import visible


def tokens_text(source: Source, bag: Diagnostics) -> str:
    """One token a line: place, kind, text. Comments follow."""
    found = tokenize(source, bag)
    tokens = [(token.start_pos or 0, token.type, str(token)) for token in found.tokens]
    comments = [(comment.span.start, "COMMENT", comment.text) for comment in found.comments]
    return "".join(f"{_place(source, at)} {kind:10} {visible(text)}\n" for at, kind, text in tokens + comments)


def ast_text(source: Source, bag: Diagnostics) -> str:
    """The syntax tree, one node a line, indented by depth."""
    parsed = parse(source, bag)
    return "".join(f"{line}\n" for line in _tree("", parsed.file, 0)) if parsed else ""


def _place(source: Source, offset: int) -> str:
    line, column = source.position(offset)
    return f"{f'{line}:{column}':>8}"


def _tree(field: str, node: object, level: int) -> Iterator[str]:
    """A node with its plain fields on its own line, the others below."""
    span = getattr(node, "span", None)
    place = _place(span.source, span.start) if isinstance(span, Span) else " " * 8
    named = [(f.name, getattr(node, f.name)) for f in fields(node) if f.name != "span"]  # pyright: ignore[reportArgumentType]
    plain = [f" {name}={_plain(value)}" for name, value in named if not _has_nodes(value) and value not in (None, ())]
    head = f"{field}: " if field else ""
    yield f"{place} {'  ' * level}{head}{type(node).__name__}{''.join(plain)}"
    for name, value in named:
        if _has_nodes(value):
            yield from _children(name, value, level + 1)


def _children(field: str, value: object, level: int) -> Iterator[str]:
    items = cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,)
    for item in items:
        yield from _tree(field, item, level)


def _has_nodes(value: object) -> bool:
    """Whether a field holds nodes; a name alone is shown in place."""
    if isinstance(value, tuple):
        return any(map(is_dataclass, cast("tuple[object, ...]", value)))
    return is_dataclass(value) and not isinstance(value, Name)


def _plain(value: object) -> str:
    if isinstance(value, Name):
        return value.text
    return visible(repr(value) if isinstance(value, str) else str(value))

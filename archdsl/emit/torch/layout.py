"""Laying out text in lines: a document says where lines may break, `lay_out` decides where they do.

A group stays on one line where it fits; otherwise all of its own line breaks are taken, those of groups inside it
only where needed. That is also how `ruff format` thinks, so its output can be met exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Union

WIDTH = 120
STEP = 4


@dataclass(frozen=True, slots=True)
class Line:
    """A possible line break; `flat` is what stands there where it is not taken."""

    flat: str = ""


@dataclass(frozen=True, slots=True)
class IfBroken:
    """Text that appears only where the group around it is broken."""

    text: str


@dataclass(frozen=True, slots=True)
class Indent:
    """Lines that begin inside are indented one step further."""

    parts: tuple[Doc, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Parts that stay on one line together or break together; `exploded` ones break as soon as they are too long."""

    parts: tuple[Doc, ...]


Doc = Union[str, Line, IfBroken, Indent, Group]


def joined(items: Sequence[tuple[Doc, ...]], separator: tuple[Doc, ...]) -> tuple[Doc, ...]:
    """The parts of all items with `separator` between two."""
    out: list[Doc] = []
    for index, item in enumerate(items):
        out.extend(separator if index else ())
        out.extend(item)
    return tuple(out)


@dataclass(frozen=True, slots=True)
class _Task:
    indent: int
    broken: bool
    doc: Doc


def lay_out(parts: Sequence[Doc], indent: int) -> list[str]:
    """The lines of a document whose first line is indented by `indent` columns."""
    todo = [_Task(indent, True, part) for part in reversed(parts)]
    lines = [" " * indent]
    while todo:
        task = todo.pop()
        doc = task.doc
        if isinstance(doc, str):
            lines[-1] += doc
        elif isinstance(doc, Line) and task.broken:
            lines[-1] = lines[-1].rstrip()
            lines.append(" " * task.indent)
        elif isinstance(doc, Group):
            broken = not _fits(doc, WIDTH - len(lines[-1]), todo)
            todo.extend(_opened(doc.parts, task.indent, broken))
        else:
            todo.extend(_opened(_inside(doc, task.broken), _depth(task), task.broken))
    return lines


def _depth(task: _Task) -> int:
    return task.indent + STEP if isinstance(task.doc, Indent) else task.indent


def _opened(parts: Sequence[Doc], indent: int, broken: bool) -> list[_Task]:
    return [_Task(indent, broken, part) for part in reversed(parts)]


def _inside(doc: Doc, broken: bool) -> tuple[Doc, ...]:
    if isinstance(doc, Line):
        return (doc.flat,)
    if isinstance(doc, IfBroken):
        return (doc.text,) if broken else ()
    return doc.parts if isinstance(doc, (Indent, Group)) else (doc,)


def _fits(group: Group, room: int, rest: Sequence[_Task]) -> bool:
    """Whether the group on one line, and what follows it up to the next certain line break, fits in `room`."""
    todo = [_Task(0, False, group)]
    following = len(rest)
    while room >= 0:
        if not todo:
            if not following:
                return True
            following -= 1
            todo.append(rest[following])
        task = todo.pop()
        if isinstance(task.doc, str):
            room -= len(task.doc)
        elif isinstance(task.doc, Line) and task.broken:
            return True
        else:
            flat = task.broken and not isinstance(task.doc, Group)
            todo.extend(_opened(_inside(task.doc, flat), 0, flat))
    return False

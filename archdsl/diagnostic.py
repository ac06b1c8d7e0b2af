"""What archdsl has to say about a text, as plain facts; `render` turns them into something to read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from archdsl.source import Span


class Severity(IntEnum):
    """How much it matters. Errors and warnings are findings (exit code 1); notes are facts worth saying."""

    ERROR = 0
    WARNING = 1
    NOTE = 2


@dataclass(frozen=True, slots=True)
class Label:
    """A place and what is to be said of it, in a few words."""

    span: Span
    text: str = ""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: `primary` is the user's own place, `others` explain it, `notes` tell how one got there."""

    code: str
    severity: Severity
    title: str
    primary: Label
    others: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    hint: str | None = None


class Diagnostics:
    """A bag of findings; the same finding at the same place is kept once."""

    def __init__(self) -> None:
        self._found: dict[tuple[object, ...], Diagnostic] = {}

    def add(self, diagnostic: Diagnostic) -> None:
        span = diagnostic.primary.span
        key = (diagnostic.code, id(span.source), span.start, span.end)
        self._found.setdefault(key, diagnostic)

    @property
    def has_errors(self) -> bool:
        return any(d.severity is Severity.ERROR for d in self._found.values())

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Diagnostic]:
        """All findings in reading order: by file, place, severity, code."""
        return iter(sorted(self._found.values(), key=_reading_order))


def _reading_order(d: Diagnostic) -> tuple[str, int, int, str, str]:
    return d.primary.span.source.name, d.primary.span.start, int(d.severity), d.code, d.title

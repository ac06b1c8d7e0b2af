"""Findings made readable: as text with the source lines they are about, as JSON, or as GitHub's workflow commands.

The only module that turns offsets into lines and columns for people, and the last one that text from outside passes
before it reaches a terminal: nothing leaves here that `visible` would not let through.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from archdsl import limits
from archdsl.diagnostic import Diagnostic, Label, Severity
from archdsl.source import Source
from archdsl.visible import clipped, visible, width

_TAB = 4
_WINDOW = 120  # characters of a long line that are shown, about a third of them before the label
_NAMES = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
_COLOURS = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.NOTE: "1;36"}
_BOLD, _BLUE = "1", "34"


def text(found: Iterable[Diagnostic], colour: bool = False) -> str:
    """All findings as text, one after the other, with a closing line that counts them."""
    every = list(found)
    if not every:
        return ""
    shown = most_severe(every)
    parts = [one(diagnostic, colour) for diagnostic in shown]
    if len(every) > len(shown):
        parts.append(f"and {len(every) - len(shown)} more\n")
    return "\n".join([*parts, summary(every) + "\n"])


def most_severe(found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """As many findings as one run shows, errors before warnings, in the order given."""
    ranked = sorted(range(len(found)), key=lambda i: (found[i].severity, i))
    return [found[i] for i in sorted(ranked[: limits.DIAGNOSTICS.value])]


def summary(found: Iterable[Diagnostic]) -> str:
    """`2 errors, 1 warning in 1 file`."""
    every = list(found)
    counts = [(sum(d.severity is severity for d in every), name) for severity, name in _NAMES.items()]
    listed = ", ".join(counted(count, name) for count, name in counts if count)
    files = len({d.primary.span.source.name for d in every})
    return f"{listed or 'no findings'} in {counted(files, 'file')}"


def counted(count: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def one(diagnostic: Diagnostic, colour: bool = False) -> str:
    """One finding as text: title, the lines it is about, notes and hint."""
    paint = _painter(colour)
    snippets = _snippets(diagnostic)
    gutter = max(len(str(row.number)) for snippet in snippets for row in snippet.rows)
    head = f"{_NAMES[diagnostic.severity]}[{visible(diagnostic.code)}]"
    lines = [paint(_COLOURS[diagnostic.severity], head) + paint(_BOLD, f": {_clean(diagnostic.title)}")]
    for snippet in snippets:
        lines += snippet.lines(gutter, _COLOURS[diagnostic.severity], paint)
    lines += _remarks(diagnostic, gutter, paint)
    return "\n".join(lines) + "\n"


def as_json(found: Iterable[Diagnostic]) -> str:
    """All findings as one JSON document; see `docs/architecture.md` for its fields, which stay."""
    import json

    every = list(found)
    shown = most_severe(every)
    document = {
        "version": 1,
        "diagnostics": [_record(diagnostic) for diagnostic in shown],
        "omitted": len(every) - len(shown),
        "summary": {f"{name}s": sum(d.severity is severity for d in every) for severity, name in _NAMES.items()},
    }
    return json.dumps(document, indent=2) + "\n"


def github(found: Iterable[Diagnostic]) -> str:
    """All findings as GitHub workflow commands, which it shows beside the changed lines."""
    return "".join(map(_command, most_severe(list(found))))


class _Paint:
    """Puts a text in a colour, or leaves it."""

    def __call__(self, colour: str, words: str) -> str:
        return f"\x1b[{colour}m{words}\x1b[0m"


class _NoPaint(_Paint):
    def __call__(self, colour: str, words: str) -> str:
        return words


def _painter(colour: bool) -> _Paint:
    return _Paint() if colour else _NoPaint()


def _short(words: str) -> str:
    return clipped(words, limits.MESSAGE.value)


def _clean(words: str) -> str:
    return visible(_short(words))


class _Row(NamedTuple):
    """A stretch of one source line to underline: columns count code points from 0, `end` may pass the line's end."""

    number: int
    start: int
    end: int
    words: str
    primary: bool


class _Snippet(NamedTuple):
    """The labels of one finding in one source."""

    source: Source
    place: str
    rows: tuple[_Row, ...]

    def lines(self, gutter: int, colour: str, paint: _Paint) -> list[str]:
        """The place, then each line followed by its underlines."""
        lines = [f"{' ' * gutter} {paint(_BLUE, '┌─')} {visible(self.place)}"]
        last = (0, 0)
        for row in self.rows:
            line = self.source.line(row.number)
            window = _window(len(line), row, last)
            if last != (row.number, window):
                lines.append(f"{paint(_BLUE, f'{row.number:>{gutter}} │')} {_shown(line, window)}".rstrip())
            last = (row.number, window)
            marks = paint(colour if row.primary else _BLUE, _underline(line, window, row))
            lines.append(f"{' ' * gutter} {paint(_BLUE, '│')} {_indent(line, window, row)}{marks}")
        return lines


def _snippets(diagnostic: Diagnostic) -> list[_Snippet]:
    """One snippet for each source, the primary label's first."""
    labels: dict[int, list[tuple[Label, bool]]] = {}
    for label in (diagnostic.primary, *diagnostic.others):
        labels.setdefault(id(label.span.source), []).append((label, label is diagnostic.primary))
    return [_snippet(group) for group in labels.values()]


def _snippet(group: list[tuple[Label, bool]]) -> _Snippet:
    rows = [row for label, primary in group for row in _rows(label, primary)]
    rows.sort(key=lambda row: (row.number, row.start, row.end))
    span = group[0][0].span
    return _Snippet(span.source, str(span), tuple(rows))


def _rows(label: Label, primary: bool) -> list[_Row]:
    """One row for a label within a line; for a longer one its first and its last line, the words under the last."""
    source, words = label.span.source, _clean(label.text)
    first, start = source.position(label.span.start)
    last, end = source.position(max(label.span.start, label.span.end))
    if end == 1 and last > first:  # the span ends with a line end
        last -= 1
        end = len(source.line(last)) + 2
    if first == last:
        return [_Row(first, start - 1, end - 1, words, primary)]
    tail = source.line(last)
    blank = len(tail) - len(tail.lstrip())
    opening = _Row(first, start - 1, len(source.line(first)), "", primary)
    return [opening, _Row(last, min(blank, end - 1), end - 1, words, primary)]


def _window(length: int, row: _Row, last: tuple[int, int]) -> int:
    """Where the shown part of a line begins: 0 unless the line is too long, as before where that is enough."""
    if length <= _WINDOW:
        return 0
    number, window = last
    if number == row.number and window <= row.start and row.end <= window + _WINDOW:
        return window
    return min(max(0, row.start - _WINDOW // 3), length - _WINDOW)


def _shown(line: str, window: int) -> str:
    cut = line[window : window + _WINDOW]
    tail = "…" if window + _WINDOW < len(line) else ""
    return ("…" if window else "") + "".join(_cells(cut)) + tail


def _indent(line: str, window: int, row: _Row) -> str:
    before = _cells(line[window : window + _WINDOW])[: row.start - window]
    return " " * (_columns(before) + bool(window))


def _underline(line: str, window: int, row: _Row) -> str:
    cells = _cells(line[window : window + _WINDOW])[max(0, row.start - window) : max(0, row.end - window)]
    marks = ("^" if row.primary else "-") * max(1, _columns(cells))
    return f"{marks} {row.words}".rstrip()


def _cells(part: str) -> list[str]:
    """What each character of a line is shown as; a tab as the spaces up to the next stop."""
    if part.isascii() and part.isprintable():
        return list(part)
    cells: list[str] = []
    column = 0
    for char in part:
        cells.append(" " * (_TAB - column % _TAB) if char == "\t" else visible(char))
        column += _columns(cells[-1:])
    return cells


def _columns(cells: list[str]) -> int:
    text = "".join(cells)
    return len(text) if text.isascii() else sum(map(width, text))


def _remarks(diagnostic: Diagnostic, gutter: int, paint: _Paint) -> list[str]:
    remarks = [("", note) for note in diagnostic.notes]
    if diagnostic.hint:
        remarks.append(("hint: ", diagnostic.hint))
    return [line for kind, words in remarks for line in _remark(kind, words, gutter, paint)]


def _remark(kind: str, words: str, gutter: int, paint: _Paint) -> list[str]:
    first, *rest = [visible(line) for line in _short(words).split("\n")]
    head = f"{' ' * gutter} {paint(_BLUE, '=')} {paint(_BOLD, kind) if kind else ''}{first}"
    return [head, *(f"{' ' * (gutter + 3 + len(kind))}{line}" for line in rest)]


def _record(diagnostic: Diagnostic) -> dict[str, object]:
    return {
        "code": diagnostic.code,
        "severity": _NAMES[diagnostic.severity],
        "title": _short(diagnostic.title),
        **_place(diagnostic.primary),
        "labels": [{**_place(label), "text": _short(label.text)} for label in (diagnostic.primary, *diagnostic.others)],
        "notes": list(map(_short, diagnostic.notes)),
        "hint": None if diagnostic.hint is None else _short(diagnostic.hint),
    }


def _place(label: Label) -> dict[str, object]:
    line, column = label.span.position
    end_line, end_column = label.span.source.position(label.span.end)
    places = {"line": line, "column": column, "end_line": end_line, "end_column": end_column}
    return {"file": label.span.source.name, **places}


def _command(diagnostic: Diagnostic) -> str:
    kind = "notice" if diagnostic.severity is Severity.NOTE else _NAMES[diagnostic.severity]
    place = _place(diagnostic.primary)
    keys = {"file": "file", "line": "line", "endLine": "end_line", "col": "column", "endColumn": "end_column"}
    fields = [f"{key}={_property(str(place[name]))}" for key, name in keys.items()]
    title = _property(f"{diagnostic.code}: {_clean(diagnostic.title)}")
    words = [diagnostic.title, diagnostic.primary.text, *diagnostic.notes, diagnostic.hint or ""]
    return f"::{kind} {','.join(fields)},title={title}::{_message(words)}\n"


def _message(words: Iterable[str]) -> str:
    lines = [_clean(line) for part in words for line in part.split("\n") if line]
    return "%0A".join(line.replace("%", "%25") for line in lines)


def _property(value: str) -> str:
    for char, escape in (("%", "%25"), (":", "%3A"), (",", "%2C")):
        value = value.replace(char, escape)
    return visible(value)

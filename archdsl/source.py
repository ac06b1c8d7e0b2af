"""Source texts and places in them. Offsets count code points; lines and columns exist only where people read."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from archdsl.record import value

_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, eq=False)
class Source:
    """One text: its display name (a path, `<stdin>`, `std.residual`), its content, whether it is the library's."""

    name: str
    text: str
    library: bool = False
    _starts: list[int] = field(default_factory=list[int], repr=False)

    def line_starts(self) -> list[int]:
        """Offsets at which lines begin; LF, CRLF and a lone CR each end a line."""
        if not self._starts:
            self._starts.extend([0, *(match.end() for match in _LINE_END.finditer(self.text))])
        return self._starts

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1; the column counts code points."""
        starts = self.line_starts()
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of line `number` (from 1), without its line end."""
        starts = self.line_starts()
        end = starts[number] if number < len(starts) else len(self.text)
        return self.text[starts[number - 1] : end].rstrip("\r\n")


@value
class Span:
    """A half-open range of offsets in a source."""

    source: Source
    start: int
    end: int

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of `other`."""
        return Span(self.source, self.start, other.end)

    @property
    def text(self) -> str:
        """The characters under the span."""
        return self.source.text[self.start : self.end]

    @property
    def line(self) -> str:
        """The same in one line, whatever ends the lines of the source; each stretch of blanks is one."""
        return " ".join(self.text.split())

    @property
    def position(self) -> tuple[int, int]:
        """Line and column of the first character, from 1."""
        return self.source.position(self.start)

    def __str__(self) -> str:
        line, column = self.position
        return f"{self.source.name}:{line}:{column}"

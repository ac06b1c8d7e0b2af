"""Markdown with fenced sections: how golden cases and the language page are read and written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_FENCE = re.compile(r"^```(?P<info>[^\n`]+)\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Section:
    """One fenced section. `words` are those of its info line: `arch file=a.arch` has `arch` and `file=a.arch`."""

    words: tuple[str, ...]
    body: str
    line: int

    @property
    def name(self) -> str:
        return self.words[0]

    def option(self, key: str) -> str | None:
        """The value of `key=value` on the info line."""
        values = [word.partition("=")[2] for word in self.words if word.startswith(f"{key}=")]
        return values[0] if values else None

    def options(self, key: str) -> dict[str, str]:
        """All `key.name=value` of the info line by name."""
        pairs = [word.partition(".")[2].partition("=") for word in self.words if word.startswith(f"{key}.")]
        return {name: value for name, _, value in pairs}


def sections(text: str) -> list[Section]:
    """All fenced sections, in order."""
    return [
        Section(tuple(match["info"].split()), match["body"], text.count("\n", 0, match.start()) + 1)
        for match in _FENCE.finditer(text)
    ]


def replaced(text: str, bodies: dict[str, str]) -> str:
    """The text with the bodies of sections replaced, by the name of the section."""

    def section(match: re.Match[str]) -> str:
        name = match["info"].split()[0]
        return f"```{match['info']}\n{bodies[name]}```" if name in bodies else match[0]

    return _FENCE.sub(section, text)


def may_update(environment: Mapping[str, str]) -> bool:
    """Whether expected parts may be written: not where nobody reads them."""
    return not environment.get("CI")

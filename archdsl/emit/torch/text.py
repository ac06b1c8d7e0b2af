"""Text from a spec on its way into docstrings and comments: nothing in it can end them, or mislead who reads them.

What is not printable ASCII or one of a few letters and signs is written as its number. Backslashes and double quotes
become slashes and single quotes.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from archdsl.emit.torch.layout import WIDTH

_SIGNS = frozenset("×·−–—…→≤≥≈≠±°²³½¼√∑∘⊕∈⌊⌋⌈⌉’‘“”")
_LONGEST = 400
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(\[])")
_PARAGRAPH = re.compile(r"\s*\n\s*\n\s*")


def safe(text: str) -> str:
    """The text on one line, with only characters that may stand in a comment or a docstring."""
    shown = "".join(map(_shown, " ".join(text.split())))
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"


def _shown(char: str) -> str:
    if " " <= char <= "~":
        return {"\\": "/", '"': "'"}.get(char, char)
    return char if _is_letter(char) or char in _SIGNS else f"<U+{ord(char):04X}>"


def _is_letter(char: str) -> bool:
    """Letters of European names, and Greek ones for formulas."""
    code = ord(char)
    return (0xC0 <= code <= 0x17F or 0x391 <= code <= 0x3C9) and char.isalpha()


def first_sentence(text: str) -> str:
    """The first sentence of a doc comment, safe."""
    paragraph = _PARAGRAPH.split(text.strip(), maxsplit=1)[0]
    return safe(_SENTENCE.split(paragraph, maxsplit=1)[0])


def docstring(paragraphs: Sequence[str], indent: int, facts: Sequence[str] = ()) -> tuple[str, ...]:
    """The lines of a docstring made of safe texts, `facts` each on a line below; one line where that is enough."""
    pad = " " * indent
    if len(paragraphs) == 1 and not facts and len(pad) + len(paragraphs[0]) + 6 <= WIDTH:
        return (f'{pad}"""{paragraphs[0] or "."}"""',)
    lines = [
        *_wrapped(paragraphs, indent),
        *(["", *(part for fact in facts for part in _filled(fact, indent))] if facts else []),
    ]
    return (f'{pad}"""{lines[0]}', *(f"{pad}{line}".rstrip() for line in lines[1:]), f'{pad}"""')


def _wrapped(paragraphs: Sequence[str], indent: int) -> list[str]:
    lines: list[str] = []
    for number, paragraph in enumerate(paragraphs):
        lines.extend(["", *_filled(paragraph, indent)] if number else _opening(paragraph, indent))
    return lines


def _opening(paragraph: str, indent: int) -> list[str]:
    """The first lines; what would fit on one but for the closing quotes is broken, as `ruff format` would join it."""
    lines = _filled(paragraph, indent + 3)
    return lines if len(lines) > 1 else _filled(paragraph, indent + 6)


def _filled(text: str, indent: int) -> list[str]:
    return textwrap.wrap(text, WIDTH - indent, break_on_hyphens=False) or ["."]

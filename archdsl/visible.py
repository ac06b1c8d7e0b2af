"""Text from outside, made safe to print: nothing that moves the cursor, turns the reading direction or hides."""

from __future__ import annotations

import unicodedata

# Cc control, Cf format (bidi marks, zero-width joiners), Cs lone surrogates, Co private use, Cn unassigned, and the
# two separators that some terminals take for line ends.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_WIDE = frozenset({"W", "F"})


def visible(text: str) -> str:
    """`text` with every character that could mislead a reader written as its number, `\\u{202e}`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def width(char: str) -> int:
    """How many terminal columns a visible character takes: 2 for East Asian wide ones, 0 for combining marks."""
    if char.isascii():
        return 1
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in _WIDE else 1


def clipped(text: str, limit: int) -> str:
    """`text`, or its beginning and an ellipsis where it is longer than `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _shown(char: str) -> str:
    return f"\\u{{{ord(char):x}}}" if unicodedata.category(char) in _HIDDEN else char

"""A failing program made shorter: lines, then layers of a row, go while it fails in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator

Fails = Callable[[str], str]  # how a text fails, "" where it does not


def shrunk(text: str, fails: Fails) -> str:
    """The text without what its failure does not need."""
    wanted = fails(text)
    while wanted:
        shorter = next((t for t in _shorter(text) if fails(t) == wanted), None)
        if shorter is None:
            break
        text = shorter
    return text


def _shorter(text: str) -> Iterator[str]:
    lines = text.split("\n")
    size = len(lines) // 2
    while size:
        for start in range(0, len(lines), size):
            yield "\n".join(lines[:start] + lines[start + size :])
        size //= 2
    for number, line in enumerate(lines):
        for other in _thinner(line):
            yield "\n".join([*lines[:number], other, *lines[number + 1 :]])


def _thinner(line: str) -> Iterator[str]:
    """The line without one of its layers, terms or annotations."""
    parts = line.split(" -> ")
    for i in range(len(parts)):
        yield " -> ".join(parts[:i] + parts[i + 1 :])
    head, equals, value = line.partition(" = ")
    if ": [" in head:
        yield head[: head.index(": [")] + equals + value

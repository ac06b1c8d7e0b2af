"""A piece of Python whose numbers are still open: its text with a hole for each number, and what goes into the holes.

Two layers can share a loop when their texts are equal and only what fills the holes differs; two blocks can share a
class when that is equal too. Besides numbered holes a text may hold marks, names that get their final form last:
`øclass3ø` (a class), `øeach_widthø` (the variable of a loop), `øin0ø` (an operand of a forward expression). The letter
ø may stand in a Python name, but in no name or text of a spec on its way here: those are ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from archdsl.emit.torch.forms import Form

LOOP = re.compile(r"øeach_([^ø]+)ø")
_HOLE = re.compile(r"ø(\d+)ø")


@dataclass(frozen=True, slots=True)
class Code:
    """A text with holes, in the order in which `slots` fills them."""

    text: str
    slots: tuple[Form, ...] = ()


class Holes:
    """Collects what fills the holes of a text while the text is written."""

    def __init__(self) -> None:
        self._slots: list[Form] = []

    def form(self, form: Form) -> str:
        """The hole for a number."""
        self._slots.append(form)
        return f"ø{len(self._slots) - 1}ø"

    def code(self, code: Code) -> str:
        """The text of another piece, its holes renumbered to follow those that are there."""
        offset = len(self._slots)
        self._slots.extend(code.slots)
        return _HOLE.sub(lambda hole: f"ø{int(hole[1]) + offset}ø", code.text)

    def around(self, text: str) -> Code:
        """The piece with the holes collected so far."""
        return Code(text, tuple(self._slots))


def enclosed(opening: str, pieces: Sequence[Code], closing: str) -> Code:
    """Pieces separated by commas between two texts."""
    holes = Holes()
    inner = ", ".join(holes.code(piece) for piece in pieces)
    return holes.around(f"{opening}{inner}{closing}")


def hole_number(name: str) -> int | None:
    """The number of a hole; None for any other name."""
    match = _HOLE.fullmatch(name)
    return int(match[1]) if match else None


def class_mark(number: int) -> str:
    """The mark that stands for a class until it has a name."""
    return f"øclass{number}ø"


def loop_hint(name: str) -> str | None:
    """The name that the mark of a loop variable would like; None for any other name."""
    match = LOOP.fullmatch(name)
    return match[1] if match else None


def loop_mark(hint: str) -> str:
    """The mark of a loop variable; `hint` is the name it would like."""
    return f"øeach_{hint}ø"


def unused_mark(hint: str, text: str) -> str:
    """The mark of a loop variable that `text` does not hold yet."""
    number = 1
    mark = loop_mark(hint)
    while mark in text:
        number += 1
        mark = loop_mark(f"{hint}{number}")
    return mark


def extern_mark(number: int) -> str:
    """The mark of a class from elsewhere."""
    return f"øextern{number}ø"


def operand_mark(index: int | str) -> str:
    """The mark of an operand."""
    return f"øin{index}ø"


def shared_mark(index: int) -> str:
    """The mark of a field that several layers share."""
    return f"øshared{index}ø"


FIELD_MARK = "øfieldø"
MERGE_MARK = "ømergeø"

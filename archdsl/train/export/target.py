"""A form that a network can be exported to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from archdsl.train.export.subject import Subject

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Target:
    """How it is made, and how it is read without archdsl."""

    name: str
    suffix: str
    """Of the file; a target without one is a folder."""
    make: Callable[[Subject], Files]
    """The files by name; the only one, under any name, where it is a file."""
    load: Callable[[Subject, str], str]
    """The lines of Python that read the export at a path."""
    answer: str
    """What they give, applied: an expression with `given`, the inputs by name."""
    exact: bool = False
    """Whether the answers are the same to the last bit."""
    needs: tuple[str, ...] = ()
    """Packages besides torch."""

    @property
    def folder(self) -> bool:
        """Whether it is a folder."""
        return not self.suffix

    @property
    def largest_difference(self) -> float:
        """Of an answer from the network's own, relative to the largest number in it."""
        return 0.0 if self.exact else 1e-5

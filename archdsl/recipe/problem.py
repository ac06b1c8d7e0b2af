"""What is wrong with a recipe, and where."""

from __future__ import annotations

from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """What is wrong, and where: `path` leads into the raw data (an argument's name, or its position)."""

    path: Path
    message: str
    hint: str | None = None

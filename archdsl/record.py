"""`@record`: a plain immutable value, made fast.

`@dataclass(frozen=True, slots=True)` builds six methods for each class: half a millisecond each time archdsl starts,
and there are more than a hundred classes on the way to a lint. A record has only what the compiler uses: fields, slots
and identity. The type checker keeps it immutable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """A class of immutable values that compare by identity."""
    return dataclass(slots=True, eq=False, repr=False, match_args=False)(cls)

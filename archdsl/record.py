"""`@record` and `@value`: plain immutable values, made fast.

`@dataclass(frozen=True, slots=True)` builds six methods for each class: half a millisecond each time archdsl starts,
and there are more than a hundred classes on the way to a lint. A record has only what the compiler uses: fields, slots
and identity; a value also compares and hashes by what is in it. The type checker keeps both immutable: a frozen
dataclass, which does so while archdsl runs, takes twice as long to make.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """A class of immutable values that compare by identity."""
    return dataclass(slots=True, eq=False, repr=False, match_args=False)(cls)


@dataclass_transform(frozen_default=True)
def value(cls: type[T]) -> type[T]:
    """A class of immutable values that compare by what is in them."""
    return dataclass(slots=True, unsafe_hash=True, match_args=False)(cls)

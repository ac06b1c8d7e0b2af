"""What a run is: a plan that never changes, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archdsl.recipe import Recipe
from archdsl.train.data.images import Images
from archdsl.train.device import Device
from archdsl.train.job import Guide
from archdsl.train.progress import Row
from archdsl.train.schedule import Clock


@dataclass
class Progress:
    """Where the run is. `seen` counts the steps of the epoch under way."""

    epoch: int = 0
    seen: int = 0
    step: int = 0
    warm_end: int | None = None
    drops: int = 0
    """How often a schedule that watches errors has let the rate fall."""
    average_updates: int = 0
    seconds: float = 0.0
    """Of the epoch under way, over all interruptions."""
    rows: list[Row] = field(default_factory=list[Row])

    @property
    def best(self) -> Row | None:
        """The first row of the lowest error: validation's, where the recipe holds images back for it."""
        return min(self.rows, key=lambda row: row.judged_by, default=None)


@dataclass(frozen=True, eq=False)
class Plan:
    """What is fixed for the whole run."""

    recipe: Recipe
    images: Images
    device: Device
    clock: Clock
    out: Path
    identity: Mapping[str, Any]
    """Network, recipe and data: a checkpoint of another run does not fit. See `identity.py`."""
    auxiliary_weights: tuple[float, ...] = ()
    guide: Guide | None = None
    keep: int = 2
    save_steps: int | None = None
    micro_batch: int | None = None
    sync_batch_norm: bool = False
    overfit: bool = False
    """One batch is learnt by heart, and judged."""

    @property
    def batch(self) -> int:
        """Images of a step: fewer than the recipe's where there are not as many."""
        return min(self.recipe.batch, len(self.images.train) - self.recipe.validation)

    @property
    def at_once(self) -> int:
        """The most images that are taken at once, in a step or while judging."""
        most = max(len(self.images.train) - self.recipe.validation, self.recipe.validation, len(self.images.test))
        return min(self.recipe.batch, self.micro_batch or self.recipe.batch, most)

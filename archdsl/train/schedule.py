"""The learning rate as a function of the iteration and of the errors so far, with no state of its own: a resumed run
cannot lose its place."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from archdsl.recipe.records import (
    Constant,
    Cosine,
    Every,
    Exponential,
    HalvingRemaining,
    Linear,
    OneCycle,
    Piecewise,
    Plateau,
    Recipe,
    Sgd,
    Sgdr,
    Steps,
)
from archdsl.train.progress import Row


@dataclass(frozen=True)
class Clock:
    """How long a run is. With `nominal` the recipe was made for another length, and time is stretched to fit."""

    steps_per_epoch: int
    total: int
    nominal: int

    @property
    def epochs(self) -> int:
        """Of the whole run; the last may be a short one."""
        return -(-self.total // self.steps_per_epoch)

    def epoch(self, step: int) -> float:
        """The recipe's epochs before `step`, in fractions. Exact at the start of an epoch."""
        return step * self.nominal / (self.total * self.steps_per_epoch)

    def iteration(self, step: int) -> float:
        """The recipe's iterations before `step`."""
        return step * self.nominal / self.total

    def done(self, step: int) -> float:
        """The share of the run before `step`."""
        return step / self.total

    def time(self, step: int, by: Literal["epoch", "iteration", "fraction"]) -> float:
        """What is before `step`, counted in one of the three."""
        return {"epoch": self.epoch, "iteration": self.iteration, "fraction": self.done}[by](step)


def clock(recipe: Recipe, steps_per_epoch: int, epochs: int | None = None) -> Clock:
    """The clock of a recipe on a data set, perhaps cut or drawn out to so many epochs."""
    nominal = recipe.length(steps_per_epoch)
    return Clock(steps_per_epoch, epochs * steps_per_epoch if epochs else nominal, nominal)


def learning_rate(recipe: Recipe, clock: Clock, step: int, warm_end: int | None, drops: int = 0) -> float:
    """The rate of iteration `step` (from 0).

    `warm_end` is when a warm-up that waits for an error was over, if ever; `drops` is what `plateau_drops` says.
    """
    warm = _warm_rate(recipe, clock, step, warm_end)
    return _scheduled(recipe, clock, step, drops) if warm is None else warm


def plateau_drops(recipe: Recipe, clock: Clock, errors: Sequence[float]) -> int:
    """How often the rate has fallen after epochs with these errors, by a schedule that watches them; else 0."""
    plateau = recipe.schedule
    if not isinstance(plateau, Plateau):
        return 0
    patience = max(round(plateau.patience * clock.total / clock.nominal), 1)
    lowest, stale, drops = math.inf, 0, 0
    for error in errors:
        stale = 0 if error < lowest else stale + 1
        lowest = min(error, lowest)
        if stale >= patience:
            stale, drops = 0, drops + 1
    return min(drops, plateau.times)


def momentum(recipe: Recipe, clock: Clock, step: int) -> float | None:
    """The momentum of SGD at `step`; None for optimisers without a changing one."""
    sgd = recipe.optimizer
    if not isinstance(sgd, Sgd) or sgd.momentum_to is None or sgd.momentum_epochs is None:
        return None
    share = min(clock.epoch(step) / sgd.momentum_epochs, 1.0)
    return sgd.momentum + (sgd.momentum_to - sgd.momentum) * share


def watched_errors(recipe: Recipe, rows: Sequence[Row]) -> list[float]:
    """The errors that a plateau is about, one an epoch."""
    of = recipe.schedule.of if isinstance(recipe.schedule, Plateau) else "train"
    found = [{"train": r.train_error, "test": r.test_error, "validation": r.validation_error}[of] for r in rows]
    return [error for error in found if error is not None]


def _warm_rate(recipe: Recipe, clock: Clock, step: int, warm_end: int | None) -> float | None:
    warmup = recipe.warmup
    if warmup is None:
        return None
    if warmup.until_error is not None:
        return warmup.lr if warm_end is None or step < warm_end else None
    length = warmup.iterations or (warmup.epochs or 0) * clock.steps_per_epoch
    share = clock.iteration(step) / length
    if share >= 1:
        return None
    return warmup.lr if warmup.ramp == "constant" else warmup.lr + (recipe.optimizer.lr - warmup.lr) * share


def _scheduled(recipe: Recipe, clock: Clock, step: int, drops: int) -> float:
    lr, epoch, done = recipe.optimizer.lr, clock.epoch(step), clock.done(step)
    match recipe.schedule:
        case Constant():
            return lr
        case Steps() as steps:
            return lr * steps.gamma ** _passed(steps, clock, step)
        case Piecewise(to=to) as pieces:
            return lr * (1.0, *to)[_passed(pieces, clock, step)]
        case Plateau(gamma=gamma):
            return lr * gamma**drops
        case Every(epochs=epochs, gamma=gamma):
            return lr * gamma ** _whole(epoch / epochs)
        case HalvingRemaining(gamma=gamma, times=times):
            return lr * gamma ** min(_halvings(_whole_epochs(clock, step)), times)
        case Cosine(lr_min=low):
            return _cosine(lr, low, done)
        case Sgdr() as sgdr:
            return _cosine(lr, sgdr.lr_min, _cycle_share(sgdr, epoch))
        case OneCycle() as cycle:
            return lr * _one_cycle(cycle, done)
        case Linear(to=to, epochs=epochs):
            return lr * (1 - (1 - to) * min(done if epochs is None else epoch / epochs, 1.0))
        case Exponential(rate=rate, by=by):
            return lr * math.exp(-rate * (_whole(epoch) if by == "epoch" else epoch))


def _whole(number: float) -> int:
    """The floor, forgiving the last bits of a division."""
    return math.floor(number + 1e-9)


def _passed(steps: Steps | Piecewise, clock: Clock, step: int) -> int:
    """How many points of `at` are behind us."""
    return bisect_right(steps.at, clock.time(step, steps.by) + 1e-9)


def _whole_epochs(clock: Clock, step: int) -> float:
    """The share of the run behind us at the start of this epoch."""
    return (step // clock.steps_per_epoch) * clock.steps_per_epoch / clock.total


def _halvings(done: float) -> int:
    return _whole(-math.log2(max(1 - done, 2.0**-64)))


def _cosine(high: float, low: float, share: float) -> float:
    return low + (high - low) * (1 + math.cos(math.pi * share)) / 2


def _cycle_share(sgdr: Sgdr, epoch: float) -> float:
    """How much of the present cycle is over."""
    length = sgdr.first
    epoch += 1e-9
    if sgdr.mult == 1:
        return epoch % length / length
    while epoch >= length:
        epoch, length = epoch - length, length * sgdr.mult
    return epoch / length


def _one_cycle(cycle: OneCycle, done: float) -> float:
    rising = done < cycle.rise
    share = done / cycle.rise if rising else (done - cycle.rise) / max(1 - cycle.rise, 1e-9)
    start, end = (cycle.start, 1.0) if rising else (1.0, cycle.end)
    return _cosine(start, end, share) if cycle.shape == "cosine" else start + (end - start) * share

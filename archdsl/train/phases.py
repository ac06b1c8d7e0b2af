"""Dropout whose rate changes in the course of a run."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.modules.dropout import _DropoutNd  # pyright: ignore[reportPrivateUsage]

from archdsl.recipe.records import Phase
from archdsl.train.schedule import Clock
from archdsl.train.trouble import Misfit

_LOOKS = 1000  # places of a run at which rates are looked at before it starts


class Phases:
    """Sets the rates of a network's dropout layers, as a function of the step alone."""

    def __init__(self, model: nn.Module, phases: Sequence[Phase], clock: Clock) -> None:
        self.clock = clock
        layers = list(_dropouts(model)) if phases else []
        for phase in phases:
            if not any(fnmatchcase(name, phase.name) for name, _ in layers):
                raise Misfit(f"recipe: no dropout layer of the network is called {phase.name}")
        self.plan = [
            (layer, layer.p, matching)
            for name, layer in layers
            if (matching := [phase for phase in phases if fnmatchcase(name, phase.name)])
        ]
        for step in range(0, clock.total, max(clock.total // _LOOKS, 1)) if self.plan else ():
            self.set(step)
        self.set(0)

    def set(self, step: int) -> None:
        """The rates of iteration `step`, counted from 0: as written, times the factor of each phase it lies in."""
        for layer, written, phases in self.plan:
            rate = written * math.prod(factor(phase, self.clock, step) for phase in phases)
            if rate >= 1:
                raise Misfit(f"recipe: a phase raises a dropout rate of {written:g} to {rate:g} in step {step + 1}")
            layer.p = rate


def factor(phase: Phase, clock: Clock, step: int) -> float:
    """What a phase multiplies a rate with at iteration `step`; 1 outside of it."""
    now = clock.time(step, phase.by) + 1e-9
    if now < phase.start or (phase.end is not None and now >= phase.end):
        return 1.0
    if phase.to is None or phase.end is None:
        return phase.times
    return phase.times + (phase.to - phase.times) * (now - phase.start) / (phase.end - phase.start)


def _dropouts(model: nn.Module) -> Iterator[tuple[str, _DropoutNd]]:
    return ((name, module) for name, module in model.named_modules() if isinstance(module, _DropoutNd))

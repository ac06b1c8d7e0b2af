"""Rates that can be compared on a machine that others use, too: everything is measured in turns, many times.

What is compared is compared within a round, in which all see the same machine; of the rounds the median counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter

ROUNDS, FEWEST = 9, 3

Clock = Callable[[], float]
Rates = Mapping[str, Sequence[float]]
"""What each contestant did a second, round by round."""


def _nothing(_steps: int) -> None:
    """There is nothing to prepare."""


@dataclass(eq=False)
class Contestant:
    """Something that can do any number of steps."""

    name: str
    amount: float
    """What one step counts: images, operations, bytes."""
    work: Callable[[int], None]
    ready: Callable[[int], None] = _nothing
    """What has to be there before so many steps; its time does not count."""
    share: float = 1.0
    """Of the time, compared with the others'."""
    steps: int = 1
    """In each turn."""

    def turn(self, clock: Clock) -> float:
        """Seconds of one turn."""
        self.ready(self.steps)
        began = clock()
        self.work(self.steps)
        return max(clock() - began, 1e-9)


def calibrate(contestants: Sequence[Contestant], seconds: float, clock: Clock = perf_counter, most: int = 500) -> int:
    """Set the steps of all so that `ROUNDS` take about so many seconds; fewer rounds where single steps take too long.

    Each runs twice, and the first time is no measure.
    """
    whole, round_ = sum(contestant.share for contestant in contestants), 0.0
    for contestant in contestants:
        contestant.turn(clock)
        step = contestant.turn(clock) / contestant.steps
        wanted = seconds / ROUNDS * contestant.share / whole / step
        contestant.steps = min(max(round(wanted), contestant.steps), most)
        round_ += step * contestant.steps
    return min(max(round(seconds / round_), FEWEST), ROUNDS)


def paced(contestants: Sequence[Contestant], rounds: int, clock: Clock = perf_counter) -> dict[str, list[float]]:
    """The rates of all. Every other round goes backwards, so that nobody always follows the same one."""
    rates: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    for number in range(rounds):
        for contestant in contestants[:: 1 - 2 * (number % 2)]:
            rates[contestant.name].append(contestant.amount * contestant.steps / contestant.turn(clock))
    return rates


@dataclass(frozen=True)
class Ratio:
    """The median over the rounds, and the quarters below and above it."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        quarters = f" ({self.low:.2f}–{self.high:.2f})" if self.low < self.high else ""
        return f"{self.median:.2f}{quarters}"


def ratio(rates: Rates, name: str, base: str, factor: float = 1.0) -> Ratio:
    """How many times as fast as another one, times `factor`; compared round by round."""
    each = [factor * one / other for one, other in zip(rates[name], rates[base], strict=True)]
    low, _, high = quantiles(each, n=4, method="inclusive") if len(each) > 1 else each * 3
    return Ratio(median(each), low, high)

"""How fast this machine is just now, so that bounds in seconds mean the same everywhere and beside other work."""

from __future__ import annotations

import time
from collections.abc import Callable

_QUIET = 0.0125  # CPU seconds of the work below on the machine that the promises' figures are from


def slowness() -> float:
    """The CPU time of a fixed piece of work over what it takes on a quiet machine; at least 1."""
    return max(1.0, min(_work() for _ in range(3)) / _QUIET)


def delay() -> float:
    """The same of the clock on the wall, on which other work counts, in the mean."""
    return max(1.0, sum(_work(time.monotonic) for _ in range(8)) / 8 / _QUIET)


def _work(clock: Callable[[], float] = time.process_time) -> float:
    began = clock()
    table: dict[str, tuple[int, ...]] = {}
    for i in range(40_000):
        table[str(i % 997)] = (i, *table.get(str(i % 991), ())[:3])
    return clock() - began

"""What torch itself says that it takes: the bytes that its allocator gave, as its profiler saw them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch.profiler import ProfilerActivity, profile

T = TypeVar("T")


def taken(what: Callable[[], T]) -> tuple[int, T]:
    """The most bytes that torch had at one time on top of what there was, and the result."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        result = what()
    assert seen.profiler is not None
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    most = there = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        there += event.nbytes()
        most = max(most, there)
    return most, result

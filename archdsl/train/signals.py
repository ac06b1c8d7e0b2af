"""Signals only raise a flag; the loop looks at it between steps, where everything can be saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class Flag:
    """The signal that asked for the end, once one has."""

    def __init__(self) -> None:
        self.number = 0

    def __bool__(self) -> bool:
        return self.number != 0

    @property
    def name(self) -> str:
        """As in `SIGTERM`; only where there was one."""
        return signal.Signals(self.number).name

    def raise_(self, number: int, _frame: FrameType | None = None) -> None:
        """The handler. A second signal changes nothing: the save under way is what was asked for."""
        self.number = number


@contextmanager
def watched() -> Generator[Flag]:
    """A flag that the signals raise as long as the context lasts. Outside the main thread none can be caught."""
    flag = Flag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before = [(number, signal.signal(number, flag.raise_)) for number in SIGNALS]
    try:
        yield flag
    finally:
        for number, handler in before:
            signal.signal(number, handler)

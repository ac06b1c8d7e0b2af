"""Signals only raise a flag; the loop looks at it between steps, where everything can be saved."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from types import FrameType

from archdsl.train.trouble import Stopped

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class _AtOnce(BaseException):
    """Not an `Exception`: a library that puts those into words of its own would make it one of its errors."""


class Flag:
    """The signal that asked for the end, once one has.

    at_once: as long as there is nothing to save, a signal ends the run where it stands, be it a download of minutes.
    """

    def __init__(self) -> None:
        self.number = 0
        self.at_once = False

    def __bool__(self) -> bool:
        return self.number != 0

    @property
    def name(self) -> str:
        """As in `SIGTERM`; only where there was one."""
        return signal.Signals(self.number).name

    def raise_(self, number: int, _frame: FrameType | None = None) -> None:
        """The handler. A second signal changes nothing: the save under way is what was asked for."""
        self.number = number
        if self.at_once:
            self.at_once = False
            raise _AtOnce(f"stopped by {self.name} before the first step: there was nothing to save")

    def agreed(self, largest: Callable[[int], int]) -> bool:
        """Whether a signal has come to any rank: `largest` of all ranks' numbers.

        One that comes while they agree was not part of it; it stays, and is part of the next time.
        """
        number = largest(self.number)
        if number:
            self.number = number
        return number != 0


@contextmanager
def starting() -> Generator[None]:
    """Signals end the program at once, for as long as there is nothing to save: torch takes seconds to load.

    It ends where it stands: an exception could be caught by a library that is being imported. `watched` takes over.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [(number, signal.signal(number, _end)) for number in SIGNALS]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> None:
    text = f"stopped by {signal.Signals(number).name} before the first step: there was nothing to save\n"
    with suppress(OSError):
        os.write(1, text.encode())
    os._exit(Stopped.exit_code)


@contextmanager
def watched() -> Generator[Flag]:
    """A flag that the signals raise as long as the context lasts. Outside the main thread none can be caught."""
    flag = Flag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before = [(number, signal.signal(number, flag.raise_)) for number in SIGNALS]
    hook, sys.unraisablehook = sys.unraisablehook, _quiet
    try:
        yield flag
    except _AtOnce as stop:
        raise Stopped(str(stop)) from None
    finally:
        sys.unraisablehook = hook
        for number, handler in before:
            signal.signal(number, handler)


def _quiet(trouble: sys.UnraisableHookArgs) -> None:
    """Nothing is said where a signal came while an object was cleared away; the flag is up."""
    if not isinstance(trouble.exc_value, _AtOnce):
        sys.__unraisablehook__(trouble)

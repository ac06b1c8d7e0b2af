"""A stack of our own for the compiler: its depth is bounded by the language's limits, not by how deep the caller is."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_STACK = 64 * 1024 * 1024  # bytes, reserved and not used unless a text is deeply nested
_FRAMES = 20_000  # above what 1,500 levels of expressions in 64 calls take
_NAME = "archdsl"
_lock = threading.Lock()


def run(work: Callable[[], T]) -> T:
    """`work()` on a fresh stack, in a thread where there are threads; whatever it raises is raised here."""
    if threading.current_thread().name == _NAME:
        return work()  # already there; a second stack would wait for the first for ever
    outcome: list[tuple[bool, object]] = []

    def target() -> None:
        try:
            outcome.append((True, work()))
        except BaseException as error:
            outcome.append((False, error))

    with _lock:
        frames, stack, collecting = sys.getrecursionlimit(), threading.stack_size(_STACK), gc.isenabled()
        sys.setrecursionlimit(max(frames, _FRAMES))
        gc.disable()  # what a check makes stays until it is done; looking for garbage meanwhile costs a fifth of it
        try:
            thread = threading.Thread(target=target, name=_NAME, daemon=True)
            thread.start()
        except RuntimeError:  # no threads here (a browser)
            target()
        else:
            thread.join()
        finally:
            if collecting:
                _let_age()
                gc.enable()
            threading.stack_size(stack)
            sys.setrecursionlimit(frames)
    succeeded, value = outcome[0]
    if not succeeded:
        raise value  # type: ignore[misc]
    return value  # type: ignore[return-value]


def _let_age() -> None:
    """Count what is there as old: the next search for young garbage need not go through all of it."""
    if not gc.get_freeze_count():  # else the caller has frozen objects of its own
        gc.freeze()
        gc.unfreeze()

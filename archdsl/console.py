"""Where a command meets the terminal: what it writes, how it ends, and that no failure ends in a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from enum import IntEnum
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

from archdsl.fsio import FileTrouble, TooLarge
from archdsl.ice import InternalError, report
from archdsl.inputs import Misuse
from archdsl.visible import visible


class Exit(IntEnum):
    """What a command's end says to the shell. Of several, the highest counts."""

    CLEAN = 0
    FINDINGS = 1
    MISUSE = 2
    FILES = 3
    LIMIT = 4
    INTERNAL = 70
    STOPPED = 75
    NOT_FINITE = 76
    LOST = 77


_INTERRUPTED = 130  # what shells report for SIGINT
_BROKEN_PIPE = 141  # and for SIGPIPE


def prepare() -> None:
    """Make both streams write UTF-8 whatever the locale, and exist."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us
            stream = os.fdopen(_null(number), "w", encoding="utf-8")
            setattr(sys, name, stream)
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")


def say(text: str) -> None:
    """Write the result of a command."""
    sys.stdout.write(text)


def tell(text: str) -> None:
    """Write what is not the result: findings beside it, progress, trouble."""
    sys.stdout.flush()
    sys.stderr.write(text)


def in_colour(stream: object = None) -> bool:
    """Whether to write colours: only to a terminal, and not where the user says no."""
    target = sys.stdout if stream is None else stream
    is_terminal = bool(getattr(target, "isatty", lambda: False)())
    return is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def guarded(work: Callable[[], int]) -> NoReturn:
    """Run a command and end the program with its exit code, whatever happens."""
    raise SystemExit(_outcome(work))


def _outcome(work: Callable[[], int]) -> int:
    try:
        code = int(work())
        sys.stdout.flush()
    except BrokenPipeError:
        _null(1)
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        _null(1)
        return _INTERRUPTED
    except OSError as error:  # files raise FileTrouble: what is left are the standard streams
        _null(1)
        return _ended(Exit.FILES, str(FileTrouble(Path("standard output"), "write", error.strerror or "it failed")))
    except Exception as error:
        return _trouble(error)
    return code


def _trouble(error: Exception) -> int:
    if isinstance(error, FileTrouble):
        return _ended(Exit.LIMIT if isinstance(error, TooLarge) else Exit.FILES, str(error))
    if isinstance(error, Misuse):
        return _ended(Exit.MISUSE, visible(str(error)))
    if isinstance(error, InternalError):
        return _ended(Exit.INTERNAL, report(error.__cause__ or error, error.source))
    return _ended(Exit.INTERNAL, report(error, None))


def _ended(code: Exit, words: str) -> int:
    tell(f"archdsl: {words}\n")
    return code


def _null(number: int) -> int:
    """Point a standard stream at nothing, so that no later write to it can fail."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, number)
    if null != number:
        os.close(null)
    return number

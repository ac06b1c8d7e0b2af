"""A failure of archdsl itself: kept in a file for its authors, told to the user in one line."""

from __future__ import annotations

import os
import time
from pathlib import Path

from archdsl.fsio import FileTrouble, write_atomic
from archdsl.source import Source
from archdsl.visible import clipped, visible

_MOST = 200_000  # characters of a traceback; a runaway recursion has millions


class InternalError(Exception):
    """Something broke while `source` was worked on; the cause is its `__cause__`."""

    def __init__(self, source: Source) -> None:
        super().__init__(source.name)
        self.source = source


def report(error: BaseException, source: Source | None) -> str:
    """Write what is needed to repeat the failure into `archdsl-ice-<time>-<pid>.txt`; gives the line to show."""
    what = visible(clipped(f"{type(error).__name__}: {error}".strip(": "), 200))
    name = f"archdsl-ice-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.txt"
    try:
        write_atomic(Path(name), _text(error, source).encode("utf-8", "backslashreplace"))
        kept = f"please report it with {name}"
    except FileTrouble as trouble:
        kept = f"no report was kept: {trouble}"
    return f"internal error, a fault of archdsl and not of the file ({what}); {kept}"


def version() -> str:
    """The version of the installed package."""
    from importlib import metadata  # slow to load, and hardly ever needed

    try:
        return metadata.version("archdsl")
    except metadata.PackageNotFoundError:
        return "unknown"


def _text(error: BaseException, source: Source | None) -> str:
    import platform
    import traceback

    trace = "".join(traceback.format_exception(error))
    parts = [f"archdsl {version()}, Python {platform.python_version()}, {platform.system()}", clipped(trace, _MOST)]
    if source is not None:
        parts += [f"the text, from {source.name}:", source.text]
    return "\n\n".join(parts) + "\n"

"""A folder that goes again where what it was made for is refused."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from archdsl.fsio import make_directory


@contextmanager
def provisional(path: Path, files: Iterable[str], kept: str) -> Generator[None]:
    """Make `path` a directory, with its parents; where this fails before there is a file `kept`, they go again.

    Only what this made is removed: the directories, and `files` in the last. Of what was there before, and of what
    others put there, nothing is.
    """
    made = list(_made(path))
    try:
        yield
    except BaseException:
        if path in made and not (path / kept).exists():
            with suppress(OSError):
                _unmake(path, files, made)
        raise


def _made(path: Path) -> Iterator[Path]:
    """Make a directory with its parents; those that were not there, the outermost first."""
    missing = [place for place in (path, *path.parents) if not os.path.exists(place)]
    for place in reversed(missing):
        with suppress(OSError, ValueError):  # another process was faster, and it is that one's
            place.mkdir()
            yield place
    make_directory(path)  # which says why, where it cannot be


def _unmake(path: Path, files: Iterable[str], made: Sequence[Path]) -> None:
    for name in files:
        (path / name).unlink(missing_ok=True)
    for place in reversed(made):
        place.rmdir()

"""From what stands on the command line to texts: files, directories walked for `*.arch`, `-` for standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from archdsl import limits
from archdsl.diagnostic import Diagnostic
from archdsl.fsio import FileTrouble, TooLarge, read_limited
from archdsl.source import Source, Span

STDIN = "-"


class Misuse(Exception):
    """The command line asks for something that there is not; the message is one line."""


class NotText(Exception):
    """A file that is not UTF-8; `diagnostic` says where."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic)
        self.diagnostic = diagnostic


def found(paths: Iterable[str]) -> list[str]:
    """The files that `paths` stand for, in the order given, each once; those of a directory sorted by name."""
    every = list(dict.fromkeys(file for path in paths for file in _files(path)))
    if len(every) > limits.PATHS.value:
        raise TooLarge(Path(every[limits.PATHS.value]), limits.PATHS.value, limits.PATHS.unit)
    return every


def read(path: str) -> Source:
    """The text of one file, or of standard input; a byte order mark at its start is dropped."""
    if path == STDIN:
        return _decoded("<stdin>", _standard_input())
    return _decoded(path, read_limited(Path(path), limits.SOURCE.value))


def _files(path: str) -> Iterator[str]:
    if path == STDIN or not Path(path).is_dir():
        yield path
        return
    files = list(_below(path))
    if not files:
        raise Misuse(f"there is no .arch file in {path}")
    yield from files


def _below(top: str) -> Iterator[str]:
    """All `.arch` files under a directory; hidden directories and links to directories are passed over."""
    for folder, folders, files in os.walk(top, onerror=_refused):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (str(Path(folder, name)) for name in sorted(files) if name.endswith(".arch"))


def _refused(error: OSError) -> None:
    raise FileTrouble(Path(error.filename), "read", error.strerror or "it cannot be listed")


def _standard_input() -> bytes:
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]  it is None where it was closed
        raise FileTrouble(Path("<stdin>"), "read", "it is closed")
    data = sys.stdin.buffer.read(limits.SOURCE.value + 1)
    if len(data) > limits.SOURCE.value:
        raise TooLarge(Path("<stdin>"), limits.SOURCE.value, limits.SOURCE.unit)
    return data


def _decoded(name: str, data: bytes) -> Source:
    try:
        return Source(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise NotText(_not_text(name, data, error.start)) from None


def _not_text(name: str, data: bytes, offset: int) -> Diagnostic:
    from archdsl.syntax.errors import not_utf8

    at = len(data[:offset].decode("utf-8-sig"))
    source = Source(name, data.decode("utf-8-sig", "replace"))
    return not_utf8(Span(source, at, at + 1), data[offset], offset)

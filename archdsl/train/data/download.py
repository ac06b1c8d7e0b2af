"""Fetching the files of published data sets, when it is asked for: resumed where it was cut, whole or absent, checked.

Whatever the server does, no more than the known size is taken, and only what has the known digest gets its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from time import monotonic
from typing import IO, cast
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from archdsl.fsio import Growing, growing, make_directory
from archdsl.train.data.archive import unpack
from archdsl.train.data.files import complete, missing, place, present, told
from archdsl.train.data.forms import Form, folders
from archdsl.train.data.sources import SOURCES, Source
from archdsl.train.trouble import DataTrouble

Note = Callable[[str], None]

_TRIES = 3  # in a row without a single byte
_SLOWEST = 1000  # bytes a second, over at least `patience` seconds
_PIECE = 1 << 16


class _Cut(Exception):
    """The connection ended, or is no use, for the reason given; what has come stays."""


def fetch_set(name: str, directory: Path, note: Note) -> None:
    """Fetch what is missing of the data set `name` into `directory`. Raises `DataTrouble`, `FileTrouble`."""
    if name not in SOURCES:
        raise DataTrouble(f"{name} cannot be downloaded; there is {', '.join(sorted(SOURCES))}")
    with told(directory):
        for source in SOURCES[name]:
            if source.unpacked is not None:
                _fetch_packed(name, source, source.unpacked, directory, note)
            elif present(directory, name, *source.names) is None:
                fetch(source, directory / folders(name)[0] / source.file, note)


def _fetch_packed(name: str, source: Source, form: Form, directory: Path, note: Note) -> None:
    """Fill up the folder of `form`, unless the set is there in one form or another. An archive that was there stays."""
    if complete(directory, name) is not None:
        return
    folder, archive = place(directory, form.folder), directory / source.file
    here = _is_whole(source, archive)
    if not here:
        fetch(source, archive, note)
    note(f"unpacking {archive}")
    unpack(archive, folder, {f"{form.folder}/{file}": file for file in missing(folder, form)})
    if not here:
        archive.unlink()


def _is_whole(source: Source, path: Path) -> bool:
    """Whether the published file lies at `path`."""
    if not path.is_file() or path.stat().st_size != source.size:
        return False
    kind, expected = source.digest.split(":")
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest() == expected


def fetch(source: Source, target: Path, note: Note, patience: float = 30.0) -> None:
    """Make `target` the file of `source`, from where an earlier attempt was cut.

    `patience` is in seconds, for a server that says nothing or next to nothing.
    """
    make_directory(target.parent)
    with growing(target.with_name(target.name + ".part"), source.size) as part:
        if part.size > source.size:
            part.restart()
        note(f"fetching {source.url}, {source.size:,} bytes" + (f", {part.size:,} of them here" if part.size else ""))
        _all(source, part, patience)
        kind, expected = source.digest.split(":")
        found = _digest(part, kind)
        if found != expected:
            part.discard()
            raise DataTrouble(f"{source.url}: {kind} expected {expected}, found {found}; nothing was kept")
        part.finish(target.name)


def _all(source: Source, part: Growing, patience: float) -> None:
    """Connect until everything is there, as long as something comes."""
    tries = 0
    while part.size < source.size:
        before = part.size
        try:
            _connection(source, part, patience)
            cut = _Cut("the connection was cut")
        except _Cut as reason:
            cut = reason
        tries = tries + 1 if part.size == before else 0
        if tries == _TRIES:
            have = f"{part.size:,} of {source.size:,} bytes are here"
            raise DataTrouble(f"{source.url}: {cut}; {have}, the next --download goes on from there")


def _connection(source: Source, part: Growing, patience: float) -> None:
    """What one connection gives, added to `part`."""
    headers = {"Range": f"bytes={part.size}-", "Accept-Encoding": "identity", "User-Agent": "archdsl"}
    try:
        with _opener().open(Request(source.url, headers=headers), timeout=patience) as answer:
            response = cast("HTTPResponse", answer)
            _check_length(source, part, response)
            _copy(source, part, response, patience)
    except HTTPError as error:
        raise DataTrouble(f"{source.url}: the server says {error.code} {ascii(error.reason)[1:-1][:80]}") from None
    except (HTTPException, OSError, ValueError) as error:  # ValueError: what is no HTTP at all
        raise _Cut(_reason(error)) from None


def _check_length(source: Source, part: Growing, response: HTTPResponse) -> None:
    """Begin anew where the server does not go on from where we are; refuse another length at once."""
    start = response.headers.get("Content-Range", "").partition("-")[0]
    if response.status != 206 or start != f"bytes {part.size}":
        part.restart()
    if response.status == 206 and start not in (f"bytes {part.size}", "bytes 0"):
        raise DataTrouble(f"{source.url}: the server answers with another part than the one asked for")
    length = response.length
    if length is not None and part.size + length != source.size:
        raise DataTrouble(f"{source.url}: expected {source.size:,} bytes, the server has {part.size + length:,}")


def _copy(source: Source, part: Growing, response: HTTPResponse, patience: float) -> None:
    began, first = monotonic(), part.size
    while data := response.read1(_PIECE):
        if part.size + len(data) > source.size:
            part.restart()
            raise DataTrouble(f"{source.url}: expected {source.size:,} bytes, the server sends more")
        part.append(data)
        seconds = monotonic() - began
        if seconds > patience and (part.size - first) / seconds < _SLOWEST:
            raise _Cut(f"slower than {_SLOWEST:,} bytes a second")


def _digest(part: Growing, kind: str) -> str:
    digest = hashlib.new(kind, usedforsecurity=False)
    for piece in part.pieces():
        digest.update(piece)
    return digest.hexdigest()


def _reason(error: Exception) -> str:
    text = str(getattr(error, "reason", None) or error) or type(error).__name__
    return ascii(text.splitlines()[0])[1:-1][:120]


class _Redirects(HTTPRedirectHandler):
    """A few, to the web only, and never from a protected connection to an open one."""

    max_redirections = 5

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in ("http", "https") or (old, new) == ("https", "http"):
            raise DataTrouble(f"{req.full_url}: sent on to {ascii(newurl)[1:-1][:200]}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> OpenerDirector:
    return build_opener(_Redirects)

"""Finding, reading and checking the files of a published data set."""

from __future__ import annotations

import hashlib
from pathlib import Path

from archdsl.fsio import FileTrouble, read_limited
from archdsl.train.data.images import Request
from archdsl.train.trouble import DataTrouble


def find(request: Request, name: str, folders: dict[str, str]) -> tuple[str, Path]:
    """The first of `folders` (key → sub-folder) that is there, in the directory given or as that directory itself."""
    if request.directory is None:
        raise DataTrouble(f"{name} is not part of archdsl: say where it is with --data-dir")
    for key, folder in folders.items():
        for place in (request.directory / folder, request.directory):
            if place.name == folder and place.is_dir():
                return key, place
    wanted = " or ".join(f"{folder}/" for folder in folders.values())
    raise DataTrouble(f"no {name} in {request.directory}: expected a folder {wanted}")


def read(path: Path, limit: int, digest: str | None, unofficial: bool) -> bytes:
    """The bytes of a file, whose digest (`sha256:...` or `md5:...`) must be the published one unless `unofficial`."""
    try:
        data = read_limited(path, limit)
    except FileTrouble as trouble:
        raise DataTrouble(str(trouble)) from None
    if digest is not None and not unofficial:
        _check_digest(path, data, digest)
    return data


def _check_digest(path: Path, data: bytes, digest: str) -> None:
    kind, expected = digest.split(":")
    found = hashlib.new(kind, data, usedforsecurity=False).hexdigest()
    if found != expected:
        raise DataTrouble(
            f"{path}: this is not the published file ({len(data):,} bytes): {kind} expected {expected}, found {found}"
        )

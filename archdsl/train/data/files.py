"""Finding, reading and checking the files of a published data set."""

from __future__ import annotations

import hashlib
from pathlib import Path

from archdsl.fsio import FileTrouble, read_limited
from archdsl.train.data.images import Request
from archdsl.train.trouble import DataTrouble


def directory(request: Request, name: str) -> Path:
    """Where the files of the data set `name` are looked for."""
    if request.directory is None:
        raise DataTrouble(f"{name} is not part of archdsl: say where it is with --data-dir")
    return request.directory


def find(request: Request, name: str, folders: dict[str, str]) -> tuple[str, Path]:
    """The first of `folders` (key → sub-folder) that is there, in the directory given or as that directory itself."""
    given = directory(request, name)
    for key, folder in folders.items():
        for place in (given / folder, given):
            if place.name == folder and place.is_dir():
                return key, place
    wanted = " or ".join(f"{folder}/" for folder in folders.values())
    raise DataTrouble(f"no {name} in {given}: expected a folder {wanted}")


def file_in(request: Request, name: str, *files: str) -> Path:
    """The first of `files` that is there, in the folder `name` of the directory given or in that directory itself."""
    given = directory(request, name)
    folder = given / name if (given / name).is_dir() else given
    for file in files:
        if (folder / file).exists():
            return folder / file
    raise DataTrouble(f"no {name} in {folder}: expected {' or '.join(files)}")


def read(path: Path, limit: int, digest: str | None, unofficial: bool) -> bytes:
    """The bytes of a file, whose digest (`sha256:...` or `md5:...`) must be the published one unless `unofficial`."""
    try:
        data = read_limited(path, limit)
    except FileTrouble as trouble:
        raise DataTrouble(str(trouble)) from None
    if digest is not None and not unofficial:
        check_digest(path, data, digest)
    return data


def check_digest(path: Path, data: bytes, digest: str) -> None:
    """Refuse `data`, read from `path`, unless it has the digest."""
    kind, expected = digest.split(":")
    found = hashlib.new(kind, data, usedforsecurity=False).hexdigest()
    if found != expected:
        raise DataTrouble(
            f"{path}: this is not the published file ({len(data):,} bytes): {kind} expected {expected}, found {found}"
        )

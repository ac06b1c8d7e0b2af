"""Finding, reading and checking the files of a published data set."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from archdsl.fsio import FileTrouble, read_limited
from archdsl.train.data.forms import FORMS, Form, folders
from archdsl.train.data.images import Request
from archdsl.train.data.sources import SOURCES
from archdsl.train.trouble import DataTrouble
from archdsl.visible import visible


def directory(request: Request, name: str) -> Path:
    """Where the files of the data set `name` are looked for."""
    if request.directory is None:
        raise DataTrouble(f"{name} is not part of archdsl: say where it is with --data-dir")
    return request.directory


@contextmanager
def told(path: Path | None) -> Generator[None]:
    """Turn what the operating system says, where it looks for files in `path`, into a `DataTrouble`."""
    try:
        yield
    except OSError as error:
        raise DataTrouble(visible(f"cannot read {error.filename or path}: {error.strerror}")) from None


def place(given: Path, folder: str) -> Path:
    """Where the folder of a set is, or would be: in the directory given, unless that is the folder itself."""
    itself = folder in (given.name, given.resolve().name)
    return given if itself and not (given / folder).is_dir() else given / folder


def missing(folder: Path, form: Form) -> list[str]:
    """The files of `form` that are not in `folder`."""
    return [file for file in form.files if not (folder / file).exists()]


def complete(given: Path, name: str) -> tuple[Form, Path] | None:
    """The first form of the set `name` of which all files are there, and their folder."""
    found = ((form, place(given, form.folder)) for form in FORMS[name].values())
    return next(((form, folder) for form, folder in found if not missing(folder, form)), None)


def find(request: Request, name: str) -> tuple[Form, Path]:
    """The form of the set `name` that is there, and its folder."""
    given = directory(request, name)
    found = complete(given, name)
    if found is not None:
        return found
    forms = FORMS[name].values()
    for form in forms:
        if (folder := place(given, form.folder)).is_dir():
            raise DataTrouble(
                f"{folder}: expected {missing(folder, form)[0]} in it; --download fetches what is missing"
            )
    wanted = " or ".join(f"{form.folder}/" for form in forms)
    raise DataTrouble(f"no {name} in {given}: expected a folder {wanted}{_packed(given, name)}")


def _packed(given: Path, name: str) -> str:
    archive = next((source.file for source in SOURCES[name] if (given / source.file).exists()), None)
    return f"; --download unpacks {archive}, which is there" if archive else "; --download fetches it"


def present(given: Path, name: str, *files: str) -> Path | None:
    """The first of `files` that is there, in a folder of the set `name` or in the directory given itself."""
    places = [*(given / folder for folder in folders(name)), given]
    return next((path for where in places for file in files if (path := where / file).exists()), None)


def file_in(request: Request, name: str, *files: str) -> Path:
    """The same; that there is none is `DataTrouble`."""
    given = directory(request, name)
    found = present(given, name, *files)
    if found is None:
        where = next((given / folder for folder in folders(name) if (given / folder).is_dir()), given)
        raise DataTrouble(f"no {name} in {where}: expected {' or '.join(files)}; --download fetches what is missing")
    return found


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

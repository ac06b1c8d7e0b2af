"""Taking known files out of a packed archive: bounded, nothing but regular files, all of them or none."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, cast

from archdsl.fsio import make_directory, read_limited, write_inside
from archdsl.train.trouble import DataTrouble

LARGEST_ARCHIVE = 200_000_000
MOST_BYTES = 200_000_000  # unpacked, everything in the archive
MOST_MEMBERS = 100


def unpack(path: Path, folder: Path, names: Mapping[str, str]) -> None:
    """Write the members `names` of the .tar.gz at `path` into `folder`, each whole, under the name that it is given.

    An archive with anything but plain files and folders in it, or with names that lead out of it, is refused whole.
    """
    try:
        found = _members(read_limited(path, LARGEST_ARCHIVE), list(names))
    except DataTrouble as trouble:
        raise DataTrouble(f"{path}: {trouble}") from None
    except (tarfile.TarError, zlib.error, EOFError, ValueError, UnicodeError) as error:
        raise DataTrouble(f"{path}: damaged archive ({ascii(str(error))[1:-1][:80]})") from None
    make_directory(folder)
    for member, data in found.items():
        write_inside(folder, names[member], data)


def _members(data: bytes, names: Sequence[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    unpacked = _Unpacked(data)
    with tarfile.open(fileobj=cast("IO[bytes]", unpacked), mode="r|") as archive:
        for number, member in enumerate(archive):
            _check(number, member)
            content = archive.extractfile(member) if member.name in names else None
            if content is not None:
                found[member.name] = content.read()
    while unpacked.read(1 << 20):  # to the end, where gzip's checksum is
        continue
    missing = [name for name in names if name not in found]
    if missing:
        raise DataTrouble(f"expected {missing[0]} in it")
    return found


def _check(number: int, member: tarfile.TarInfo) -> None:
    name = ascii(member.name)[:80]
    if number >= MOST_MEMBERS:
        raise DataTrouble(f"more than {MOST_MEMBERS} members")
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise DataTrouble(f"{name} in it is neither a file nor a folder")
    if member.name.startswith(("/", "\\")) or ".." in Path(member.name).parts:
        raise DataTrouble(f"{name} in it leads out of the archive")
    if not 0 <= member.size <= MOST_BYTES:
        raise DataTrouble(f"{name} in it has {member.size:,} bytes, over the limit of {MOST_BYTES:,}")


class _Unpacked:
    """What gzip packed, as a file that is read from front to end, up to a limit."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.rest = b""
        self.total = 0
        self.unpacker = zlib.decompressobj(wbits=31)

    def read(self, size: int) -> bytes:
        """At most `size` bytes more."""
        while not self.unpacker.eof:
            if not self.rest:
                self.rest = self.data[self.at : self.at + (1 << 16)]
                self.at += len(self.rest)
            piece = self.unpacker.decompress(self.rest, size)
            if not piece and not self.rest:
                raise DataTrouble("it ends too early")
            self.rest = self.unpacker.unconsumed_tail
            self.total += len(piece)
            if self.total > MOST_BYTES:
                raise DataTrouble(f"it holds more than {MOST_BYTES:,} bytes")
            if piece:
                return piece
        return b""

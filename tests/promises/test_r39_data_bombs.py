"""R39: archives and pictures cannot bomb or escape: each is refused in less than 2 s and 500 MB, and nothing is written.

The bomb lies on the disk before a process of its own opens it; time is that of the wall, and longer on a machine that is busy.
Downloads (cut, slow, of a wrong length or digest, redirected) are in `tests/train/test_download.py`.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from archdsl.train.data.archive import unpack
from promises.opened import WANTED
from promises.pace import delay

SECONDS, MEGABYTES = 2.0, 500


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def tar(*members: tarfile.TarInfo, sound: bool = True) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in WANTED if sound else ():
            archive.addfile(member(name, size=4), io.BytesIO(b"data"))
        for info in members:
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    return out.getvalue()


def lying(size: int, kind: bytes = tarfile.REGTYPE, zeros: int = 0) -> bytes:
    """A header that announces `size` bytes, and `zeros` bytes after it."""
    info = member("few/extra", kind, size=size)
    return tar()[: 4 * 512] + info.tobuf(tarfile.GNU_FORMAT) + bytes(zeros)


def many() -> bytes:
    """A million empty members."""
    return member("few/x").tobuf() * 1_000_000


ARCHIVES: dict[str, Callable[[], bytes]] = {
    "parent": lambda: tar(member("../escaped")),
    "parent within": lambda: tar(member("few/../../escaped")),
    "absolute": lambda: tar(member("/tmp/archdsl-escaped")),
    "link": lambda: tar(member("few/link", tarfile.SYMTYPE, "/etc/passwd")),
    "link to a parent": lambda: tar(member("few/train", tarfile.SYMTYPE, "../escaped"), sound=False),
    "hard link": lambda: tar(member("few/train", tarfile.LNKTYPE, "/etc/passwd"), sound=False),
    "device": lambda: tar(member("few/device", tarfile.CHRTYPE)),
    "block device": lambda: tar(member("few/device", tarfile.BLKTYPE)),
    "pipe": lambda: tar(member("few/pipe", tarfile.FIFOTYPE)),
    "sparse": lambda: tar(member("few/sparse", tarfile.GNUTYPE_SPARSE)),
    "too large": lambda: lying(10**10),
    "more than there is": lambda: lying(10**8, zeros=1000),
    "zeros, 1:1000": lambda: lying(199_000_000, zeros=201_000_000),
    "long name": lambda: lying(10**9, tarfile.GNUTYPE_LONGNAME, 300_000_000),
    "pax header": lambda: lying(10**9, tarfile.XHDTYPE, 300_000_000),
    "a million members": many,
    "without what is wanted": lambda: tar(member("few/other"), sound=False),
    "nothing": lambda: b"",
}


def packed(data: bytes) -> bytes:
    return gzip.compress(data, 1)


BROKEN = {"no gzip": b"hello", "cut": packed(tar())[:-20], "damaged": packed(tar())[:50] + b"xx" + packed(tar())[52:]}


def png(width: int, height: int, *extra: bytes, data: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = b"".join(chunk(part[:4], part[4:]) for part in extra) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + body


def zeros(megabytes: int) -> bytes:
    return zlib.compress(bytes(megabytes << 20), 9)


PICTURES: dict[str, Callable[[], bytes]] = {
    "png of 60,000 squared": lambda: png(60_000, 60_000, data=zeros(100)),
    "png of 2^31": lambda: png(2**31 - 1, 2**31 - 1),
    "wide png": lambda: png(2**31 - 1, 1),
    "packed text": lambda: png(8, 8, b"zTXtx\0\0" + zeros(300)),
    "packed international text": lambda: png(8, 8, b"iTXtx\0\1\0\0\0" + zeros(300)),
    "packed profile": lambda: png(8, 8, b"iCCPx\0\0" + zeros(300), data=b""),
    "gif of 65,535 squared": lambda: b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b";",
    "bmp of 2^31": lambda: (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 2**31 - 1, 2**31 - 1, 1, 24, *[0] * 6)
    ),
    "ppm of 10^9": lambda: b"P6 1000000000 1000000000 255\n",
    "a file of 65 MB": lambda: png(8, 8) + bytes(65 << 20),
}


Open = Callable[[str, Path], dict[str, Any]]


@pytest.fixture(scope="module")
def open_() -> Iterator[Open]:
    """Opens a file in a process of its own: see `opened.py`."""
    script = Path(__file__).with_name("opened.py")
    server = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None
    assert server.stdout is not None

    def ask(act: str, path: Path) -> dict[str, Any]:
        print(json.dumps({"act": act, "path": str(path)}), file=server.stdin, flush=True)
        return json.loads(server.stdout.readline())

    yield ask
    server.stdin.close()
    server.wait()
    server.stdout.close()


def check(found: dict[str, Any], path: Path) -> None:
    """It is refused by name, within the time and the memory."""
    assert found["said"] is not None, "it was taken"
    assert str(path) in found["said"]
    assert found["megabytes"] < MEGABYTES, found
    assert found["seconds"] < SECONDS or found["seconds"] < SECONDS * delay(), found


@pytest.mark.promised("R39", of="archives")
@pytest.mark.parametrize("name", ARCHIVES)
def test_no_archive_bombs_or_escapes(name: str, tmp_path: Path, open_: Open):
    path = tmp_path / "few.tar.gz"
    (tmp_path / "data").mkdir()
    path.write_bytes(packed(ARCHIVES[name]()))
    check(open_("unpack", path), path)
    assert [entry.name for entry in tmp_path.rglob("*")] in (["few.tar.gz", "data"], ["data", "few.tar.gz"])


@pytest.mark.promised("R39", of="broken archives")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_archive_is_named(name: str, tmp_path: Path, open_: Open):
    path, place = tmp_path / "few.tar.gz", tmp_path / "data"
    place.mkdir()
    path.write_bytes(BROKEN[name])
    check(open_("unpack", path), path)
    assert sorted(tmp_path.rglob("*")) == sorted((path, place))


def test_a_sound_archive_is_taken(tmp_path: Path):
    (tmp_path / "few.tar.gz").write_bytes(packed(tar(member("few", tarfile.DIRTYPE), member("few/readme"))))
    unpack(tmp_path / "few.tar.gz", tmp_path, WANTED)
    assert sorted(str(p.relative_to(tmp_path)) for p in (tmp_path / "few").iterdir()) == sorted(WANTED)


@pytest.mark.promised("R39", of="pictures")
@pytest.mark.parametrize("name", PICTURES)
def test_no_picture_bombs(name: str, tmp_path: Path, open_: Open):
    path = tmp_path / "x.png"
    path.write_bytes(PICTURES[name]())
    check(open_("picture", path), path)


@pytest.mark.parametrize(("act", "what"), [("hold", "megabytes"), ("wait", "seconds")])
def test_memory_and_time_are_measured(tmp_path: Path, open_: Open, act: str, what: str):
    """The controls: a process that holds 600 MB, and one that waits, though both refuse in the end."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(600 << 20)
    found = open_(act, path)
    assert found[what] > {"megabytes": MEGABYTES, "seconds": SECONDS}[what]
    if act == "hold":
        with pytest.raises(AssertionError):
            check(found, path)

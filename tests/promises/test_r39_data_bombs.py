"""R39: archives and pictures cannot bomb or escape: each is refused in less than 2 s and 500 MB, and nothing is written.

Downloads (cut, slow, of a wrong length or digest, redirected) are in `tests/train/test_download.py`.
"""

from __future__ import annotations

import gzip
import io
import resource
import struct
import subprocess
import sys
import tarfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from archdsl.train.data.archive import unpack
from archdsl.train.data.pictures import Frame
from archdsl.train.trouble import DataTrouble

WANTED = {"few/train": "few/train", "few/test": "few/test"}
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


def refused(act: Callable[[], object]) -> str:
    """The message, within the time and the memory; both are those of this process."""
    memory, began = peak(), time.process_time()
    with pytest.raises(DataTrouble) as trouble:
        act()
    assert time.process_time() - began < SECONDS
    assert peak() - memory < MEGABYTES
    return str(trouble.value)


def peak() -> int:
    """The most memory that this process has held, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


@pytest.mark.promised("R39", of="archives")
@pytest.mark.parametrize("name", ARCHIVES)
def test_no_archive_bombs_or_escapes(name: str, tmp_path: Path):
    path, place = tmp_path / "few.tar.gz", tmp_path / "data"
    place.mkdir()
    path.write_bytes(packed(ARCHIVES[name]()))
    assert str(path) in refused(lambda: unpack(path, place, WANTED))
    assert [entry.name for entry in tmp_path.rglob("*")] in (["few.tar.gz", "data"], ["data", "few.tar.gz"])


@pytest.mark.promised("R39", of="broken archives")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_archive_is_named(name: str, tmp_path: Path):
    path = tmp_path / "few.tar.gz"
    path.write_bytes(BROKEN[name])
    assert str(path) in refused(lambda: unpack(path, tmp_path, WANTED))
    assert list(tmp_path.iterdir()) == [path]


def test_a_sound_archive_is_taken(tmp_path: Path):
    (tmp_path / "few.tar.gz").write_bytes(packed(tar(member("few", tarfile.DIRTYPE), member("few/readme"))))
    unpack(tmp_path / "few.tar.gz", tmp_path, WANTED)
    assert sorted(str(p.relative_to(tmp_path)) for p in (tmp_path / "few").iterdir()) == sorted(WANTED)


@pytest.mark.promised("R39", of="pictures")
@pytest.mark.parametrize("name", PICTURES)
def test_no_picture_bombs(name: str, tmp_path: Path):
    path = tmp_path / "x.png"
    path.write_bytes(PICTURES[name]())
    assert str(path) in refused(lambda: Frame(3, 8, 8).read(path))


def test_memory_is_measured():
    """The control: a process that does hold so much is seen to."""
    script = f"import resource; x = bytearray({MEGABYTES} << 20); print(resource.getrusage(0).ru_maxrss >> 10)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) >= MEGABYTES

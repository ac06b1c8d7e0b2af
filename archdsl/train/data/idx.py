"""MNIST and Fashion-MNIST from their IDX files, plain or gzip.

The 28×28 images lie in the middle of 32×32, as in LeCun et al. 1998, so that LeNet-5 takes them as they are.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from archdsl.train.data.files import check_digest, file_in, read
from archdsl.train.data.images import Images, InMemory, Request
from archdsl.train.trouble import DataTrouble

Bytes = NDArray[np.uint8]

SIDE, MARGIN = 28, 2
LARGEST = 100_000_000
FASHION = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
# Of the unpacked files, whose packed forms differ from place to place.
DIGESTS = {
    "mnist": {
        "train-images-idx3-ubyte": "md5:6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "md5:a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "md5:2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "md5:27ae3e4e09519cfbb04c329615203637",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": "sha256:c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "sha256:bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "sha256:5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "sha256:0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}


def mnist(request: Request) -> Images:
    """60,000 training and 10,000 test images of handwritten digits."""
    return _load("mnist", tuple("0123456789"), request)


def fashion_mnist(request: Request) -> Images:
    """60,000 training and 10,000 test images of clothes."""
    return _load("fashion-mnist", FASHION, request)


def _load(name: str, classes: tuple[str, ...], request: Request) -> Images:
    return Images(name, _split(name, "train", request), _split(name, "t10k", request), classes, margin=MARGIN)


def _split(name: str, part: str, request: Request) -> InMemory:
    _, pixels = _array(name, f"{part}-images-idx3-ubyte", (SIDE, SIDE), request)
    label_path, labels = _array(name, f"{part}-labels-idx1-ubyte", (), request)
    if len(pixels) != len(labels):
        raise DataTrouble(f"{label_path}: expected {len(pixels)} labels, as there are images; found {len(labels)}")
    if labels.max(initial=0) > 9:
        raise DataTrouble(f"{label_path}: expected labels from 0 to 9, found {labels.max()}")
    padded = np.pad(pixels, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)))
    return InMemory(torch.tensor(padded[..., None]), torch.tensor(labels.astype(np.int64)))


def _array(name: str, file: str, sides: tuple[int, ...], request: Request) -> tuple[Path, Bytes]:
    """Where the file is, and the bytes behind its IDX header, which must announce exactly what follows."""
    path = file_in(request, name, file, f"{file}.gz")
    data = _plain(path, read(path, LARGEST, None, unofficial=True))
    if not request.unofficial:
        check_digest(path, data, DIGESTS[name][file])
    return path, _unwrapped(path, data, sides)


def _unwrapped(path: Path, data: bytes, sides: tuple[int, ...]) -> Bytes:
    dimensions = 1 + len(sides)
    header = 4 * (1 + dimensions)
    if data[:4] != bytes([0, 0, 8, dimensions]) or len(data) < header:
        raise DataTrouble(f"{path}: expected an IDX file of bytes in {dimensions} dimensions")
    count, *found = (int.from_bytes(data[at : at + 4], "big") for at in range(4, header, 4))
    size = header + count * int(np.prod(sides))
    if tuple(found) != sides or len(data) != size or count == 0:
        said = " × ".join(map(str, (count, *found)))
        raise DataTrouble(
            f"{path}: expected {' × '.join(map(str, ('N', *sides)))} and as many bytes; "
            f"found a header of {said} and {len(data) - header} bytes"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(count, *sides)


def _plain(path: Path, data: bytes) -> bytes:
    """Unpacked, up to a limit: a megabyte of gzip can hold a gigabyte of zeros."""
    if data[:2] != b"\x1f\x8b":
        return data
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(data, LARGEST)
    except zlib.error as error:
        raise DataTrouble(f"{path}: damaged gzip ({error})") from None
    if not unpacker.eof or unpacker.unused_data:
        what = (
            f"holds more than {LARGEST:,} bytes" if unpacker.unconsumed_tail else "ends too early or goes on too long"
        )
        raise DataTrouble(f"{path}: the gzip {what}")
    return plain

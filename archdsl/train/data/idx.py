"""MNIST and Fashion-MNIST from their IDX files, plain or gzip.

The 28×28 images lie in the middle of 32×32, as in LeCun et al. 1998, so that LeNet-5 takes them as they are.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import torch

from archdsl.train.data.files import read
from archdsl.train.data.images import Images, InMemory, Request
from archdsl.train.trouble import DataTrouble

SIDE, MARGIN = 28, 2
LARGEST = 100_000_000
FASHION = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
COUNTS = {"train": 60_000, "t10k": 10_000}


def mnist(request: Request) -> Images:
    """60,000 training and 10,000 test images of handwritten digits."""
    return _load("mnist", tuple("0123456789"), request)


def fashion_mnist(request: Request) -> Images:
    """60,000 training and 10,000 test images of clothes."""
    return _load("fashion-mnist", FASHION, request)


def _load(name: str, classes: tuple[str, ...], request: Request) -> Images:
    if request.directory is None:
        raise DataTrouble(f"{name} is not part of archdsl: say where it is with --data-dir")
    folder = request.directory / name if (request.directory / name).is_dir() else request.directory
    return Images(name, _split(folder, "train", request), _split(folder, "t10k", request), classes)


def _split(folder: Path, part: str, request: Request) -> InMemory:
    pixel_path, label_path = _file(folder, f"{part}-images-idx3-ubyte"), _file(folder, f"{part}-labels-idx1-ubyte")
    pixels, labels = _array(pixel_path, (SIDE, SIDE)), _array(label_path, ())
    if len(pixels) != len(labels):
        raise DataTrouble(f"{label_path}: expected {len(pixels)} labels, as there are images; found {len(labels)}")
    if len(labels) != COUNTS[part] and not request.unofficial:
        raise DataTrouble(f"{label_path}: expected {COUNTS[part]:,} labels, found {len(labels):,}")
    if labels.max(initial=0) > 9:
        raise DataTrouble(f"{label_path}: expected labels from 0 to 9, found {labels.max()}")
    padded = np.pad(pixels, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)))
    return InMemory(torch.tensor(padded[..., None]), torch.tensor(labels.astype(np.int64)))


def _file(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            return path
    raise DataTrouble(f"{folder}: expected {name} or {name}.gz")


def _array(path: Path, sides: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The bytes behind an IDX header, which must announce exactly what follows."""
    data = _plain(path, read(path, LARGEST, None, unofficial=True))
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

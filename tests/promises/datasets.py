"""Small data sets, whole, one file of which a fuzzer replaces: what a trainer reads from disk.

A new reader joins with a row of `SETS` and a function that writes a set it takes.
"""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from archdsl.train.data import Request, load
from archdsl.train.trouble import DataTrouble

COUNT = 2


class Case(NamedTuple):
    """A data set by name, the files that make one, and which of them is replaced."""

    name: str
    files: Callable[[], dict[str, bytes]]
    replaced: str


def _python() -> dict[str, bytes]:
    pixels = np.arange(COUNT * 3072, dtype=np.uint8).reshape(COUNT, 3072)
    batch = pickle.dumps({b"labels": [3, 4], b"data": pixels}, 2)
    names = pickle.dumps({b"label_names": [b"class%d" % i for i in range(10)]}, 2)
    files = {f"data_batch_{n}": batch for n in range(1, 6)} | {"test_batch": batch, "batches.meta": names}
    return {f"cifar-10-batches-py/{name}": data for name, data in files.items()}


def _binary() -> dict[str, bytes]:
    batch = bytes([7, *(i % 256 for i in range(3072))]) * COUNT
    files = {f"data_batch_{n}.bin": batch for n in range(1, 6)} | {"test_batch.bin": batch}
    files["batches.meta.txt"] = b"\n".join(b"class%d" % i for i in range(10))
    return {f"cifar-10-batches-bin/{name}": data for name, data in files.items()}


def _idx() -> dict[str, bytes]:
    pixels = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (COUNT, 28, 28)) + bytes(COUNT * 784)
    labels = b"\0\0\x08\x01" + COUNT.to_bytes(4, "big") + bytes([5, 9])
    both = {"images-idx3-ubyte": pixels, "labels-idx1-ubyte": labels}
    return {f"{part}-{name}": data for part in ("train", "t10k") for name, data in both.items()}


def _packed() -> dict[str, bytes]:
    return {f"{name}.gz": gzip.compress(data, mtime=0) for name, data in _idx().items()}


SETS = (
    Case("cifar10", _python, "cifar-10-batches-py/data_batch_1"),
    Case("cifar10", _python, "cifar-10-batches-py/batches.meta"),
    Case("cifar10", _binary, "cifar-10-batches-bin/test_batch.bin"),
    Case("cifar10", _binary, "cifar-10-batches-bin/batches.meta.txt"),
    Case("mnist", _idx, "train-images-idx3-ubyte"),
    Case("mnist", _idx, "train-labels-idx1-ubyte"),
    Case("fashion-mnist", _packed, "t10k-images-idx3-ubyte.gz"),
)


def seeds() -> list[bytes]:
    """Inputs of `feed` that are whole sets."""
    return [bytes([row]) + case.files()[case.replaced] for row, case in enumerate(SETS)]


def prepare(folder: Path) -> None:
    """Write every set, each in a folder of its own."""
    for row, case in enumerate(SETS):
        for name, data in case.files().items():
            path = folder / str(row) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def feed(data: bytes, folder: Path) -> bool:
    """Read the set that the first byte names, with the rest as its replaced file; whether it is taken.

    What is refused is refused by a `DataTrouble` of one line that names the place; anything else escapes.
    """
    row = data[0] % len(SETS) if data else 0
    case, place = SETS[row], folder / str(row)
    (place / case.replaced).write_bytes(data[1:])
    try:
        images = load(case.name, Request(place, unofficial=True))
    except DataTrouble as trouble:
        _check_message(str(trouble), place)
        return False
    assert min(len(images.train), len(images.test)) > 0, "a set without images"
    return True


def _check_message(message: str, place: Path) -> None:
    assert str(place) in message, f"no place in: {message}"
    assert message.isprintable(), f"hidden characters in: {message!a}"

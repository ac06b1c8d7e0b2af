"""SVHN's MATLAB files: read as published, every other file named with what was expected."""

from __future__ import annotations

import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from matfiles import DOUBLE, HEADER, element, matrix, packed, svhn

from archdsl.train.data import Images, Request, load
from archdsl.train.data.mat import NotRead, read_mat
from archdsl.train.trouble import DataTrouble

COUNT = 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, part in enumerate(("train", "extra", "test")):
        (tmp_path / f"{part}_32x32.mat").write_bytes(svhn(COUNT, seed)[0])
    return tmp_path


def read(folder: Path, name: str = "svhn-train") -> Images:
    return load(name, Request(folder, unofficial=True))


@pytest.mark.parametrize("pack", [False, True])
def test_reading(folder: Path, pack: bool):
    data, pixels, labels = svhn(COUNT, 7, pack)
    (folder / "train_32x32.mat").write_bytes(data)
    images = read(folder)
    assert images.shape == (3, 32, 32)
    assert torch.equal(images.train.take(torch.tensor([3]))[0][0], torch.tensor(pixels[:, :, :, 3]))
    assert images.train.labels.tolist() == [int(label) % 10 for label in labels[:, 0]], "10 is the digit 0"
    assert (images.classes[0], len(images.train), len(images.test)) == ("0", COUNT, COUNT)


def test_reading_takes_twice_the_memory_of_the_pixels(folder: Path):
    """The file, which random pixels do not make smaller, and what is in it; the trainer keeps the latter as it is."""
    count = 4000
    data, pixels, _ = svhn(count, 7)
    (folder / "train_32x32.mat").write_bytes(data)
    del data
    tracemalloc.start()
    try:
        images = read(folder)
        assert tracemalloc.get_traced_memory()[1] < 2.6 * pixels.nbytes
    finally:
        tracemalloc.stop()
    for number in (0, 999, 1000, count - 1):
        assert torch.equal(images.train.take(torch.tensor([number]))[0][0], torch.tensor(pixels[:, :, :, number]))


def test_the_extra_images_are_part_of_svhn(folder: Path):
    images = read(folder, "svhn")
    assert len(images.train) == 2 * COUNT
    _, extra, _ = svhn(COUNT, 1)
    assert torch.equal(images.train.take(torch.tensor([COUNT]))[0][0], torch.tensor(extra[:, :, :, 0]))
    (folder / "extra_32x32.mat").unlink()
    with pytest.raises(DataTrouble, match=r"expected extra_32x32.mat"):
        read(folder, "svhn")


def test_a_file_that_is_not_the_published_one_is_named(folder: Path):
    with pytest.raises(DataTrouble, match=r"train_32x32.mat: this is not the published file.*e26dedcc.*, found"):
        load("svhn", Request(folder))


PIXELS = np.zeros((32, 32, 3, COUNT), np.uint8)
LABELS = np.ones((COUNT, 1))


def mat(*arrays: bytes) -> bytes:
    return HEADER + b"".join(packed(array) for array in arrays)


X, Y = matrix("X", PIXELS), matrix("y", LABELS, DOUBLE)
BOMB = HEADER + packed(element(14, bytes(200_000_000)))
WRONG = {
    "empty": (b"", "no MATLAB file of level 5"),
    "level 7.3": (HEADER[:124] + b"\x00\x02IM" + b"\x89HDF", "no MATLAB file of level 5"),
    "no labels": (mat(X), "holds no array y"),
    "no pixels": (mat(Y), "holds no array X"),
    "too few labels": (mat(X, matrix("y", LABELS[:19], DOUBLE)), "expected 20 labels, as there are images; found 19"),
    "label 0": (mat(X, matrix("y", LABELS * 0, DOUBLE)), "expected labels from 1 to 10, found 0"),
    "label not a number": (
        mat(X, matrix("y", LABELS * np.nan, DOUBLE, "f8")),
        "expected labels from 1 to 10, found nan",
    ),
    "28 rows": (mat(matrix("X", PIXELS[:28]), Y), "expected X as 32 × 32 × 3 × N bytes, found 28 × 32 × 3 × 20"),
    "pixels of floats": (mat(matrix("X", PIXELS, DOUBLE, "f8"), Y), "of type float64"),
    "cells": (mat(matrix("X", PIXELS, kind=1), Y), "X is no array of real numbers"),
    "complex": (mat(matrix("X", PIXELS, kind=0x0809), Y), "X is no array of real numbers"),
    "cut": (mat(X, Y)[:-40], "ends too early"),
    "packed part cut": (HEADER + packed(X[:-8]) + packed(Y), "ends too early"),
    "packed part too long": (HEADER + packed(X + b"x") + packed(Y), "goes on too long"),
    "damaged zlib": (mat(X, Y).replace(b"\x78\x9c", b"\x78\x00", 1), "damaged"),
    "lying size": (
        HEADER + packed(X.replace(COUNT.to_bytes(4, "little"), b"\xff\xff\xff\x7f", 1)),
        "sides of 32 × 32 × 3",
    ),
    "bomb": (BOMB, "describes an array by"),
    "nothing but an odd element": (HEADER + element(99, b"12345678"), "element of type 99"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(folder: Path, name: str):
    data, message = WRONG[name]
    (folder / "train_32x32.mat").write_bytes(data)
    with pytest.raises(DataTrouble, match=r"train_32x32.mat: ") as trouble:
        read(folder)
    assert message in str(trouble.value)


def test_one_flipped_bit_of_packed_numbers_is_seen():
    """zlib's own checksum: nothing else would know."""
    stored = zlib.compressobj(level=0)
    data = stored.compress(X) + stored.flush()
    data = HEADER + (15).to_bytes(4, "little") + len(data).to_bytes(4, "little") + data + packed(Y)
    assert read_mat(data, {"X": 10**6, "y": 100})["X"].shape == (COUNT, 3, 32, 32)
    flipped = bytearray(data)
    flipped[5000] ^= 1
    with pytest.raises(NotRead, match="damaged"):
        read_mat(bytes(flipped), {"X": 10**6, "y": 100})

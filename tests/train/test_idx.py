"""MNIST's files: read plain and packed; every other file named with what was expected."""

from __future__ import annotations

import gzip
import os
import random
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from archdsl.train.data import READERS, Request, load
from archdsl.train.job import TrainConfig
from archdsl.train.trouble import DataTrouble


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape)
    return header + array.astype(np.uint8).tobytes()


def contents(count: int = 20) -> dict[str, bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 28, 28))
    parts = {"images-idx3-ubyte": idx(pixels), "labels-idx1-ubyte": idx(np.arange(count) % 10)}
    return {f"{part}-{name}": data for part in ("train", "t10k") for name, data in parts.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in contents().items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("packed", [False, True])
def test_reading(folder: Path, name: str, packed: bool):
    if packed:
        for path in list(folder.iterdir()):
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    images = load(name, Request(folder, unofficial=True))
    assert images.shape == (1, 32, 32)
    assert images.test.labels.tolist() == [i % 10 for i in range(20)]
    inner = images.train.pixels[:, 2:30, 2:30, 0].flatten()
    assert torch.equal(inner, torch.tensor(list(contents()["train-images-idx3-ubyte"][16:]), dtype=torch.uint8))
    assert int(images.train.pixels.sum()) == int(inner.long().sum())


def test_what_is_not_published_is_told_apart_by_its_contents(folder: Path):
    """A run does not go on with other images that happen to be as many."""
    first, again = (load("mnist", Request(folder, unofficial=True)).fingerprint for _ in range(2))
    path = folder / LABELS
    path.write_bytes(path.read_bytes()[:-1] + b"\x03")
    assert first == again != load("mnist", Request(folder, unofficial=True)).fingerprint


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_a_file_that_is_not_the_published_one_is_named(folder: Path, name: str):
    with pytest.raises(
        DataTrouble, match=r"train-images-idx3-ubyte: this is not the published file.*expected .*, found"
    ):
        load(name, Request(folder))


def test_the_real_fashion_mnist():
    directory = os.environ.get("ARCHDSL_FASHION_MNIST")
    if not directory:
        pytest.skip("ARCHDSL_FASHION_MNIST names no directory with the official files")
    images = load("fashion-mnist", Request(Path(directory)))
    assert images.train.labels.bincount().tolist() == [6000] * 10
    assert (len(images.test), images.shape) == (10_000, (1, 32, 32))


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
WRONG = [
    (IMAGES, b"", "expected an IDX file of bytes in 3 dimensions"),
    (
        IMAGES,
        contents()[IMAGES][:-1],
        "expected N × 28 × 28 and as many bytes; found a header of 20 × 28 × 28 and 15679",
    ),
    (IMAGES, contents()[IMAGES] + b"x", "found a header of 20 × 28 × 28 and 15681"),
    (IMAGES, idx(np.zeros((20, 28, 27))), "found a header of 20 × 28 × 27"),
    (IMAGES, bytes([0, 0, 8, 3]) + b"\xff" * 12, "found a header of 4294967295"),
    (IMAGES, gzip.compress(contents()[IMAGES])[:-9], "ends too early"),
    (IMAGES, b"\x1f\x8b\x08" + bytes(50), "gzip"),
    (IMAGES, gzip.compress(bytes(200_000_000), 1), "holds more than 100,000,000 bytes"),
    (LABELS, idx(np.arange(19)), "expected 20 labels, as there are images; found 19"),
    (LABELS, idx(np.full(20, 10)), "expected labels from 0 to 9, found 10"),
    (LABELS, idx(np.zeros(0)), "found a header of 0"),
]


@pytest.mark.parametrize(("name", "data", "message"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_said(folder: Path, name: str, data: bytes, message: str):
    (folder / name).write_bytes(data)
    with pytest.raises(DataTrouble, match=name) as trouble:
        load("mnist", Request(folder, unofficial=True))
    assert message in str(trouble.value)


def test_a_missing_file_is_named(folder: Path):
    (folder / IMAGES).unlink()
    with pytest.raises(DataTrouble, match=f"expected {IMAGES} or {IMAGES}.gz"):
        load("mnist", Request(folder))
    with pytest.raises(DataTrouble, match="--data-dir"):
        load("mnist", Request())


def test_mutants_give_one_kind_of_exception(folder: Path):
    chance = random.Random(0)
    for packed in (False, True):
        original = contents()[LABELS]
        original = gzip.compress(original) if packed else original
        for _ in range(300):
            data = bytearray(original)
            data[chance.randrange(len(data))] = chance.randrange(256)
            (folder / LABELS).write_bytes(data[: chance.randrange(len(data)) if chance.random() < 0.3 else None])
            try:
                load("mnist", Request(folder, unofficial=True))
            except DataTrouble:
                continue


def test_every_name_of_the_options_has_a_reader():
    assert set(get_args(TrainConfig.model_fields["data"].annotation)) == set(READERS)

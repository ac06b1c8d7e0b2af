"""R38: a damaged data file gives one kind of exception, whatever the damage; where its digest is known, none is silent."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matfiles import svhn
from PIL import Image
from soak import Tally, scaled

from archdsl.train.data import Request, cifar, files, idx
from archdsl.train.data import svhn as svhn_reader
from archdsl.train.data.pictures import Frame
from archdsl.train.trouble import DataTrouble

COUNT, MORE = 2_000, 50_000
ODD = (0, 1, 0x7F, 0x80, 0xFF)


def mutant(data: bytes, chance: random.Random) -> bytes:
    """Flips, lying numbers, cuts, holes, runs of zeros, doubled parts; most at the beginning, where headers are."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(out)) if chance.random() < 0.5 else chance.randrange(min(200, len(out)))
        size = chance.randint(1, 40)
        match chance.randrange(6):
            case 0:
                out[at] ^= 1 << chance.randrange(8)
            case 1:
                out[at : at + 4] = bytes(chance.choice(ODD) for _ in range(len(out[at : at + 4])))
            case 2:
                out = out[: at + 1]
            case 3:
                del out[at : at + min(size, len(out) - 1)]
            case 4:
                out[at : at + size] = bytes(len(out[at : at + size]))
            case _:
                out[at:at] = out[at : at + size]
    return bytes(out)


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 9, 3), np.uint8)).save(out, kind)
    return out.getvalue()


def cifar_python(path: Path, data: bytes) -> object:
    return cifar._python_batch(path, data, cifar.FORMS["cifar10"]["python"])


def cifar_binary(path: Path, data: bytes) -> object:
    return cifar._binary_batch(path, data, cifar.FORMS["cifar10"]["binary"])


def idx_file(path: Path, data: bytes) -> object:
    return idx._unwrapped(path, idx._plain(path, data), (28, 28))


def svhn_file(path: Path, data: bytes) -> object:
    path.write_bytes(data)
    return svhn_reader._split("svhn-train", "train", Request(path.parent, unofficial=True))


def picture_file(path: Path, data: bytes) -> object:
    path.write_bytes(data)
    return Frame(3, 8, 8).read(path)


def batch(count: int = 4) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 3072), np.uint8)
    return pickle.dumps({b"labels": list(range(count)), b"data": pixels, b"filenames": [b"x"] * count}, 2)


IDX = bytes([0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 28, 0, 0, 0, 28]) + random.Random(0).randbytes(4 * 28 * 28)
FORMATS: dict[str, tuple[str, bytes, Callable[[Path, bytes], object]]] = {
    "cifar python": ("data_batch_1", batch(), cifar_python),
    "cifar binary": ("data_batch_1.bin", bytes([7, *bytes(3072)]) * 4, cifar_binary),
    "idx": ("train-images-idx3-ubyte", IDX, idx_file),
    "idx gzip": ("train-images-idx3-ubyte.gz", gzip.compress(IDX), idx_file),
    "svhn": ("train_32x32.mat", svhn(3)[0], svhn_file),
    "svhn unpacked": ("train_32x32.mat", svhn(3, 1, pack=False)[0], svhn_file),
    **{
        kind: (f"0.{kind.lower()}", picture(kind), picture_file)
        for kind in ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM")
    },
}


def feed(name: str, folder: Path, count: int) -> tuple[int, int]:
    """How many mutants were refused, and how many were silent although their digest is known."""
    file, sound, reader = FORMATS[name]
    path = folder / file
    digest = f"sha256:{hashlib.sha256(sound).hexdigest()}"
    reader(path, sound)
    chance = random.Random(name)
    refused = silent = 0
    for _ in range(count):
        data = mutant(sound, chance)
        try:
            reader(path, data)
        except DataTrouble as trouble:
            refused += 1
            assert str(path) in str(trouble)  # noqa: PT017  most mutants raise, none has to
        try:
            files.check_digest(path, data, digest)
            silent += data != sound
        except DataTrouble:
            continue
    return refused, silent


@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_named(name: str, tmp_path: Path):
    refused, silent = feed(name, tmp_path, COUNT)
    assert silent == 0
    assert refused > COUNT // 20, "the mutants are damaged enough to be noticed"


@pytest.mark.prove
@pytest.mark.promised("R38", of="damaged files")
@pytest.mark.parametrize("name", FORMATS)
def test_much_damage_is_named(name: str, tmp_path: Path, soak: Tally):
    soak.cases, soak.seed = scaled(MORE), name
    refused, silent = feed(name, tmp_path, soak.cases)
    print(f"{name}: {refused:,} of {soak.cases:,} mutants refused by the reader itself, {silent} pass the digest")
    assert silent == 0

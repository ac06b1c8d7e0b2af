"""R38: a damaged data file gives one kind of exception, whatever the damage; where its digest is known, none is silent.

Each mutant goes to the reader of its format as if no digest were known, and to the loader of its set, which knows the digest of
the sound file: the reader may take it, the loader does not. Whoever refuses it names it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from matfiles import svhn
from PIL import Image
from soak import Tally, scaled

from archdsl.train.data import Request, cifar, idx, load
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


def cifar100_python(path: Path, data: bytes) -> object:
    return cifar._python_batch(path, data, cifar.FORMS["cifar100"]["python"])


def cifar100_binary(path: Path, data: bytes) -> object:
    return cifar._binary_batch(path, data, cifar.FORMS["cifar100"]["binary"])


def idx_file(path: Path, data: bytes) -> object:
    return idx._unwrapped(path, idx._plain(path, data), (28, 28))


def idx_labels(path: Path, data: bytes) -> object:
    """With the images that they are of."""
    path.write_bytes(data)
    return idx._split("mnist", "train", Request(path.parent, unofficial=True))


def svhn_file(path: Path, data: bytes) -> object:
    path.write_bytes(data)
    return svhn_reader._split("svhn-train", "train", Request(path.parent, unofficial=True))


def picture_file(path: Path, data: bytes) -> object:
    path.write_bytes(data)
    return Frame(3, 8, 8).read(path)


def batch(count: int = 4, labels: bytes = b"labels") -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 3072), np.uint8)
    return pickle.dumps({labels: list(range(count)), b"data": pixels, b"filenames": [b"x"] * count}, 2)


IDX = bytes([0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 28, 0, 0, 0, 28]) + random.Random(0).randbytes(4 * 28 * 28)
LABELS = bytes([0, 0, 8, 1, 0, 0, 0, 4, 7, 0, 9, 3])
FORMATS: dict[str, tuple[str, bytes, Callable[[Path, bytes], object]]] = {
    "cifar python": ("data_batch_1", batch(), cifar_python),
    "cifar binary": ("data_batch_1.bin", bytes([7, *bytes(3072)]) * 4, cifar_binary),
    "cifar-100 python": ("train", batch(4, b"fine_labels"), cifar100_python),
    "cifar-100 binary": ("train.bin", bytes([7, 70, *bytes(3072)]) * 4, cifar100_binary),
    "idx": ("train-images-idx3-ubyte", IDX, idx_file),
    "idx gzip": ("train-images-idx3-ubyte.gz", gzip.compress(IDX), idx_file),
    "idx labels": ("train-labels-idx1-ubyte", LABELS, idx_labels),
    "idx labels gzip": ("train-labels-idx1-ubyte.gz", gzip.compress(LABELS), idx_labels),
    "svhn": ("train_32x32.mat", svhn(3)[0], svhn_file),
    "svhn unpacked": ("train_32x32.mat", svhn(3, 1, pack=False)[0], svhn_file),
    **{
        kind: (f"0.{kind.lower()}", picture(kind), picture_file)
        for kind in ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM")
    },
}


class Known(NamedTuple):
    """A set whose files have known digests: where they stand, and where the files of the set lie."""

    set: str
    module: object
    folder: str
    others: Mapping[str, bytes]
    """The files that are read beside the damaged one."""


def idx_set(*replaced: str) -> dict[str, bytes]:
    parts = {"images-idx3-ubyte": IDX, "labels-idx1-ubyte": LABELS}
    files = {f"{part}-{name}": data for part in ("train", "t10k") for name, data in parts.items()}
    return {name: data for name, data in files.items() if name not in replaced}


KNOWN = {
    "cifar python": Known(
        "cifar10", cifar, "cifar-10-batches-py", {"batches.meta": pickle.dumps({b"label_names": [b"x"] * 10}, 2)}
    ),
    "cifar binary": Known("cifar10", cifar, "cifar-10-batches-bin", {"batches.meta.txt": b"x\n" * 10}),
    "cifar-100 python": Known(
        "cifar100", cifar, "cifar-100-python", {"meta": pickle.dumps({b"fine_label_names": [b"x"] * 100}, 2)}
    ),
    "cifar-100 binary": Known("cifar100", cifar, "cifar-100-binary", {"fine_label_names.txt": b"x\n" * 100}),
    "idx": Known("mnist", idx, "", idx_set("train-images-idx3-ubyte")),
    "idx gzip": Known("fashion-mnist", idx, "", idx_set("train-images-idx3-ubyte")),
    "idx labels": Known("mnist", idx, "", idx_set("train-labels-idx1-ubyte")),
    "idx labels gzip": Known("fashion-mnist", idx, "", idx_set("train-labels-idx1-ubyte")),
    "svhn": Known("svhn-train", svhn_reader, "", {"test_32x32.mat": svhn(3)[0]}),
    "svhn unpacked": Known("svhn-train", svhn_reader, "", {"test_32x32.mat": svhn(3)[0]}),
}


def digests(known: Known, files: Mapping[str, bytes]) -> object:
    """As the loader's module keeps them; of IDX files those of the unpacked ones."""
    plain = {name: gzip.decompress(data) if name.endswith(".gz") else data for name, data in files.items()}
    found = {name: f"sha256:{hashlib.sha256(data).hexdigest()}" for name, data in plain.items()}
    if known.module is idx:
        return {known.set: {name.removesuffix(".gz"): digest for name, digest in found.items()}}
    if known.module is svhn_reader:
        return {name.removesuffix("_32x32.mat"): digest for name, digest in found.items()}
    return {f"{known.folder}/{name}": digest for name, digest in found.items()}


def laid_out(known: Known, file: str, sound: bytes) -> dict[str, bytes]:
    """All files of the set, by name; the batches of CIFAR are all alike."""
    form = next((f for f in cifar.FORMS.get(known.set, {}).values() if f.folder == known.folder), None)
    batches = (*form.train, *form.test) if form else (file,)
    return {**known.others, **dict.fromkeys(batches, sound)}


SILENT = "taken, and other images than those of the sound file"


def loader(name: str, root: Path, patch: pytest.MonkeyPatch, unofficial: bool = False) -> Callable[[bytes], str]:
    """Loads the set with one of its files replaced; what it says, SILENT, or nothing where the images are the same."""
    known, (file, sound, _) = KNOWN[name], FORMATS[name]
    files, place = laid_out(known, file, sound), root / known.folder
    place.mkdir(exist_ok=True)
    for other, data in files.items():
        (place / other).write_bytes(data)
    expected = load(known.set, Request(root, unofficial=True)).train
    patch.setattr(known.module, "DIGESTS", digests(known, files))

    def said(data: bytes) -> str:
        (place / file).write_bytes(data)
        try:
            found = load(known.set, Request(root, unofficial=unofficial)).train
        except DataTrouble as trouble:
            if "images, expected 50,000" not in str(trouble):
                return str(trouble)
            return "" if data == sound else SILENT  # all files were taken: they are only too few
        same = torch.equal(found.pixels, expected.pixels) and torch.equal(found.labels, expected.labels)
        return "" if same else SILENT

    assert said(sound) == ""
    return said


def feed(name: str, folder: Path, count: int) -> int:
    """How many mutants the reader refuses, each by its name."""
    file, sound, reader = FORMATS[name]
    path = folder / file
    for other, data in KNOWN[name].others.items() if name in KNOWN else ():
        (folder / other).write_bytes(data)
    reader(path, sound)
    chance = random.Random(name)
    refused = 0
    for _ in range(count):
        try:
            reader(path, mutant(sound, chance))
        except DataTrouble as trouble:
            refused += 1
            assert str(path) in str(trouble)  # noqa: PT017  most mutants raise, none has to
    return refused


def silent(name: str, root: Path, count: int, patch: pytest.MonkeyPatch, unofficial: bool = False) -> int:
    """How many mutants a loader takes that knows the digest; those that it refuses it names."""
    said = loader(name, root, patch, unofficial)
    path = root / KNOWN[name].folder / FORMATS[name][0]
    chance = random.Random(f"known/{name}")
    found = 0
    for _ in range(count):
        message = said(mutant(FORMATS[name][1], chance))
        found += message == SILENT
        assert message in ("", SILENT) or str(path) in message
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_named(name: str, tmp_path: Path):
    refused = feed(name, tmp_path, COUNT)
    assert refused > COUNT // 20, "the mutants are damaged enough to be noticed"


@pytest.mark.parametrize("name", KNOWN)
def test_no_damage_is_silent_where_the_digest_is_known(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert silent(name, tmp_path, COUNT, monkeypatch) == 0


@pytest.mark.parametrize("name", [name for name in KNOWN if "gzip" not in name and name != "svhn"])
def test_damage_is_silent_where_the_digest_is_not_asked_for(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The negative control. What is packed by zlib has a checksum of its own, which few mutants keep."""
    assert silent(name, tmp_path, COUNT // 4, monkeypatch, unofficial=True) > 0


@pytest.mark.prove
@pytest.mark.promised("R38", of="damaged files")
@pytest.mark.parametrize("name", FORMATS)
def test_much_damage_is_named(name: str, tmp_path: Path, soak: Tally):
    soak.cases, soak.seed = scaled(MORE), name
    refused = feed(name, tmp_path, soak.cases)
    print(f"{name}: {refused:,} of {soak.cases:,} mutants refused by the reader itself")


@pytest.mark.prove
@pytest.mark.promised("R38", of="damaged files of known digests")
@pytest.mark.parametrize("name", KNOWN)
def test_no_damage_of_much_is_silent(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, soak: Tally):
    soak.cases, soak.seed = scaled(MORE), f"known/{name}"
    assert silent(name, tmp_path, soak.cases, monkeypatch) == 0

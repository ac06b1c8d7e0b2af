"""CIFAR's files: read as published, refused when they are anything else, and never run."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from soak import Tally, scaled

from archdsl.train.data import Images, Request, load
from archdsl.train.data import cifar as reader
from archdsl.train.data.images import InMemory
from archdsl.train.data.pickled import NotAllowed, read_pickle
from archdsl.train.trouble import DataTrouble

COUNT = 20
NAMES = [b"airplane", b"automobile", b"bird", b"cat", b"deer", b"dog", b"frog", b"horse", b"ship", b"truck"]


def pixels(seed: int, count: int = COUNT) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), np.uint8)


def labels(count: int = COUNT) -> list[int]:
    return [i % 10 for i in range(count)]


def batch(seed: int, protocol: int = 2) -> bytes:
    content = {b"batch_label": b"x", b"labels": labels(), b"data": pixels(seed), b"filenames": [b"a"] * COUNT}
    return pickle.dumps(content, protocol)


@pytest.fixture
def python_form(tmp_path: Path) -> Path:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for n, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        (folder / name).write_bytes(batch(n))
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": NAMES}, 2))
    return folder


def read(folder: Path, name: str = "cifar10") -> Images:
    return load(name, Request(folder, unofficial=True))


def check(images: Images):
    assert (len(images.train), len(images.test)) == (5 * COUNT, COUNT)
    assert images.shape == (3, 32, 32)
    first = torch.tensor(pixels(0)[0].reshape(3, 32, 32))
    assert torch.equal(images.train.pixels[0].permute(2, 0, 1), first)
    assert images.test.labels.tolist() == labels()
    assert images.classes[3] == "cat"


def test_the_python_form(python_form: Path):
    check(read(python_form.parent))
    check(read(python_form))


def test_the_binary_form(tmp_path: Path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for n, name in enumerate([*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]):
        rows = np.concatenate([np.array(labels(), np.uint8)[:, None], pixels(n)], 1)
        (folder / name).write_bytes(rows.tobytes())
    (folder / "batches.meta.txt").write_bytes(b"\n".join(NAMES) + b"\n\n")
    check(read(tmp_path))
    with pytest.raises(DataTrouble, match=r"data_batch_5.bin hold 100 images, expected 50,000"):
        load("cifar10", Request(tmp_path))
    (folder / "test_batch.bin").write_bytes(rows.tobytes()[:-1])
    with pytest.raises(DataTrouble, match=r"test_batch.bin: expected whole records of 3073 bytes, found 61459 bytes"):
        read(tmp_path)


def binary(folder: Path, images: Images) -> Path:
    """The files of the binary form: each image one byte for its label and then its pixels, plane by plane."""
    folder = folder / "cifar-10-batches-bin"
    folder.mkdir()
    rows = [
        torch.cat([split.labels[:, None].to(torch.uint8), split.pixels.permute(0, 3, 1, 2).flatten(1)], 1).numpy()
        for split in (images.train, images.test)
        if isinstance(split, InMemory)
    ]
    for number, batch in enumerate(np.split(rows[0], 5), 1):
        (folder / f"data_batch_{number}.bin").write_bytes(batch.tobytes())
    (folder / "test_batch.bin").write_bytes(rows[1].tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(images.classes) + "\n\n")
    return folder


SMALL = Images(
    "cifar10",
    *(
        InMemory(torch.tensor(pixels(9, count)).view(-1, 3, 32, 32).permute(0, 2, 3, 1), torch.tensor(labels(count)))
        for count in (50_000, 10_000)
    ),
    tuple(name.decode() for name in NAMES),
)


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (old,) = file.read(1)
        file.seek(at)
        file.write(bytes([old ^ 1]))


def test_the_binary_form_must_have_the_published_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It has no published checksums; its images have, in whatever order."""
    monkeypatch.setitem(reader.CONTENTS, "cifar10", reader.contents(SMALL))
    folder = binary(tmp_path, SMALL)
    first = load("cifar10", Request(tmp_path))
    assert first.fingerprint, "what is not held against checksums is told apart by its contents"
    one, two = folder / "data_batch_1.bin", folder / "data_batch_2.bin"
    one.rename(tmp_path / "x"), two.rename(one), (tmp_path / "x").rename(two)
    assert load("cifar10", Request(tmp_path)).fingerprint not in ("", first.fingerprint), "another order is another run"
    flip(folder / "test_batch.bin", 3073 * 10_000 - 1)
    with pytest.raises(DataTrouble, match="not the images, labels and names that were published: sha256 of the"):
        load("cifar10", Request(tmp_path))
    flip(folder / "test_batch.bin", 3073 * 10_000 - 1)
    two.write_bytes(one.read_bytes())
    with pytest.raises(DataTrouble, match="not the images, labels and names that were published"):
        load("cifar10", Request(tmp_path))
    assert load("cifar10", Request(tmp_path, unofficial=True)).fingerprint


def test_cifar100_takes_the_fine_labels(tmp_path: Path):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    fine = [(i * 7) % 100 for i in range(COUNT)]
    content = {b"fine_labels": fine, b"coarse_labels": [0] * COUNT, b"data": pixels(1)}
    for name in ("train", "test"):
        (folder / name).write_bytes(pickle.dumps(content, 2))
    names = [f"class_{i}".encode() for i in range(100)]
    (folder / "meta").write_bytes(pickle.dumps({b"fine_label_names": names}, 2))
    images = read(tmp_path, "cifar100")
    assert images.train.labels.tolist() == fine
    assert images.classes[42] == "class_42"


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol(python_form: Path, protocol: int):
    (python_form / "test_batch").write_bytes(batch(5, protocol))
    check(read(python_form))


def test_a_file_that_is_not_the_published_one_is_named(python_form: Path):
    with pytest.raises(
        DataTrouble, match=r"batches.meta: this is not the published file.*expected f96.*, found [0-9a-f]"
    ):
        load("cifar10", Request(python_form))


@pytest.mark.parametrize(
    ("directory", "message"), [(None, "say where it is with --data-dir"), ("x", "expected a folder")]
)
def test_where_it_should_be_is_said(tmp_path: Path, directory: str | None, message: str):
    with pytest.raises(DataTrouble, match=message):
        load("cifar10", Request(None if directory is None else tmp_path / directory))


def test_a_missing_file_is_named(python_form: Path):
    (python_form / "data_batch_3").unlink()
    with pytest.raises(DataTrouble, match="data_batch_3"):
        read(python_form)


WRONG = {
    "no labels": {b"data": pixels(0)},
    "labels no list": {b"data": pixels(0), b"labels": 3},
    "label too high": {b"data": pixels(0), b"labels": [10] * COUNT},
    "label no number": {b"data": pixels(0), b"labels": [b"1"] * COUNT},
    "too few pixels": {b"data": pixels(0, 19), b"labels": labels()},
    "pixels wrong side": {b"data": pixels(0).reshape(-1, 1536), b"labels": labels()},
    "pixels of floats": {b"data": pixels(0).astype(np.float32), b"labels": labels()},
    "pixels by column": {b"data": np.asfortranarray(pixels(0)), b"labels": labels()},
    "no dictionary": [1, 2, 3],
    "nothing": {b"data": pixels(0, 0), b"labels": []},
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_inside_is_said(python_form: Path, name: str):
    (python_form / "test_batch").write_bytes(pickle.dumps(WRONG[name], 2))
    with pytest.raises(DataTrouble, match=r"test_batch: (expected|not a CIFAR file)"):
        read(python_form)


def doubled(times: int) -> object:
    value: object = ()
    for _ in range(times):
        value = (value, value)
    return value


LABELS: dict[str, tuple[object, str]] = {
    "true": (True, "a value of type bool"),
    "too high": (10, "10"),
    "text": (b"1" * 1000, "b'1"),
    "doubled": (doubled(60), "a value of type tuple"),  # 2⁶⁰ brackets, written out
    "huge": (10**5000, "a value of type int"),
    "none": (None, "a value of type NoneType"),
}


@pytest.mark.parametrize("name", LABELS)
def test_a_wrong_label_is_named_in_a_few_words(python_form: Path, name: str):
    label, said = LABELS[name]
    content = {b"data": pixels(0), b"labels": [*labels()[:-1], label]}
    (python_form / "test_batch").write_bytes(pickle.dumps(content, 2))
    with pytest.raises(DataTrouble) as trouble:
        read(python_form)
    assert f"test_batch: expected labels from 0 to 9, found {said}" in str(trouble.value)
    assert len(str(trouble.value)) < len(str(python_form)) + 120


# instructions that make an array: of bytes, with sides
FROM_BUFFER = b"cnumpy._core.numeric\n_frombuffer\n(%bcnumpy\ndtype\n(U\x02u1tR%bU\x01CtR"


def test_a_label_that_is_nested_deeply_is_named(python_form: Path):
    array = FROM_BUFFER % (b"B" + (3072).to_bytes(4, "little") + bytes(3072), b"K\x01M\x00\x0c\x86")
    nested = b"](" + b")" + b"\x85" * 100_000 + b"e"
    (python_form / "test_batch").write_bytes(b"\x80\x05}(U\x06labels" + nested + b"U\x04data" + array + b"u.")
    with pytest.raises(DataTrouble, match="expected labels from 0 to 9, found a value of type tuple"):
        read(python_form)


@pytest.mark.parametrize("name", ["a\x1b[31m_b", "_" * 200, "é", "a b"])
def test_names_are_letters_digits_and_underscores(python_form: Path, name: str):
    names = [name.encode(), *NAMES[1:]]
    (python_form / "batches.meta").write_bytes(pickle.dumps({b"label_names": names}, 2))
    with pytest.raises(DataTrouble, match="expected the names of 10 classes"):
        read(python_form)


def test_bytes_that_are_used_many_times_are_there_once():
    size, times = 10**6, 2000
    data = b"\x80\x05]\x96" + size.to_bytes(8, "little") + bytes(size) + b"q\x00a("
    use = FROM_BUFFER % (b"h\x00", b"J" + size.to_bytes(4, "little") + b"\x85")
    tracemalloc.start()
    try:
        read_pickle(data + use * times + b"e.")
        assert tracemalloc.get_traced_memory()[1] < 20 * size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("key", [b"x" * 2000, 10**30, (1,)])
def test_a_key_is_short(key: object):
    """To hash it a million times would take for ever."""
    with pytest.raises(NotAllowed, match="a key that is no short text"):
        read_pickle(pickle.dumps({key: 1}, 4))


def test_an_array_has_few_sides():
    for sides in (b"U\x04abcd", b"(" + b"K\x01" * 33 + b"t"):
        with pytest.raises(NotAllowed, match="no list of sides"):
            read_pickle(b"\x80\x05" + FROM_BUFFER % (b"U\x01x", sides) + b".")


# --- nothing in a file is run

MARK = "ARCHDSL_GADGET_RAN"


class Gadget:
    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call  # type: ignore[return-value]


GADGETS = [
    Gadget(os.system, f"touch {MARK}"),
    Gadget(os.putenv, MARK, "1"),
    Gadget(subprocess.Popen, ["touch", MARK]),
    Gadget(eval, f"open({MARK!r}, 'w')"),
    Gadget(exec, f"open({MARK!r}, 'w')"),
    Gadget(open, MARK, "w"),
    Gadget(getattr, "os", "system"),
    Gadget(__import__, "antigravity"),
    Gadget(np.load, MARK),
    Gadget(np.fromfile, MARK),
    Gadget(torch.load, MARK),
    Gadget(bytearray, 10**12),
    Gadget(bytes, 10**12),
    Gadget(pickle.loads, b"."),
]
TEXTS = [
    b"cos\nsystem\n(S'touch %s'\ntR." % MARK.encode(),
    b"c__builtin__\neval\n(S'1'\ntR.",
    b"cnumpy\nload\n(S'x'\ntR.",
    b"(S'touch x'\nios\nsystem\n.",
    b"\x80\x02c_codecs\nencode\n(J\x00\xca\x9a\x3bX\x06\x00\x00\x00latin1tR.",
    b"\x80\x02cnumpy\nndarray\n)R.",
    b"\x80\x02cnumpy\nndarray\n)\x81.",
    b"\x80\x02}(" + b"(" * 1000 + b"t" * 1000 + b"K\x01u.",
    b"\x80\x02]r\xff\xff\xff\xff.",
    b"\x80\x02P1\n.",
    b"\x80\x02\x82\x01.",
    b"",
    b".",
    b"(",
    b"\x80\x05\x8d\xff\xff\xff\xff\xff\xff\xff\xff.",
]


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_no_gadget_runs(protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for gadget in GADGETS:
        for content in (gadget, {b"data": gadget}, {b"labels": [gadget]}):
            with pytest.raises(NotAllowed, match="it "):
                read_pickle(pickle.dumps(content, protocol))
    assert not (tmp_path / MARK).exists()


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_no_handwritten_gadget_runs(text: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    if text != b"\x80\x02]r\xff\xff\xff\xff.":  # a high place in the memo is odd, not dangerous: ours is a dict
        with pytest.raises(NotAllowed, match="it "):
            read_pickle(text)
    assert not (tmp_path / MARK).exists()


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A few bytes changed, cut out, doubled or swapped for an import."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(max(1, len(out)))  # earlier changes may have left nothing
        match chance.randrange(5):
            case 0:
                out[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del out[at : at + chance.randint(1, 20)]
            case 2:
                out[at:at] = out[at : at + chance.randint(1, 20)]
            case 3:
                out[at:at] = chance.choice([b"cos\nsystem\n", b"R", b"b", b"(", b"t", b"\x93", b"\x81", b"0", b"2"])
            case _:
                out = out[: at + 1]
    return bytes(out)


def hammer(count: int):
    """Mutants through the reader in a process whose audit hook forbids everything that is not reading."""
    script = Path(__file__).with_name("hammering.py")
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, script, str(count)], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith(f"{count} mutants")


def test_mutants_do_nothing():
    hammer(20_000)


@pytest.mark.prove
@pytest.mark.promised("R37", of="mutated pickles")
def test_half_a_million_mutants_do_nothing(soak: Tally):
    soak.cases = scaled(500_000)
    hammer(soak.cases)


def test_every_mutant_of_a_file_is_named_or_harmless(python_form: Path):
    """One kind of exception, and with known digests not one change passes."""
    original = batch(5)
    chance = random.Random(1)
    form = reader.FORMS["cifar10"]["python"]
    path = python_form / "test_batch"
    for _ in range(500):
        data = mutated(original, chance)
        try:
            reader._python_batch(path, data, form)
        except DataTrouble as trouble:
            assert str(path) in str(trouble)  # noqa: PT017  most mutants raise, none has to


def test_the_real_cifar10(tmp_path: Path):
    directory = os.environ.get("ARCHDSL_CIFAR10")
    if not directory:
        pytest.skip("ARCHDSL_CIFAR10 names no directory with the official files")
    images = load("cifar10", Request(Path(directory)))
    assert (len(images.train), len(images.test)) == (50_000, 10_000)
    assert images.train.labels.bincount().tolist() == [5000] * 10
    assert images.classes == tuple(name.decode() for name in NAMES)
    assert reader.contents(images) == reader.CONTENTS["cifar10"]
    binary(tmp_path, images)
    assert load("cifar10", Request(tmp_path)).train.labels.tolist() == images.train.labels.tolist()

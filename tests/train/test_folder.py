"""Image folders: every picture brought to one size, the same batches whoever reads them, bad pictures named."""

from __future__ import annotations

import io
import os
import shutil
import signal
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from harness import config, digest, go, job
from PIL import Image, ImageOps

from archdsl.recipe import Recipe
from archdsl.recipe.records import Flip, MeanStd, Sgd
from archdsl.train.data import Images, Request, load
from archdsl.train.data.folder import Streamed
from archdsl.train.data.images import InMemory, Split
from archdsl.train.data.pictures import MOST_PIXELS, Frame
from archdsl.train.data.request import request
from archdsl.train.normalize import fit, principal_colours
from archdsl.train.trouble import DataTrouble

CLASSES = tuple("abcdefghij")
FORMATS = ("png", "jpg", "bmp", "gif", "webp", "ppm")


def draw(root: Path, each: int = 6) -> Path:
    """Pictures of all sizes and formats, brighter from class to class."""
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for label, name in enumerate(CLASSES):
            place = root / part / name
            place.mkdir(parents=True)
            for number in range(each):
                sides = (*rng.integers(9, 40, 2), 3)
                pixels = rng.integers(0, 30, sides).astype(np.uint8) + label * 22
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number}.{FORMATS[number % 6]}")
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("pictures"))


SMALL = Frame(3, 8, 8)


def read(root: Path, workers: int = 0, frame: Frame = SMALL) -> Images:
    return load("folder", Request(root, frame=frame, workers=workers))


def test_reading(root: Path):
    images = read(root)
    assert (images.classes, images.shape) == (CLASSES, (3, 8, 8))
    assert (len(images.train), len(images.test)) == (60, 60)
    pixels, labels = images.train.take(torch.arange(60))
    assert (pixels.dtype, pixels.shape) == (torch.uint8, (60, 8, 8, 3))
    assert torch.equal(labels.bincount(), torch.full((10,), 6))
    brightness = pixels.float().mean((1, 2, 3)).sub(15).div(22).round().long()
    assert torch.equal(brightness, labels)


def test_a_part_has_all_classes_and_the_order_is_that_of_names(root: Path):
    train = read(root).train
    assert len(set(train.part(0, 30).take(torch.arange(30))[1].tolist())) > 7
    assert train.paths == read(root).train.paths


def test_grey_and_other_proportions(root: Path):
    images = read(root, frame=Frame(1, 10, 6))
    assert images.train.take(torch.tensor([1, 2]))[0].shape == (2, 10, 6, 1)


def test_the_middle_is_what_is_seen(tmp_path: Path):
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, 20:60] = 200
    Image.fromarray(pixels).save(tmp_path / "x.png")
    assert (Frame(3, 10, 10).read(tmp_path / "x.png")[:, 1:-1] == 200).all()


# --- whoever reads


def batches(split: Streamed) -> list[tuple[torch.Tensor, torch.Tensor]]:
    indices = torch.randperm(60, generator=torch.Generator().manual_seed(0)).split(7)
    return list(split.stream(indices))


def test_any_number_of_workers_gives_the_same_batches(root: Path):
    alone = batches(read(root).train)
    for workers in (1, 2, 3, 4):
        for one, other in zip(alone, batches(read(root, workers).train), strict=True):
            assert torch.equal(one[0], other[0])
            assert torch.equal(one[1], other[1])


def test_a_gpu_copies_pictures_while_the_host_goes_on(root: Path, monkeypatch: pytest.MonkeyPatch):
    """From pinned memory; anything else makes the host wait for the whole queue of the GPU."""
    asked: list[object] = []
    made, moved = torch.tensor, torch.Tensor.to

    def tensor(data: object, pin_memory: bool = False) -> torch.Tensor:
        asked.append(("pinned", pin_memory))
        return made(data)

    def to(self: torch.Tensor, device: torch.device, non_blocking: bool = False) -> torch.Tensor:
        asked.append(("goes on", non_blocking, self.dim()))
        return moved(self, "cpu")

    monkeypatch.setattr(torch, "tensor", tensor)
    monkeypatch.setattr(torch.Tensor, "to", to)
    split = read(root).train
    assert isinstance(split, Streamed)
    for device, pinned in ((torch.device("cuda"), True), (torch.device("cpu"), False)):
        asked.clear()
        list(replace(split, device=device).stream([torch.arange(2)]))
        assert ("pinned", pinned) in asked
        assert ("goes on", pinned, 4) in asked


def trained(out: Path, root: Path, **options: object) -> tuple[int, str]:
    recipe = Recipe(augment=(Flip(),), optimizer=Sgd(lr=0.05), epochs=3, batch=16, validation=10)
    made = job(recipe, image=(3, 8, 8))
    return go(out, made, data="folder", data_dir=root, report=False, **options)


def test_a_run_ends_in_the_same_bits_with_any_number_of_workers(root: Path, tmp_path: Path):
    ends: set[str] = set()
    for workers in (0, 1, 3):
        code, text = trained(tmp_path / str(workers), root, workers=workers)
        assert code == 0, text
        ends.add(digest(tmp_path / str(workers)))
    assert len(ends) == 1


def test_a_run_is_resumed_with_another_number_of_workers(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    code, text = trained(tmp_path / "whole", root, workers=0)
    assert code == 0, text
    _interrupt(monkeypatch, after=8)
    code, text = trained(tmp_path / "parts", root, workers=2)
    assert (code, "after step 6" in text) == (75, True), text
    code, text = trained(tmp_path / "parts", root, workers=3, resume=True)
    assert code == 0, text
    assert digest(tmp_path / "parts") == digest(tmp_path / "whole")


def _interrupt(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """SIGTERM to the run itself while it takes its `after`-th whole batch, of those that are judged, too: six an epoch."""
    taken = 0
    stream = Streamed.stream

    def counted(self: Streamed, *arguments: object):
        nonlocal taken
        for batch in stream(self, *arguments):  # type: ignore[arg-type]
            taken += len(batch[1]) == 16
            if taken == after:
                taken += 1000
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch

    monkeypatch.setattr(Streamed, "stream", counted)


def test_a_run_knows_its_pictures(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By their names and sizes; wherever the folder lies, and however it is spelled."""
    known = read(root)
    assert known.fingerprint != read(draw(tmp_path / "other", 3)).fingerprint
    assert known.fingerprint == read(root, 2).fingerprint
    copy = shutil.copytree(root, tmp_path / root.name)
    assert read(copy).fingerprint == known.fingerprint
    for place, given in ((root.parent, root.name), (root, "."), (root, "../" + root.name)):
        monkeypatch.chdir(place)
        assert (read(Path(given)).fingerprint, read(Path(given)).name) == (known.fingerprint, known.name)
    picture = copy / "test/c/2.bmp"
    picture.write_bytes(picture.read_bytes() + b"\0")
    assert read(copy).fingerprint != known.fingerprint


def test_the_name_of_a_picture_need_not_be_utf_8(tmp_path: Path):
    root = draw(tmp_path / "pictures", 2)
    (root / "train/a/0.png").rename(root / os.fsdecode(b"train/a/\xe9.png"))
    code, text = go(tmp_path / "run", job(image=(3, 8, 8)), data="folder", data_dir=root, workers=0, dry_run=True)
    assert code == 0, text


@pytest.mark.parametrize("fitted", [lambda split: fit([MeanStd()], split), lambda split: principal_colours(split, [])])
def test_a_picture_is_decoded_once_to_fit_normalisation(
    root: Path, monkeypatch: pytest.MonkeyPatch, fitted: Callable[[Split], object]
):
    whole, decoded = Frame.read, 0

    def counted(self: Frame, path: Path) -> object:
        nonlocal decoded
        decoded += 1
        return whole(self, path)

    monkeypatch.setattr(Frame, "read", counted)
    fitted(read(root).train)
    assert decoded == 60


def test_large_pictures_are_held_in_small_numbers(monkeypatch: pytest.MonkeyPatch):
    """A thousand of 224 × 224 would take 1.8 GB in single and double precision."""
    asked: list[int] = []
    split = InMemory(torch.zeros(40, 224, 224, 3, dtype=torch.uint8), torch.zeros(40, dtype=torch.long))
    sample = InMemory.sample
    monkeypatch.setattr(InMemory, "sample", lambda self, size: asked.append(size) or sample(self, size))
    fit([MeanStd()], split)
    assert asked == [4_000_000 // (3 * 224 * 224)]


@pytest.mark.parametrize("channels", [2, 4])
def test_a_network_of_other_channels_than_a_picture_has_is_said(root: Path, tmp_path: Path, channels: int):
    code, text = go(tmp_path, job(image=(channels, 8, 8)), data="folder", data_dir=root)
    assert (code, f"pictures of a folder have 1 channel or 3, but the network takes {channels}" in text) == (1, True)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_as_the_camera_was_held(tmp_path: Path, orientation: int):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[0, :4], pixels[0, 4:] = 100, 200
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "x.png", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "x.png")))
    assert np.array_equal(SMALL.read(tmp_path / "x.png"), expected)
    assert orientation == 1 or not np.array_equal(expected, pixels)


def test_damaged_exif_says_nothing(tmp_path: Path):
    Image.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / "x.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert SMALL.read(tmp_path / "x.jpg").mean() == 9


def shown(path: Path, image: Image.Image, channels: int = 3, **options: object) -> list[int]:
    """The colour of a picture's middle."""
    image.save(path, **options)
    return Frame(channels, 8, 8).read(path)[4, 4].tolist()


def test_what_shows_through_is_black(tmp_path: Path):
    """Whatever colour a transparent pixel hides."""
    for ending in ("png", "webp"):
        path = tmp_path / f"x.{ending}"
        assert shown(path, Image.new("RGBA", (8, 8), (200, 100, 50, 0)), lossless=True) == [0, 0, 0]
        assert shown(path, Image.new("RGBA", (8, 8), (200, 100, 50, 255)), lossless=True) == [200, 100, 50]
    assert shown(tmp_path / "x.png", Image.new("RGBA", (8, 8), (200, 100, 50, 51))) == [40, 20, 10]
    assert shown(tmp_path / "x.png", Image.new("LA", (8, 8), (200, 0)), 1) == [0]
    palette = Image.new("P", (8, 8), 3)
    palette.putpalette([200] * 768)
    assert shown(tmp_path / "x.gif", palette, transparency=3) == [0, 0, 0]
    assert shown(tmp_path / "x.png", palette, transparency=3) == [0, 0, 0]
    assert shown(tmp_path / "x.png", palette) == [200, 200, 200]


def test_a_closed_stream_leaves_no_process(root: Path):
    from multiprocessing import active_children

    stream = read(root, 2).train.in_order(7)
    next(stream)
    assert len(active_children()) == 2
    stream.close()
    assert active_children() == []


# --- what is wrong


def remove(path: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        for file in (root / path).iterdir():
            file.unlink()
        (root / path).rmdir()

    return change


def write(path: str, data: bytes) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)

    return change


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def rename(old: str, new: str) -> Callable[[Path], object]:
    return lambda root: (root / old).rename(root / new)


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def moving(form: str) -> bytes:
    out = io.BytesIO()
    frames = [Image.new("RGB", (9, 9), (n, 200 - n, 9)) for n in (0, 90, 180)]
    frames[0].save(out, form, save_all=True, append_images=frames[1:])
    return out.getvalue()


# Pillow reads it as eight bits, and does not write it
DEEP_RGB = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", bytes([0, 0, 0, 9, 0, 0, 0, 9, 16, 2, 0, 0, 0]))
    + chunk(b"IDAT", zlib.compress(bytes(9 * (1 + 9 * 6))))
    + chunk(b"IEND", b"")
)
DEEP = png(np.zeros((9, 9), np.uint16))
WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "no test": (rename("test", "testing"), "expected a folder test/ or val/ with a folder a class"),
    "a class is missing": (
        remove("test/b"),
        "{root}/train and {root}/test need the same classes: 'b' is only in train/",
    ),
    "a class too many": (
        write("test/k/0.png", b""),
        "{root}/test and {root}/train need the same classes: 'k' is only in test/",
    ),
    "a class that is no text": (
        rename(os.fsdecode("train/a"), os.fsdecode(b"train/a\xff")),
        "{root}/train: expected a class with a name in UTF-8, found a\\u{{dcff}}",
    ),
    "test and val": (write("val/a/0.png", b""), "{root}: expected test/ or val/, found both"),
    "a picture beside the classes": (
        write("train/0.PNG", b""),
        "{root}/train/0.PNG: expected pictures in the folder of a class only, this one is beside them",
    ),
    "a link to nothing": (
        lambda root: (root / "train/a/7.png").symlink_to("nothing"),
        "cannot read {root}/train/a/7.png: No such file",
    ),
    "an empty class": (
        lambda root: (root / "train/k").mkdir() or (root / "test/k").mkdir(),
        "train/k: expected pictures",
    ),
    "no picture": (write("train/a/notes.txt", b""), "train/a/notes.txt: expected a picture (.bmp, .gif, .jpeg"),
    "empty": (
        write("train/a/0.png", b""),
        "train/a/0.png: not a picture that can be read (cannot identify image file)",
    ),
    "text": (write("train/a/0.png", b"hello"), "train/a/0.png: not a picture that can be read"),
    "cut": (write("train/a/0.png", png(np.zeros((9, 9, 3), np.uint8))[:-30]), "train/a/0.png: not a picture"),
    "16 bits": (write("train/a/0.png", DEEP), "train/a/0.png: more than eight bits a channel"),
    "16 bits, RGB": (write("train/a/0.png", DEEP_RGB), "train/a/0.png: more than eight bits a channel"),
    "16 bits, PPM": (
        write("train/a/0.ppm", b"P6\n# 1 2 3\n9 9 65535\n" + bytes(9 * 9 * 6)),
        "train/a/0.ppm: more than eight bits a channel",
    ),
    "moving": (write("train/a/0.gif", moving("GIF")), "train/a/0.gif: an animation; expected one picture"),
    "moving PNG": (write("train/a/0.png", moving("PNG")), "train/a/0.png: an animation; expected one picture"),
    "moving WebP": (write("train/a/0.webp", moving("WEBP")), "train/a/0.webp: an animation; expected one picture"),
    "no text, no picture": (
        write(os.fsdecode(b"train/a/\xff.png"), b""),
        "train/a/\\u{{dcff}}.png: not a picture that can be read",
    ),
}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(tmp_path: Path, name: str, workers: int):
    change, message = WRONG[name]
    draw(tmp_path, 1)
    change(tmp_path)
    with pytest.raises(DataTrouble) as trouble:
        list(read(tmp_path, workers).train.in_order(4))
    assert message.format(root=tmp_path) in str(trouble.value)


def test_a_picture_that_vanishes_ends_the_run_with_its_name(tmp_path: Path):
    draw(tmp_path / "pictures", 3)
    images = read(tmp_path / "pictures", 2)
    images.train.paths[7].unlink()
    with pytest.raises(DataTrouble, match=f"cannot read {images.train.paths[7]}: No such file"):
        list(images.train.in_order(4))


def test_hidden_files_are_no_pictures(tmp_path: Path):
    draw(tmp_path, 1)
    (tmp_path / "train/a/.DS_Store").write_bytes(b"x")
    assert len(read(tmp_path).train) == 10


def test_where_pictures_should_be_is_said():
    with pytest.raises(DataTrouble, match="say where it is with --data-dir"):
        load("folder", Request(frame=Frame(3, 8, 8)))


def test_the_frame_is_what_the_recipe_or_the_network_takes(tmp_path: Path):
    options = config(tmp_path)
    assert request(options, job(image=(3, 24, 20))).frame == Frame(3, 24, 20)
    assert request(options, job(Recipe(resize=40), image=(3, 24, 24))).frame == Frame(3, 40, 40)
    assert request(options, job(image=(10,))).frame is None


def test_a_size_over_the_limit_is_refused_before_it_is_decoded(tmp_path: Path):
    side = int(MOST_PIXELS**0.5) + 1
    header = f"P6 {side} {side} 255\n".encode()
    (tmp_path / "x.ppm").write_bytes(header)
    began = time.process_time()
    with pytest.raises(DataTrouble, match=r"a picture of 7,072×7,072 pixels, over the limit of 50,000,000"):
        Frame(3, 8, 8).read(tmp_path / "x.ppm")
    assert time.process_time() - began < 0.2

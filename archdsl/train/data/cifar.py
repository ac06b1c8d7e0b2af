"""CIFAR-10 and CIFAR-100 from the official files, python or binary form."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import cast

import numpy as np
import torch

from archdsl.train.data.files import find, read
from archdsl.train.data.forms import FORMS, Form
from archdsl.train.data.images import Images, InMemory, Request
from archdsl.train.data.pickled import Array, NotAllowed, read_pickle
from archdsl.train.trouble import DataTrouble

PIXELS = 3 * 32 * 32
PLANES = (3, 32, 32)
LARGEST_FILE = 200_000_000
_NAME = re.compile(rb"[0-9A-Za-z_]{1,100}")


# The MD5 sums are torchvision's and the site's; the SHA-256 sums were taken from files with those MD5 sums.
DIGESTS = {
    "cifar-10-batches-py/data_batch_1": "sha256:54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd",
    "cifar-10-batches-py/data_batch_2": "sha256:766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8",
    "cifar-10-batches-py/data_batch_3": "sha256:0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9",
    "cifar-10-batches-py/data_batch_4": "sha256:3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b",
    "cifar-10-batches-py/data_batch_5": "sha256:d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154",
    "cifar-10-batches-py/test_batch": "sha256:f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831",
    "cifar-10-batches-py/batches.meta": "sha256:f962466ef690d46b226450fb9aadc74ba4bc64a76aa526b5827fe4bc5c7125cb",
    "cifar-100-python/train": "md5:16019d7e3df5f24257cddd939b257f8d",
    "cifar-100-python/test": "md5:f0ef6b0ae62326f3e7ffdfab6717acfc",
    "cifar-100-python/meta": "md5:7973b15100ade9c7d40fb424638fde48",
}


# Of what is in the files, for those that have no published checksum: see `contents`. Taken from the python files.
CONTENTS = {"cifar10": "f52d3c46e943e9fabe186618ac6146877de13fddb6d488d0f40fb9a34eb94c05"}


def cifar10(request: Request) -> Images:
    """50,000 training and 10,000 test images in 10 classes."""
    return _cifar("cifar10", request)


def cifar100(request: Request) -> Images:
    """50,000 training and 10,000 test images in 100 classes (the fine labels)."""
    return _cifar("cifar100", request)


def _cifar(name: str, request: Request) -> Images:
    form, folder = find(request, name)
    batch = _python_batch if form is FORMS[name]["python"] else _binary_batch

    def content(file: str) -> bytes:
        return read(folder / file, LARGEST_FILE, DIGESTS.get(f"{form.folder}/{file}"), request.unofficial)

    def split(files: tuple[str, ...], count: int) -> InMemory:
        whole = _joined([batch(folder / file, content(file), form) for file in files])
        if len(whole) != count and not request.unofficial:
            raise DataTrouble(f"{folder}: {', '.join(files)} hold {len(whole):,} images, expected {count:,}")
        return whole

    names = _names(folder / form.names, content(form.names), form)
    published = form is FORMS[name]["python"]
    images = Images(name, split(form.train, 50_000), split(form.test, 10_000), names, known=published)
    if name in CONTENTS and not published and not request.unofficial:
        _check_contents(folder, images)
    return images


def _check_contents(folder: Path, images: Images) -> None:
    found, expected = contents(images), CONTENTS[images.name]
    if found != expected:
        raise DataTrouble(
            f"{folder}: not the images, labels and names that were published: "
            f"sha256 of the contents expected {expected}, found {found}"
        )


def contents(images: Images) -> str:
    """SHA-256 of the names, and of the images of each split with their labels, in whatever order they are."""
    digest = hashlib.sha256("\n".join(images.classes).encode())
    for split in (images.train, images.test):
        pixels, labels = split.take(torch.arange(len(split)))
        rows = torch.cat([labels[:, None].to(torch.uint8), pixels.flatten(1)], 1).numpy()
        digest.update(b"".join(sorted(hashlib.sha256(row).digest() for row in rows)))
    return digest.hexdigest()


def _joined(parts: list[InMemory]) -> InMemory:
    return InMemory(torch.cat([p.pixels for p in parts]), torch.cat([p.labels for p in parts]))


def _python_batch(path: Path, data: bytes, form: Form) -> InMemory:
    batch = _dictionary(path, data)
    pixels, labels = batch.get(b"data"), batch.get(form.labels)
    if not isinstance(pixels, Array) or not isinstance(labels, list):
        raise DataTrouble(f"{path}: expected an array `data` and a list `{form.labels.decode()}`")
    count = len(cast("list[object]", labels))
    if pixels.shape != (count, PIXELS) or len(pixels.data) != count * PIXELS:
        raise DataTrouble(
            f"{path}: expected {count} × {PIXELS} bytes of pixels, found {len(pixels.data)} bytes, "
            f"said to be {' × '.join(map(str, pixels.shape[:4]))}"
        )
    return _split(path, pixels.data, cast("list[object]", labels), form)


def _binary_batch(path: Path, data: bytes, form: Form) -> InMemory:
    record = form.label_bytes + PIXELS
    if not data or len(data) % record:
        raise DataTrouble(f"{path}: expected whole records of {record} bytes, found {len(data)} bytes")
    rows = np.frombuffer(data, np.uint8).reshape(-1, record)
    return _split(path, rows[:, form.label_bytes :].tobytes(), rows[:, form.label_bytes - 1].tolist(), form)


def _split(path: Path, pixels: bytes, labels: list[object], form: Form) -> InMemory:
    wrong = [label for label in labels if type(label) is not int or not 0 <= label < form.classes]
    if wrong or not labels:
        found = _shown(wrong[0]) if wrong else "none"
        raise DataTrouble(f"{path}: expected labels from 0 to {form.classes - 1}, found {found}")
    planes = np.frombuffer(pixels, np.uint8).reshape(-1, *PLANES)
    images = torch.tensor(planes.transpose(0, 2, 3, 1))
    return InMemory(images, torch.tensor(cast("list[int]", labels)))


def _shown(label: object) -> str:
    """A small number or a text as it is, of anything else the kind: writing that out may take for ever."""
    if isinstance(label, bytes):
        return ascii(label[:40])
    return str(label) if type(label) is int and abs(label) < 10**9 else f"a value of type {type(label).__name__}"


def _names(path: Path, data: bytes, form: Form) -> tuple[str, ...]:
    names = data.split() if path.suffix == ".txt" else _dictionary(path, data).get(form.label_names)
    if not isinstance(names, list) or not _are_names(cast("list[object]", names), form.classes):
        raise DataTrouble(f"{path}: expected the names of {form.classes} classes")
    return tuple(name.decode("latin-1") for name in cast("list[bytes]", names))


def _are_names(names: list[object], count: int) -> bool:
    return len(names) == count and all(isinstance(name, bytes) and _NAME.fullmatch(name) for name in names)


def _dictionary(path: Path, data: bytes) -> dict[bytes, object]:
    try:
        value = read_pickle(data)
    except NotAllowed as refusal:
        raise DataTrouble(f"{path}: not a CIFAR file: {refusal}") from None
    if not isinstance(value, dict):
        raise DataTrouble(f"{path}: not a CIFAR file: expected a dictionary")
    return cast("dict[bytes, object]", value)

"""SVHN, the cropped digits, from the official MATLAB files. Netzer et al. 2011, http://ufldl.stanford.edu/housenumbers."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from archdsl.train.data.files import file_in, read
from archdsl.train.data.images import Images, InMemory, Request
from archdsl.train.data.mat import NotRead, Numbers, read_mat
from archdsl.train.trouble import DataTrouble

LARGEST_FILE = 1_500_000_000
MOST_IMAGES = 600_000
PIXELS = 3 * 32 * 32
# As torchvision knows them; the site gives none.
DIGESTS = {
    "train": "md5:e26dedcc434d2e4c54c9b2d4a06d8373",
    "test": "md5:eb5a983be6a315427106f1b164d9cef3",
    "extra": "md5:a93ce644f1a588dc4d68dda5feec44a7",
}


def svhn(request: Request) -> Images:
    """604,388 training images, the easier `extra` ones among them as in most papers, and 26,032 test images."""
    return _images("svhn", ("train", "extra"), request)


def svhn_train(request: Request) -> Images:
    """The 73,257 training images without the `extra` ones, and 26,032 test images."""
    return _images("svhn-train", ("train",), request)


def _images(name: str, parts: tuple[str, ...], request: Request) -> Images:
    train = [_split(name, part, request) for part in parts]
    return Images(name, _joined(train), _split(name, "test", request), tuple("0123456789"))


def _joined(parts: list[InMemory]) -> InMemory:
    if len(parts) == 1:
        return parts[0]
    return InMemory(torch.cat([part.pixels for part in parts]), torch.cat([part.labels for part in parts]))


def _split(name: str, part: str, request: Request) -> InMemory:
    path = file_in(request, name, f"{part}_32x32.mat")
    pixels, labels = _checked(path, _arrays(path, part, request))
    # the file calls the digit 0 class 10
    return InMemory(torch.from_numpy(_rows_first(pixels)), torch.tensor(labels.astype(np.int64) % 10))


def _arrays(path: Path, part: str, request: Request) -> dict[str, Numbers]:
    """What is in the file. Its bytes are given back before anything is done with that: it may be 1.3 GB."""
    data = read(path, LARGEST_FILE, DIGESTS[part], request.unofficial)
    try:
        return read_mat(data, {"X": MOST_IMAGES * PIXELS, "y": MOST_IMAGES})
    except NotRead as trouble:
        raise DataTrouble(f"{path}: not a file of SVHN: {trouble}") from None


def _rows_first(pixels: Numbers) -> Numbers:
    """[N, C, W, H], as it is in the file, to [N, H, W, C] in the same memory: an image stays where it is."""
    turned = pixels.reshape(len(pixels), 32, 32, 3)
    for at in range(0, len(pixels), 1000):
        turned[at : at + 1000] = pixels[at : at + 1000].transpose(0, 3, 2, 1).copy()
    return turned


def _checked(path: Path, arrays: dict[str, Numbers]) -> tuple[Numbers, Numbers]:
    pixels, labels = arrays["X"], arrays["y"]
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (3, 32, 32):
        sides = " × ".join(map(str, reversed(pixels.shape)))
        raise DataTrouble(f"{path}: expected X as 32 × 32 × 3 × N bytes, found {sides} of type {pixels.dtype}")
    labels = labels.reshape(-1)
    if len(labels) != len(pixels):
        raise DataTrouble(f"{path}: expected {len(pixels)} labels, as there are images; found {len(labels)}")
    wrong = labels[~np.isin(labels, np.arange(1, 11))]
    if len(wrong):
        raise DataTrouble(f"{path}: expected labels from 1 to 10, found {wrong[0]}")
    return pixels, labels

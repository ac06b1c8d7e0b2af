"""Augmentation of a batch at once, on its device. What happens to an image is a function of seed, epoch and index."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.recipe.records import (
    Affine,
    Augment,
    Colour,
    Crop,
    Cutmix,
    Cutout,
    Flip,
    Mixup,
    PadCrop,
    PcaColour,
    ResizedCrop,
)
from archdsl.train.randomness import key, normal, permutation, uniform
from archdsl.train.view import gathered, random_resized_window, random_window


@dataclass(frozen=True, eq=False)
class Batch:
    """Images and labels; where images were mixed, `share` of the label counts and the rest of `partner`."""

    images: Tensor
    labels: Tensor
    partner: Tensor | None = None
    share: float = 1.0


class Epoch:
    """The random numbers of one epoch of `size` images, on their device.

    Each use of chance, a stream, draws for all images when it is first asked for: for a batch alone it takes as long.
    """

    def __init__(self, seed: int, number: int, size: int, device: torch.device | None = None) -> None:
        self.seed, self.number, self.size, self.device = seed, number, size, device
        self.tables: dict[tuple[int, int], Tensor] = {}

    def order(self) -> Tensor:
        """All images, in the epoch's order."""
        return permutation(key(self.seed, self.number), self.size).to(self.device)

    def chance(self, index: Tensor, first: int) -> Chance:
        """The numbers of a batch of these images; `first` is its place in the epoch."""
        return Chance(self, index, first)

    def key(self, *stream: int) -> int:
        """Of a stream, or of a part of it."""
        return key(self.seed, self.number, *stream)

    def table(self, stream: int, count: int) -> Tensor:
        """`count` numbers in [0, 1) for each image of the set: [size, count]."""
        if (stream, count) not in self.tables:
            everyone = torch.arange(self.size, device=self.device)
            self.tables[stream, count] = uniform(self.key(stream), everyone, count)
        return self.tables[stream, count]


@dataclass(frozen=True, eq=False)
class Chance:
    """The random numbers of one batch: `index` says which images it holds."""

    epoch: Epoch
    index: Tensor
    first: int
    """The place of the batch in the epoch, for what is drawn once for all of it."""

    def draw(self, stream: int, count: int) -> Tensor:
        """`count` numbers in [0, 1) for each image; each use of chance has its own stream."""
        return self.epoch.table(stream, count).index_select(0, self.index)

    def normal(self, stream: int, count: int) -> Tensor:
        """`count` normal numbers for each image."""
        return normal(self.epoch.key(stream), self.index, count)

    def once(self, stream: int) -> random.Random:
        """A generator for the batch as a whole."""
        return random.Random(self.epoch.key(stream, self.first))


def augment(
    records: Sequence[Augment],
    batch: Batch,
    chance: Chance,
    done: float,
    colours: Tensor | None = None,
    first: int = 0,
) -> Batch:
    """The batch after all records from the `first` on, in order; `done` is the share of the run that is behind us.

    `colours` [C, C] are the principal components of the training pixels, where a record needs them.
    """
    for stream, record, flip in _with_flips(records, first):
        mirrored = None if flip is None else chance.draw(stream + 1, 1)[:, 0] < flip.p
        batch = _augmented(record, batch, chance, stream, done, colours, mirrored)
    return batch


def _with_flips(records: Sequence[Augment], first: int) -> Iterator[tuple[int, Augment, Flip | None]]:
    """Each record with its stream; a window with the flip that comes right after it: both are one gather."""
    numbered = iter(enumerate(records[first:], first))
    for stream, record in numbered:
        after = records[stream + 1] if stream + 1 < len(records) else None
        if isinstance(record, PadCrop | Crop) and isinstance(after, Flip):
            next(numbered)
            yield stream, record, after
        else:
            yield stream, record, None


def _augmented(
    record: Augment,
    batch: Batch,
    chance: Chance,
    stream: int,
    done: float,
    colours: Tensor | None,
    mirrored: Tensor | None,
) -> Batch:
    match record:
        case PadCrop():
            return _images(batch, _pad_crop(batch.images, record, chance.draw(stream, 2), mirrored))
        case Crop(size=size):
            return _images(batch, random_window(batch.images, size, chance.draw(stream, 2), mirrored))
        case ResizedCrop():
            return _images(batch, random_resized_window(batch.images, record, chance.draw(stream, 4)))
        case PcaColour(std=std):
            assert colours is not None
            shift = std * chance.normal(stream, len(colours)) @ colours
            return _images(batch, batch.images + shift[:, :, None, None])
        case Flip():
            return _images(batch, _flip(batch.images, chance.draw(stream, 1) < record.p))
        case Cutout():
            return _images(batch, _cutout(batch.images, record.size, chance.draw(stream, 2)))
        case Affine():
            return batch if done >= record.until else _images(batch, _affine(batch.images, record, chance, stream))
        case Colour():
            return batch if done >= record.until else _images(batch, _colour(batch.images, record, chance, stream))
        case Mixup():
            return _mixup(batch, record, chance.once(stream))
        case Cutmix():
            return _cutmix(batch, record, chance.once(stream))


def _images(batch: Batch, images: Tensor) -> Batch:
    return replace(batch, images=images)


def _pad_crop(images: Tensor, record: PadCrop, draws: Tensor, mirrored: Tensor | None) -> Tensor:
    """Each window is read straight out of the padded batch."""
    height, width = images.shape[2:]
    pad = record.pad
    mode = "constant" if record.mode == "zero" else "reflect"
    padded = F.pad(images, (pad, pad, pad, pad), mode=mode)
    top, left = (draws * (2 * pad + 1)).long().unbind(1)
    return gathered(padded, top, left, height, width, mirrored)


def _flip(images: Tensor, chosen: Tensor) -> Tensor:
    return torch.where(chosen[:, :, None, None], images.flip(3), images)


def _cutout(images: Tensor, size: int, draws: Tensor) -> Tensor:
    """The square may stick out over the edge, as in the paper."""
    _, _, height, width = images.shape
    rows = _inside(draws[:, 0], size, height)[:, None, :, None]
    columns = _inside(draws[:, 1], size, width)[:, None, None, :]
    return images.masked_fill(rows & columns, 0.0)


def _inside(draws: Tensor, size: int, side: int) -> Tensor:
    centre = (draws * side).long()[:, None]
    place = torch.arange(side, device=draws.device)
    return (place >= centre - size // 2) & (place < centre - size // 2 + size)


def _affine(images: Tensor, record: Affine, chance: Chance, stream: int) -> Tensor:
    d = chance.draw(stream, 6) * 2 - 1
    angle = d[:, 0] * record.rotate * torch.pi / 180
    scale, cosine, sine = 1 + d[:, 1] * record.scale, angle.cos(), angle.sin()
    first = torch.stack([cosine * scale, -sine * scale + d[:, 2] * record.shear, 2 * record.shift * d[:, 3]], 1)
    second = torch.stack([sine * scale + d[:, 4] * record.shear, cosine * scale, 2 * record.shift * d[:, 5]], 1)
    grid = F.affine_grid(torch.stack([first, second], 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def _colour(images: Tensor, record: Colour, chance: Chance, stream: int) -> Tensor:
    """On normalised images, so that brightness is a shift and contrast a scale around the image's own mean."""
    d = (chance.draw(stream, 3) * 2 - 1)[:, :, None, None, None]
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (1 + record.saturation * d[:, 0])
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * (1 + record.contrast * d[:, 1]) + record.brightness * d[:, 2]


def _mixup(batch: Batch, record: Mixup, once: random.Random) -> Batch:
    share = once.betavariate(record.alpha, record.alpha)
    mixed = batch.images * share + batch.images.flip(0) * (1 - share)
    return _with_partner(batch, mixed, share)


def _cutmix(batch: Batch, record: Cutmix, once: random.Random) -> Batch:
    _, _, height, width = batch.images.shape
    side = (1 - once.betavariate(record.alpha, record.alpha)) ** 0.5
    top, bottom = _stretch(once.random(), side, height)
    left, right = _stretch(once.random(), side, width)
    mixed = batch.images.clone()
    mixed[:, :, top:bottom, left:right] = batch.images.flip(0)[:, :, top:bottom, left:right]
    return _with_partner(batch, mixed, 1 - (bottom - top) * (right - left) / (height * width))


def _stretch(centre: float, share: float, side: int) -> tuple[int, int]:
    middle, half = int(centre * side), int(share * side) // 2
    return max(middle - half, 0), min(middle + half, side)


def _with_partner(batch: Batch, images: Tensor, share: float) -> Batch:
    """The partner of an image is the one as far from the batch's end as it is from the start: the order is random."""
    if batch.partner is not None:
        return batch  # two ways of mixing: the first one counts
    return Batch(images, batch.labels, batch.labels.flip(0), share)

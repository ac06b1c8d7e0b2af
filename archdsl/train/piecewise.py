"""Normalisation, padding, windows and mirror images on a CPU, with as little memory to move as can be.

Windows are cut and mirrored in the bytes; numbers are made a few images at a time, so that what one operation writes
is still in the core's cache for the next. The bits are those of one operation after the other on the whole batch
(`normalize.py`, `augment.py`), which is what happens wherever this does not apply.
"""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.recipe.records import Augment, Flip, PadCrop
from archdsl.train.augment import Chance, Epoch
from archdsl.train.normalize import Normalization

_PIECE = 100_000  # numbers for each thread: 400 kB, of the megabytes that a core caches for itself


@dataclass(frozen=True, eq=False)
class _Places:
    """Of all images of an epoch, [size] each: where the windows begin, in pixels, and which of them are mirrored."""

    epoch: Epoch
    cut: Tensor
    """In the padded image."""
    shift: Tensor
    """In what is added to it, of which the mirror image comes second."""
    mirrored: Tensor


class Piecewise:
    """A linear normalisation and the first records of an augmentation: a window in zeros, and a mirror image.

    A window is cut out of the bytes, and the same out of what normalisation adds to them; around the image both are 0.
    """

    def __init__(self, normalize: Normalization, crop: PadCrop, flip: Flip | None, shape: tuple[int, int, int]) -> None:
        channels, self.height, self.width = shape
        self.flip, self.pad = flip, crop.pad
        self.records = 1 if flip is None else 2
        """How many of the augmentation's records are done here."""
        self.wide = self.width + 2 * crop.pad
        self.area = self.wide * (self.height + 2 * crop.pad)
        self.count = max(_PIECE * torch.get_num_threads() // (channels * self.height * self.width), 1)
        scale, shift = (numbers.permute(1, 2, 0) for numbers in normalize.constants(torch.empty(1, *shape)))
        self.scale = scale
        self.shifts = self._rows(self._padded(torch.stack([shift, shift.flip(1)])))
        self.down = torch.arange(self.height) * self.wide
        """[H]: from the first row of a window to each."""
        self.room = torch.empty(0, dtype=torch.uint8)
        self.places: _Places | None = None

    def __call__(self, pixels: Tensor, chance: Chance) -> Tensor:
        """Images [N, C, H, W] for a network, channels last, of pixels [N, H, W, C]."""
        places = self._of(chance.epoch)
        cut = self._cut(pixels, places.cut.index_select(0, chance.index))
        if self.flip is not None:
            _mirror(cut, places.mirrored.index_select(0, chance.index))
        shift = places.shift.index_select(0, chance.index)[:, None] + self.down
        images = torch.empty(pixels.shape)
        for part, rows, out in zip(*(whole.split(self.count) for whole in (cut, shift, images)), strict=True):
            torch.index_select(self.shifts, 0, rows.view(-1), out=out.view(rows.numel(), -1))
            out.addcmul_(part.float(), self.scale)
        return images.permute(0, 3, 1, 2)

    def _of(self, epoch: Epoch) -> _Places:
        """Worked out when an epoch begins."""
        if self.places is None or self.places.epoch is not epoch:
            top, left = (epoch.table(0, 2) * (2 * self.pad + 1)).long().unbind(1)
            mirrored = torch.zeros_like(top, dtype=torch.bool)
            if self.flip is not None:
                mirrored = epoch.table(1, 1)[:, 0] < self.flip.p
            there = torch.where(mirrored, self.area + 2 * self.pad - left, left)
            self.places = _Places(epoch, top * self.wide + left, top * self.wide + there, mirrored)
        return self.places

    def _cut(self, pixels: Tensor, begin: Tensor) -> Tensor:
        """The windows of [N, H, W, C]."""
        count = len(pixels)
        if len(self.room) < count:
            self.room = self._padded(torch.zeros_like(pixels))
        inside = slice(self.pad, -self.pad or None)
        self.room[:count, inside, inside] = pixels
        rows = (begin + torch.arange(count) * self.area)[:, None] + self.down
        return self._rows(self.room).index_select(0, rows.view(-1)).view(pixels.shape)

    def _padded(self, pixels: Tensor) -> Tensor:
        """[N, H, W, C] with zeros around."""
        return F.pad(pixels, (0, 0, *[self.pad] * 4))

    def _rows(self, padded: Tensor) -> Tensor:
        """All that the row of a window can be, by the pixel that it begins with. They overlap, and take no memory."""
        channels = padded.shape[3]
        return padded.as_strided((len(padded) * self.area - self.width + 1, self.width * channels), (channels, 1))


def _mirror(pixels: Tensor, chosen: Tensor) -> None:
    """Turn those of [N, H, W, C] that are chosen from right to left."""
    which = chosen.nonzero()[:, 0]
    # torch turns bytes three times as quickly where it is told that channels are last; NumPy puts them back image by
    # image, where `index_copy_` goes from number to number
    turned = pixels.index_select(0, which).permute(0, 3, 1, 2).flip(3).permute(0, 2, 3, 1)
    pixels.numpy()[which.numpy()] = turned.numpy()


def piecewise(
    normalize: Normalization, records: Sequence[Augment], shape: tuple[int, int, int], device: torch.device
) -> Piecewise | None:
    """For images [C, H, W] on a CPU whose augmentation begins with a window in zeros; else None."""
    crop = records[0] if records else None
    if device.type != "cpu" or normalize.rest or not isinstance(crop, PadCrop) or crop.mode != "zero":
        return None
    after = records[1] if len(records) > 1 else None
    return Piecewise(normalize, crop, after if isinstance(after, Flip) else None, shape)

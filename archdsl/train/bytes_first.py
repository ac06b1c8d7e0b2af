"""Padding, cutting and mirroring on the bytes of a batch, before they become numbers: a quarter of the memory to move.

The bits are those of normalising first and moving afterwards (`normalize.py`, `augment.py`), which is what happens
wherever this does not apply. Outside of an image the mean to subtract is taken to be 0, as is the image.
"""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from archdsl.recipe.records import Augment, Flip, PadCrop
from archdsl.train.augment import Chance
from archdsl.train.normalize import Centred, Scaled, Standardised, Step, as_image, to_float

_LARGEST_TABLE = 1 << 24  # bytes of means for all places of the window: CIFAR's take 2 MB


class BytesFirst:
    """The normalisation and the first records of an augmentation, in one."""

    def __init__(self, steps: Sequence[Step], crop: PadCrop, flip: Flip | None, shape: tuple[int, int, int]) -> None:
        self.pad, self.flip = crop.pad, flip
        self.records = 1 if flip is None else 2
        """How many of the augmentation's records are done here."""
        self.places = 2 * crop.pad + 1
        self.steps = [self._placed(step, shape) for step in steps]

    def _placed(self, step: Step, shape: tuple[int, int, int]) -> Step | _Placed:
        return _Placed(step, self._means(step.mean.expand(shape))) if isinstance(step, Centred | Standardised) else step

    def _means(self, mean: Tensor) -> Tensor:
        """[places² and as many mirrored, HWC] from [C, H, W]: what of the mean image each window shows."""
        windows = self._windows(F.pad(mean, [self.pad] * 4).permute(1, 2, 0)[None].numpy())[0]
        plain = torch.from_numpy(windows.copy()).flatten(0, 1)
        both = plain if self.flip is None else torch.cat((plain, plain.flip(2)))
        return both.flatten(1)

    def _windows(self, padded: np.ndarray) -> np.ndarray:
        """All windows of [N, H, W, C], by image, top, left: [N, places, places, h, w, C]."""
        height, width = (side - 2 * self.pad for side in padded.shape[1:3])
        return sliding_window_view(padded, (height, width), (1, 2)).transpose(0, 1, 2, 4, 5, 3)  # pyright: ignore

    def __call__(self, pixels: Tensor, chance: Chance) -> Tensor:
        """Images [N, C, H, W] for a network, channels last, of pixels [N, H, W, C]."""
        top, left = (chance.draw(0, 2) * self.places).long().unbind(1)
        place = top * self.places + left
        cut = self._cut(pixels, top, left)
        if self.flip is not None:
            mirrored = chance.draw(1, 1)[:, 0] < self.flip.p
            chosen = mirrored.nonzero()[:, 0]
            # NumPy again: `index_copy_` goes from number to number
            cut.numpy()[chosen.numpy()] = _mirrored(cut.index_select(0, chosen)).numpy()
            place = place + mirrored * self.places**2
        images = to_float(cut)
        for step in self.steps:
            images = step(images, place) if isinstance(step, _Placed) else step(images)
        return images

    def _cut(self, pixels: Tensor, top: Tensor, left: Tensor) -> Tensor:
        """NumPy copies windows row by row, torch pixel by pixel."""
        count, height, width, channels = pixels.shape
        pad = self.pad
        padded = pixels.new_zeros(count, height + 2 * pad, width + 2 * pad, channels)
        padded[:, pad : pad + height, pad : pad + width] = pixels
        return torch.from_numpy(self._windows(padded.numpy())[np.arange(count), top.numpy(), left.numpy()])


def _mirrored(pixels: Tensor) -> Tensor:
    """[N, H, W, C] from right to left; torch is three times as quick where it is told that channels are last."""
    return pixels.permute(0, 3, 1, 2).flip(3).permute(0, 2, 3, 1)


class _Placed:
    """A step that subtracts a mean, of which each image needs the part that its window shows."""

    def __init__(self, step: Centred | Standardised, means: Tensor) -> None:
        self.means = means
        self.std = step.std if isinstance(step, Standardised) else None
        self.room = means.new_empty(0)

    def __call__(self, images: Tensor, place: Tensor) -> Tensor:
        count, channels, height, width = images.shape
        self.room.resize_(count, self.means.shape[1])  # kept: the system takes its time to give memory
        torch.index_select(self.means, 0, place, out=self.room)
        images = images.sub_(self.room.view(count, height, width, channels).permute(0, 3, 1, 2))
        return images if self.std is None else images.div_(as_image(self.std, images))


def bytes_first(
    steps: Sequence[Step], records: Sequence[Augment], shape: tuple[int, int, int], device: torch.device
) -> BytesFirst | None:
    """For images [C, H, W] on a CPU whose augmentation begins with a window in zeros; else None."""
    crop = records[0] if records else None
    if device.type != "cpu" or not isinstance(crop, PadCrop) or crop.mode != "zero":
        return None
    if not all(isinstance(step, Scaled | Centred | Standardised) for step in steps):
        return None
    numbers = shape[0] * shape[1] * shape[2]
    if 4 * numbers * 2 * (2 * crop.pad + 1) ** 2 > _LARGEST_TABLE:
        return None
    after = records[1] if len(records) > 1 else None
    return BytesFirst(steps, crop, after if isinstance(after, Flip) else None, shape)

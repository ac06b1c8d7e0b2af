"""From the bytes of a batch to what the network trains on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from archdsl.recipe.records import Augment
from archdsl.train.augment import Batch, Chance, augment
from archdsl.train.bytes_first import bytes_first
from archdsl.train.data.images import Taken
from archdsl.train.normalize import Step, through, to_float


class Preparation:
    """Normalisation and augmentation of training images [C, H, W] on one device."""

    def __init__(
        self,
        steps: Sequence[Step],
        records: Sequence[Augment],
        shape: tuple[int, int, int],
        device: torch.device,
        colours: Tensor | None = None,
    ) -> None:
        self.steps, self.records, self.colours = steps, records, colours
        self.first = bytes_first(steps, records, shape, device)

    def __call__(self, taken: Taken, chance: Chance, done: float) -> Batch:
        """The batch, when the share `done` of the run is behind us."""
        pixels, labels = taken
        if self.first is None:
            images = through(self.steps, to_float(pixels))
            return augment(self.records, Batch(images, labels), chance, done, self.colours)
        batch = Batch(self.first(pixels, chance), labels)
        return augment(self.records, batch, chance, done, self.colours, self.first.records)

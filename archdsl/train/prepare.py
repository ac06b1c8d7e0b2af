"""From the bytes of a batch to what the network trains on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from archdsl.recipe.records import Augment
from archdsl.train.augment import Batch, Chance, augment
from archdsl.train.data.images import Taken
from archdsl.train.normalize import Normalization
from archdsl.train.piecewise import piecewise


class Preparation:
    """Normalisation and augmentation of training images [C, H, W] on one device."""

    def __init__(
        self,
        normalize: Normalization,
        records: Sequence[Augment],
        shape: tuple[int, int, int],
        device: torch.device,
        colours: Tensor | None = None,
    ) -> None:
        self.normalize, self.records, self.colours = normalize, records, colours
        self.piecewise = piecewise(normalize, records, shape, device)

    def __call__(self, taken: Taken, chance: Chance, done: float) -> Batch:
        """The batch, when the share `done` of the run is behind us."""
        pixels, labels = taken
        if self.piecewise is None:
            return augment(self.records, Batch(self.normalize(pixels), labels), chance, done, self.colours)
        batch = Batch(self.piecewise(pixels, chance), labels)
        return augment(self.records, batch, chance, done, self.colours, self.piecewise.records)

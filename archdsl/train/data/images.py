"""A data set in memory: uint8 pixels, so that CIFAR takes 180 MB and moves to a device whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor


@dataclass(frozen=True)
class Request:
    """Where to look and how strictly."""

    directory: Path | None = None
    unofficial: bool = False
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Split:
    """Images as [N, H, W, C] uint8 (a batch is then channels-last for free) and labels as [N] int64."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, start: int, end: int) -> Split:
        """The images from `start` up to `end`."""
        return Split(self.pixels[start:end], self.labels[start:end])

    def to(self, device: torch.device) -> Split:
        """The same on another device."""
        return Split(self.pixels.to(device), self.labels.to(device))


@dataclass(frozen=True, eq=False)
class Images:
    """Training and test images of one set, with what its recipe-less default run should be."""

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    epochs: int | None = None
    """How many epochs are enough, where the set is so small that no paper's recipe was made for it."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        height, width, channels = self.train.pixels.shape[1:]
        return channels, height, width

    def limited(self, count: int) -> Images:
        """The first `count` images of each split."""
        return replace(self, train=self.train.part(0, count), test=self.test.part(0, count))

"""What the trainer knows of a data set: splits that hand out batches, in memory or read as they are needed."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from archdsl.train.data.pictures import Frame

Taken = tuple[Tensor, Tensor]
"""Pixels [B, H, W, C] uint8, so that a batch is channels-last for free, and labels [B] int64, on the split's device."""


@dataclass(frozen=True)
class Request:
    """Where to look and how strictly."""

    directory: Path | None = None
    unofficial: bool = False
    seed: int = 0
    frame: Frame | None = None
    """What pictures of any size are brought to."""
    workers: int = 0
    """Processes that read pictures; 0 reads them in between steps."""
    patience: float = 60.0
    """Seconds that a worker may take for a batch."""


class Split(ABC):
    """Images of one size with their labels, numbered from 0."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, index: Tensor) -> Taken:
        """The images `index` [B] int64."""

    @abstractmethod
    def part(self, start: int, end: int) -> Split:
        """The images from `start` up to `end`."""

    @abstractmethod
    def to(self, device: torch.device) -> Split:
        """The same, its batches on another device."""

    def stream(self, indices: Sequence[Tensor], epoch: int | None = None) -> Generator[Taken]:
        """`take` for one of `indices` after the other; may be prepared ahead. Closing it ends what prepares."""
        for index in indices:
            yield self.take(index)

    def in_order(self, size: int) -> Generator[Taken]:
        """All images, at most `size` at once."""
        return self.stream(torch.arange(len(self)).split(size))

    def sample(self, size: int) -> Generator[Taken]:
        """The images that normalisation is fitted to, at most `size` at once: all, unless that would take too long."""
        return self.in_order(size)


@dataclass(frozen=True, eq=False)
class InMemory(Split):
    """All pixels [N, H, W, C] uint8 and labels [N] int64 on the device: CIFAR takes 180 MB."""

    pixels: Tensor
    labels: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        height, width, channels = self.pixels.shape[1:]
        return channels, height, width

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor) -> Taken:
        index = index.to(self.pixels.device)
        return self.pixels.index_select(0, index), self.labels.index_select(0, index)

    def part(self, start: int, end: int) -> InMemory:
        return InMemory(self.pixels[start:end], self.labels[start:end])

    def to(self, device: torch.device) -> InMemory:
        return InMemory(self.pixels.to(device), self.labels.to(device))

    def in_order(self, size: int) -> Generator[Taken]:
        yield from zip(self.pixels.split(size), self.labels.split(size), strict=True)


@dataclass(frozen=True, eq=False)
class Images:
    """Training and test images of one set, with what its recipe-less default run should be."""

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    epochs: int | None = None
    """How many epochs are enough, where the set is so small that no paper's recipe was made for it."""
    fingerprint: str = ""
    """What tells the set from others of its name and size, where it is not a published one."""
    known: bool = True
    """Whether it can be no other: its files have published checksums, or it has none."""
    margin: int = 0
    """Pixels of zeros that were put around each picture."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.train.shape

    def digest(self) -> str:
        """The fingerprint, or SHA-256 of all pixels and labels, where they lie in memory."""
        parts = [part for part in (self.train, self.test) if isinstance(part, InMemory)]
        digest = hashlib.sha256(self.fingerprint.encode())
        for tensor in (tensor for part in parts for tensor in (part.pixels, part.labels)):
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest() if parts else self.fingerprint

    def limited(self, count: int) -> Images:
        """The first `count` images of each split."""
        return replace(self, train=self.train.part(0, count), test=self.test.part(0, count))

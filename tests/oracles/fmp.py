"""Fractional max-pooling net (Graham, arXiv:1412.6071): (k·n C2 – FMP∛2)×12 – C2 – C1 – scores.

Peculiar: sizes are solved backwards from a final 2×2, so that the 32×32 image lies in a 94×94 field of zeros; regions
overlap by a row and are drawn anew in every pass, at test too; widths grow by k at each of the twelve steps.
"""

from fractions import Fraction
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .common import Chance, biased, network

Regions = list[tuple[int, int]]


def sizes(steps: int = 12) -> list[tuple[int, int]]:
    """(input of the convolution, pooled output) of each step in forward order."""
    pairs, out = [], 2
    for step in range(steps):
        ratio = 1.5 if step == 0 else 2 ** (1 / 3)
        size = round(out * ratio) + 1
        pairs.append((size, out))
        out = size
    return pairs[::-1]


def even_regions(size: int, out: int) -> Regions:
    """Overlapping regions [a, b) whose edges are spread evenly: the fixed reading."""
    edges = [int(Fraction((size - 1) * k, out)) for k in range(out + 1)]
    return [(a, b + 1) for a, b in pairwise(edges)]


def random_regions(size: int, out: int) -> Regions:
    """Steps of one or two rows in random order, neighbours sharing their border row."""
    steps = torch.ones(out, dtype=torch.long)
    steps[torch.randperm(out)[: size - 1 - out]] += 1
    edges = [0, *steps.cumsum(0).tolist()]
    return [(a, b + 1) for a, b in pairwise(edges)]


def torch_regions(size: int, out: int, sample: float, window: int = 2) -> Regions:
    """The windows of PyTorch's fractional pooling for one of its random samples: all equally long, the last at the end.

    They are not the paper's regions, which stretch to three rows where the step is two.
    """
    alpha = (size - window) / (out - 1)
    starts = [int((k + sample) * alpha) - int(sample * alpha) for k in range(out - 1)]
    return [(a, a + window) for a in [*starts, size - window]]


class FractionalMaxPool(Chance):
    """`fixed` is (regions of rows, regions of columns), each a list of half-open intervals."""

    def __init__(self, size: int, out: int) -> None:
        super().__init__()
        self.size, self.out = size, out

    def regions(self) -> tuple[Regions, Regions]:
        if self.fixed is not None:
            return self.fixed
        make = even_regions if self.off else random_regions
        return make(self.size, self.out), make(self.size, self.out)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = self.regions()
        x = torch.stack([x[:, :, a:b].max(2).values for a, b in rows], 2)
        return torch.stack([x[:, :, :, a:b].max(3).values for a, b in columns], 3)


class Field(nn.Module):
    """The image in the middle of a field of zeros."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        spare = self.size - x.shape[2]
        before = spare // 2
        return F.pad(x, (before, spare - before, before, spare - before))


def leaky(i: int, o: int, k: int) -> list[nn.Module]:
    return [biased(i, o, k, pad=0), nn.LeakyReLU(1 / 3)]


def fmp(k: int = 160, classes: int = 10, dropout: float = 0.5) -> nn.Module:
    """Dropout grows linearly from 0 to `dropout` over the layers that read a hidden map."""
    pairs = sizes()
    stages: dict[str, nn.Module] = {"field": Field(pairs[0][0])}
    i = 3
    for n, (size, out) in enumerate(pairs, 1):
        drop = nn.Dropout(dropout * (n - 1) / 13)
        stages[f"fmp{n}"] = nn.Sequential(drop, *leaky(i, k * n, 2), FractionalMaxPool(size - 1, out))
        i = k * n
    return network(
        **stages,
        c2=nn.Sequential(nn.Dropout(dropout * 12 / 13), *leaky(i, 13 * k, 2)),
        c1=nn.Sequential(nn.Dropout(dropout), *leaky(13 * k, 14 * k, 1)),
        out=nn.Sequential(nn.Flatten(), nn.Linear(14 * k, classes)),
    )

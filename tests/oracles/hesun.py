"""Constrained-time networks A to D and D+i (He and Sun, arXiv:1412.1710).

Peculiar: unpadded 7×7/2 stem, non-overlapping 3×3/3 pooling, 2×2 filters whose padding alternates 0, 1 so that the map
alternates 17 and 18, and a spatial pyramid of maxima in front of the linear layers. Biases, no shortcuts.
"""

import torch
from torch import Tensor, nn

from .common import biased, network


class Pyramid(nn.Module):
    """Maxima over n×n equal bins for each n, flattened level by level."""

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.AdaptiveMaxPool2d(n) for n in levels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([level(x).flatten(1) for level in self.levels], 1)


def layers(i: int, o: int, k: int, count: int) -> list[nn.Module]:
    parts: list[nn.Module] = []
    for n in range(count):
        parts += [biased(i, o, k, pad=n % 2 if k == 2 else None), nn.ReLU()]
        i = o
    return parts


def hesun(stage2: tuple[int, int], stage3: tuple[int, int], classes: int = 1000) -> nn.Module:
    """A stage is (kernel, how many)."""
    return network(
        stage1=nn.Sequential(biased(3, 64, 7, 2, pad=0), nn.ReLU(), nn.MaxPool2d(3, 3)),
        stage2=nn.Sequential(*layers(64, 128, *stage2), nn.MaxPool2d(2)),
        stage3=nn.Sequential(*layers(128, 256, *stage3)),
        spp=Pyramid((6, 3, 2, 1)),
        fc6=nn.Sequential(nn.Linear(12800, 4096), nn.ReLU(), nn.Dropout()),
        fc7=nn.Sequential(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()),
        fc8=nn.Linear(4096, classes),
    )

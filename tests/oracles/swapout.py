"""Swapout v2 (Singh, Hoiem and Forsyth, arXiv:1605.06465) on a pre-activation net of depth 32, four times as wide.

Peculiar: input and branch are each multiplied by an independent 0/1 mask of their own size, never rescaled; both keep
with a probability that falls linearly from 1 in the first unit to ½ in the last. The first convolution is 64 wide, a
1×1 projects where the shape changes. At test the masks become their means, or stay and many passes are averaged.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .common import Chance, bn_relu, conv, global_mean, network


class Swap(Chance):
    """`fixed` is the pair of masks (for the input, for the branch)."""

    def __init__(self, keep: float) -> None:
        super().__init__()
        self.keep = keep

    def forward(self, x: Tensor, f: Tensor) -> Tensor:
        if not self.draws:
            return self.keep * x + self.keep * f
        first, second = self.fixed or ((torch.rand_like(t) < self.keep).to(t.dtype) for t in (x, f))
        return first * x + second * f


class Unit(nn.Module):
    def __init__(self, i: int, o: int, s: int, keep: float) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(i), conv(i, o, 3, s)
        self.bn2, self.conv2 = nn.BatchNorm2d(o), conv(o, o)
        self.project = conv(i, o, 1, s) if i != o else None
        self.swap = Swap(keep)

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.bn1(x))
        h = self.conv2(F.relu(self.bn2(self.conv1(a))))
        return self.swap(x if self.project is None else self.project(a), h)


def swapout(depth: int = 32, k: int = 4, classes: int = 10, first: float = 1.0, last: float = 0.5) -> nn.Module:
    n, rest = divmod(depth - 2, 6)
    assert rest == 0, depth
    widths = (16 * k, 32 * k, 64 * k)
    units = []
    for unit in range(3 * n):
        i, o = widths[max(unit - 1, 0) // n], widths[unit // n]
        units.append(Unit(i, o, 1 if i == o else 2, first + (last - first) * unit / (3 * n - 1)))
    stages = {f"stage{s + 1}": nn.Sequential(*units[s * n : (s + 1) * n]) for s in range(3)}
    end = widths[-1]
    return network(stem=conv(3, 16 * k), **stages, post=bn_relu(end), pool=global_mean(), fc=nn.Linear(end, classes))

"""Additive PyramidNet (Han, Kim and Kim, Deep Pyramidal Residual Networks, arXiv:1610.02915).

Peculiar: every unit is α/N wider than the one before, the width being carried as an exact number through stage borders
and rounded half up where it is used; no ReLU after the stem, none at a unit's start, none after the addition; a batch
norm ends each branch; shortcuts average 2×2 and append zero channels, almost everywhere.
"""

from fractions import Fraction
from math import floor

from torch import Tensor, nn

from .common import ZeroChannels, bn_relu, conv, global_mean, network


def widths(alpha: int, units: int) -> list[int]:
    return [floor(16 + Fraction(alpha * j, units) + Fraction(1, 2)) for j in range(1, units + 1)]


def basic(i: int, w: int, s: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(i), conv(i, w, 3, s), nn.BatchNorm2d(w), nn.ReLU(), conv(w, w), nn.BatchNorm2d(w)]


def bottleneck(i: int, w: int, s: int) -> list[nn.Module]:
    narrow = [nn.BatchNorm2d(i), conv(i, w, 1), nn.BatchNorm2d(w), nn.ReLU()]
    middle = [conv(w, w, 3, s), nn.BatchNorm2d(w), nn.ReLU()]
    return [*narrow, *middle, conv(w, 4 * w, 1), nn.BatchNorm2d(4 * w)]


class Unit(nn.Module):
    def __init__(self, branch: list[nn.Module], i: int, o: int, s: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(*branch)
        self.shortcut = ZeroChannels(i, o, s, "avg")

    def forward(self, x: Tensor) -> Tensor:
        return self.branch(x) + self.shortcut(x)


def pyramidnet(depth: int, alpha: int, bottlenecks: bool = False, classes: int = 10) -> nn.Module:
    """Depth 6n+2 (basic) or 9n+2 (bottleneck)."""
    n, rest = divmod(depth - 2, 9 if bottlenecks else 6)
    assert rest == 0, depth
    stages: list[list[nn.Module]] = [[], [], []]
    i = 16
    for j, w in enumerate(widths(alpha, 3 * n)):
        s = 2 if j in (n, 2 * n) else 1
        branch, o = (bottleneck(i, w, s), 4 * w) if bottlenecks else (basic(i, w, s), w)
        stages[j // n].append(Unit(branch, i, o, s))
        i = o
    return network(
        stem=nn.Sequential(conv(3, 16), nn.BatchNorm2d(16)),
        **{f"stage{k}": nn.Sequential(*units) for k, units in enumerate(stages, 1)},
        post=bn_relu(i),
        pool=global_mean(),
        fc=nn.Linear(i, classes),
    )

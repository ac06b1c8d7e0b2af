"""Stochastic depth (Huang et al., arXiv:1603.09382) on the post-activation residual net.

Peculiar: a whole residual branch is skipped for a whole mini-batch with a probability that grows linearly with depth,
1 − (l/L)(1 − p_L) surviving; nothing is rescaled while training, the branch is scaled by its survival at test instead.
The shortcut averages 2×2 before it appends zeros, and its ReLU stays when the branch is skipped.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .common import Chance, ZeroChannels, conv, conv_bn_relu, global_mean, linear_decay, network


class Unit(Chance):
    """`fixed` says whether the branch is alive in training mode; `off` keeps it alive and whole."""

    def __init__(self, i: int, o: int, s: int, survival: float) -> None:
        super().__init__()
        self.survival = survival
        self.branch = nn.Sequential(*conv_bn_relu(i, o, 3, s), conv(o, o), nn.BatchNorm2d(o))
        self.shortcut = ZeroChannels(i, o, s, "avg") if i != o else nn.Identity()

    def alive(self) -> bool:
        return bool(torch.rand(()) < self.survival) if self.fixed is None else bool(self.fixed)

    def forward(self, x: Tensor) -> Tensor:
        kept = self.shortcut(x)
        if not self.training:
            return F.relu(kept + self.survival * self.branch(x))
        return F.relu(kept + self.branch(x)) if self.off or self.alive() else F.relu(kept)


def stochastic_depth(depth: int, classes: int = 10, last: float = 0.5, decay: bool = True) -> nn.Module:
    """Depth 6n+2; survival falls linearly to `last`, or is `last` everywhere."""
    n, rest = divmod(depth - 2, 6)
    assert rest == 0, depth
    units, widths = [], (16, 32, 64)
    for unit in range(3 * n):
        o = widths[unit // n]
        i = widths[max(unit - 1, 0) // n]
        survival = linear_decay(unit + 1, 3 * n, last) if decay else last
        units.append(Unit(i, o, 1 if i == o else 2, survival))
    stages = {f"stage{k + 1}": nn.Sequential(*units[k * n : (k + 1) * n]) for k in range(3)}
    return network(stem=conv_bn_relu(3, 16), **stages, pool=global_mean(), fc=nn.Linear(64, classes))

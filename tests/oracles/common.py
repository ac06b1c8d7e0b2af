"""Pieces that several transcriptions share: layers with the field's defaults, stages, shortcuts, and fixable chance."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Unit = Callable[[int, int, int], nn.Module]


def conv(i: int, o: int, k: int = 3, s: int = 1, *, pad: int | None = None, groups: int = 1) -> nn.Conv2d:
    """A bias-free k×k convolution that keeps the map at stride 1 (odd k)."""
    return nn.Conv2d(i, o, k, s, k // 2 if pad is None else pad, groups=groups, bias=False)


def biased(i: int, o: int, k: int = 3, s: int = 1, *, pad: int | None = None, groups: int = 1) -> nn.Conv2d:
    """The same with a bias, as networks before batch normalisation have it."""
    return nn.Conv2d(i, o, k, s, k // 2 if pad is None else pad, groups=groups)


def network(**stages: nn.Module) -> nn.Sequential:
    """A chain whose children carry the stage names of the reference table."""
    return nn.Sequential(OrderedDict(stages))


def stage(unit: Unit, i: int, o: int, n: int, stride: int) -> nn.Sequential:
    """n units; only the first changes width and resolution."""
    return nn.Sequential(unit(i, o, stride), *(unit(o, o, 1) for _ in range(n - 1)))


def three_stages(unit: Unit, stem: int, widths: tuple[int, int, int], n: int) -> dict[str, nn.Module]:
    """The CIFAR pattern: maps of 32, 16 and 8 pixels."""
    w1, w2, w3 = widths
    return {
        "stage1": stage(unit, stem, w1, n, 1),
        "stage2": stage(unit, w1, w2, n, 2),
        "stage3": stage(unit, w2, w3, n, 2),
    }


def conv_bn_relu(i: int, o: int, k: int = 3, s: int = 1) -> nn.Sequential:
    return nn.Sequential(conv(i, o, k, s), nn.BatchNorm2d(o), nn.ReLU())


def bn_relu(width: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(width), nn.ReLU())


def global_mean() -> nn.Sequential:
    """Global average pooling to a vector."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


class ZeroChannels(nn.Module):
    """A shortcut without parameters: shrink the map, then append (or surround with) channels of zeros."""

    def __init__(self, i: int, o: int, s: int, how: str = "sub", where: str = "end") -> None:
        super().__init__()
        self.extra, self.stride, self.how, self.where = o - i, s, how, where

    def forward(self, x: Tensor) -> Tensor:
        if self.stride > 1 and self.how == "avg":
            x = F.avg_pool2d(x, self.stride)
        elif self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        before = self.extra // 2 if self.where == "both" else 0
        return F.pad(x, (0, 0, 0, 0, before, self.extra - before))


class Chance(nn.Module):
    """A part that draws numbers while training. `fixed` replaces the draw, `off` gives the evaluation behaviour."""

    def __init__(self) -> None:
        super().__init__()
        self.fixed: Any = None
        self.off = False

    @property
    def draws(self) -> bool:
        return self.training and not self.off


def still(net: nn.Module) -> nn.Module:
    """Switch every random part of a network off, dropout included, so that only batch statistics see the mode."""
    for part in net.modules():
        if isinstance(part, Chance):
            part.off = True
        elif isinstance(part, nn.Dropout | nn.Dropout2d):
            part.p = 0.0
    return net


def linear_decay(unit: int, units: int, last: float) -> float:
    """Survival of unit 1..units under the linear rule of stochastic depth: 1 − (l/L)(1 − p_L)."""
    return 1 - unit / units * (1 - last)


def maxout(x: Tensor, pieces: int) -> Tensor:
    """The maximum of each group of consecutive channels."""
    return torch.stack([x[:, k::pieces] for k in range(pieces)]).amax(0)

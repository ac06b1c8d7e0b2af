"""Highway networks (Srivastava, Greff and Schmidhuber, arXiv:1505.00387 and 1507.06228).

Peculiar: a layer blends its transform and its input by a learned gate that has a convolution of its own; the gate's
bias starts at −2, so that a fresh net mostly carries. Widths change only in plain convolutions between the groups. Of
the 32-layer net the paper gives depth, alternating kernels and about 1.25M parameters; its widths here are a guess.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .common import biased, network


class Highway(nn.Module):
    def __init__(self, width: int, k: int) -> None:
        super().__init__()
        self.transform, self.gate = biased(width, width, k), biased(width, width, k)
        nn.init.constant_(self.gate.bias, -2.0)

    def forward(self, x: Tensor) -> Tensor:
        h, t = F.relu(self.transform(x)), torch.sigmoid(self.gate(x))
        return t * h + (1 - t) * x


def highway(groups: list[tuple[int, list[int]]], classes: int) -> nn.Module:
    """Groups are (width, kernels of the highway layers)."""
    stages: dict[str, nn.Module] = {}
    i = 3
    for g, (width, kernels) in enumerate(groups, 1):
        pool = [nn.MaxPool2d(2)] if g < len(groups) else []
        layers = [Highway(width, k) for k in kernels]
        stages[f"group{g}"] = nn.Sequential(nn.Dropout(0.2), biased(i, width), nn.ReLU(), *layers, *pool)
        i = width
    return network(
        **stages,
        top=nn.Sequential(biased(i, 100, 1), nn.ReLU()),
        gap=nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Dropout(0.2)),
        fc=nn.Linear(100, classes),
    )


def highway19(classes: int = 10) -> nn.Module:
    return highway([(32, [3] * 4), (80, [3] * 5), (128, [3] * 5)], classes)


def highway32(classes: int = 10) -> nn.Module:
    """Kernels alternate through the whole group, the plain 3×3 being the first: 1, 3, 1, …, 1 follow."""
    kernels = [1, 3, 1, 3, 1, 3, 1, 3, 1]
    return highway([(width, kernels) for width in (32, 64, 96)], classes)

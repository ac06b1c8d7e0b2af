"""Weighted residuals (Shen and Zeng, arXiv:1605.08831).

Peculiar: each branch ends in ReLU and is scaled by one learned number that starts at 0 and is kept in (−1, 1) by the
optimiser; no ReLU after the addition; width and resolution change in plain 3×3/2 convolutions that are no residual
units, so depth is 6n+4.
"""

import torch
from torch import Tensor, nn

from .common import conv_bn_relu, global_mean, network


class Unit(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(conv_bn_relu(width, width), conv_bn_relu(width, width))
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.branch(x)


def weighted_resnet(depth: int, classes: int = 10) -> nn.Module:
    n, rest = divmod(depth - 4, 6)
    assert rest == 0, depth

    def units(width: int) -> list[nn.Module]:
        return [Unit(width) for _ in range(n)]

    return network(
        stem=conv_bn_relu(3, 16),
        stage1=nn.Sequential(*units(16)),
        stage2=nn.Sequential(conv_bn_relu(16, 32, 3, 2), *units(32)),
        stage3=nn.Sequential(conv_bn_relu(32, 64, 3, 2), *units(64)),
        pool=global_mean(),
        fc=nn.Linear(64, classes),
    )

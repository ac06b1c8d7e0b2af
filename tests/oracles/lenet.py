"""LeNet-5 (LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998).

Peculiar in the original: each C3 map sees only some S2 maps (a fixed table of 60 links), subsampling sums 2×2 pixels
and has a trainable gain and bias a map, squashing is 1.7159·tanh(2x/3), and an output is the squared distance to a
fixed code of ±1, so that the smallest wins. The modern reading has none of this.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .common import biased, network

LINKS = [
    *(sorted((k + j) % 6 for j in range(3)) for k in range(6)),
    *(sorted((k + j) % 6 for j in range(4)) for k in range(6)),
    [0, 1, 3, 4],
    [1, 2, 4, 5],
    [0, 2, 3, 5],
    [0, 1, 2, 3, 4, 5],
]


class Squash(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(2 / 3 * x)


class Subsample(nn.Module):
    """Logistic function of gain·(sum of four) + bias."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.ones(maps, 1, 1)), nn.Parameter(torch.zeros(maps, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.gain * (4 * F.avg_pool2d(x, 2)) + self.bias)


class Linked(nn.Module):
    """One small convolution an output map, over the maps that the table links to it."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.ModuleList(biased(len(links), 1, 5, pad=0) for links in LINKS)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([f(x[:, links]) for f, links in zip(self.maps, LINKS, strict=True)], 1)


class Codes(nn.Module):
    """Squared distance to fixed codes. The paper draws them as 7×12 glyphs; any ±1 matrix can be put into `codes`."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        bits = torch.arange(classes)[:, None] * 7 + torch.arange(width)[None] * 3 + torch.arange(width)[None] // 5
        self.register_buffer("codes", 1.0 - 2.0 * (bits % 2))

    def forward(self, x: Tensor) -> Tensor:
        return ((x[:, None, :] - self.codes) ** 2).sum(2)


def lenet5_original(classes: int = 10) -> nn.Module:
    return network(
        C1=nn.Sequential(biased(1, 6, 5, pad=0), Squash()),
        S2=Subsample(6),
        C3=nn.Sequential(Linked(), Squash()),
        S4=Subsample(16),
        C5=nn.Sequential(biased(16, 120, 5, pad=0), Squash()),
        F6=nn.Sequential(nn.Flatten(), nn.Linear(120, 84), Squash()),
        out=Codes(84, classes),
    )


def lenet5(channels: int = 1, classes: int = 10, pool: str = "max", activation: type[nn.Module] = nn.ReLU) -> nn.Module:
    """The modern reading: dense C3, pooling without parameters, scores for a softmax."""
    pooling = nn.MaxPool2d if pool == "max" else nn.AvgPool2d
    return network(
        C1=nn.Sequential(biased(channels, 6, 5, pad=0), activation()),
        S2=pooling(2),
        C3=nn.Sequential(biased(6, 16, 5, pad=0), activation()),
        S4=pooling(2),
        F5=nn.Sequential(nn.Flatten(), nn.Linear(400, 120), activation()),
        F6=nn.Sequential(nn.Linear(120, 84), activation()),
        out=nn.Linear(84, classes),
    )

"""Folds: Rows of layers whose numbers change: ranges with symbols and without, over a denominator, and tables.

Made by archdsl 0.1.0 from folds.arch (sha256 6dd5ca3f5aaf).
319,419 parameters; 24,707,592 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class StochasticDepth(nn.Module):
    """`layer` with probability `keep` in training and zero otherwise; `keep` times `layer` in evaluation.

    With one draw for the mini-batch a closed layer is not evaluated: no gradient reaches it and its batch statistics
    rest. `shape` is the layer's output without the batch, where it differs from the input. With `rescale` training
    divides by `keep`, and evaluation is the plain layer.
    """

    def __init__(
        self,
        layer: nn.Module,
        keep: float,
        shape: tuple[int, ...] | None = None,
        per: str = "batch",
        rescale: bool = False,
    ) -> None:
        super().__init__()
        self.layer, self.keep, self.shape = layer, keep, shape
        self.per, self.rescale = per, rescale

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.layer(x) if self.rescale else self.keep * self.layer(x)
        if self.per == "batch" and torch.rand(()) >= self.keep:
            return x.new_zeros(x.shape if self.shape is None else (len(x), *self.shape))
        y = self.layer(x) / self.keep if self.rescale else self.layer(x)
        if self.per == "batch":
            return y
        survives = torch.rand(len(y), *(1 for _ in y.shape[1:]), device=y.device) < self.keep
        return survives.to(y.dtype) * y


class DenseBottleneck(nn.Module):
    """DenseNet-B: a 1×1 to four times the growth rate in front of the 3×3; dropout after both convolutions."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        new = self.conv1(F.relu(self.bn1(x)))  # 16×32×32, 16×16×16, 16×8×8
        new = self.conv2(F.relu(self.bn2(new)))  # 4×32×32, 4×16×16, 4×8×8
        return torch.cat((x, new), dim=1)  # 20×32×32, 24×32×32, 28×32×32, …


class Transition(nn.Module):
    """BN, ReLU, 1×1 and a 2×2 mean between dense blocks; `compression` is the paper's θ; the form for which
    `in_channels` is 28.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, 14, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)  # 14×16×16


class Transition2(nn.Module):
    """BN, ReLU, 1×1 and a 2×2 mean between dense blocks; `compression` is the paper's θ; the form for which
    `in_channels` is 34.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, 17, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)  # 17×8×8


class Tower(nn.Module):
    def __init__(self, in_channels: int, step: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *[nn.Conv2d(in_channels + i * step, in_channels + step + i * step, 3, padding=1) for i in range(3)]
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)  # 31×8×8, 40×8×8


class Step(nn.Module):
    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x))  # 8×8×8, 12×8×8, 16×8×8, …


class Deep(nn.Module):
    def __init__(self, width: int, keep: float) -> None:
        super().__init__()
        self.stochastic_depth = StochasticDepth(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()), keep
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.stochastic_depth(x)  # 36×8×8


class DenseBlock(nn.Module):
    def __init__(self, in_channels: int, n: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*[DenseBottleneck(in_channels + i * growth, growth) for i in range(n)])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)  # 28×32×32, 34×16×16, 25×8×8


class Folds(nn.Module):
    """Rows of layers whose numbers change: ranges with symbols and without, over a denominator, and tables."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.dense_block1 = DenseBlock(16, 3, 4)
        self.transition1 = Transition(28)
        self.dense_block2 = DenseBlock(14, 5, 4)
        self.transition2 = Transition2(34)
        self.dense_block3 = DenseBlock(17, 2, 4)
        self.tower1 = Tower(25, 2)
        self.tower2 = Tower(31, 3)
        self.c = nn.Sequential(
            *[
                Step(in_channels, width)
                for in_channels, width in [(40, 8), (8, 12), (12, 16), (16, 20), (20, 28), (28, 36)]
            ]
        )
        self.d = nn.Sequential(
            *[
                Step(in_channels, width)
                for in_channels, width, count in [
                    (36, 40, 1),
                    (40, 40, 2),
                    (40, 44, 1),
                    (44, 44, 2),
                    (44, 48, 1),
                    (48, 48, 2),
                ]
                for _ in range(count)
            ]
        )
        self.conv2 = nn.Conv2d(48, 36, 1, bias=False)
        self.layers = nn.Sequential(*[Deep(36, (19 - i) / 20) for i in range(6)])
        self.g = nn.Sequential(*[nn.Conv2d(36, 36, 1, bias=False) for _ in range(3)])
        self.h = nn.Sequential(
            nn.Conv2d(36, 8, 1, bias=False),
            nn.Conv2d(8, 12, 1, bias=False),
            nn.Conv2d(12, 16, 1, bias=False),
            nn.Conv2d(16, 20, 1, bias=False),
        )
        self.linear = nn.Linear(20, 10)

    def forward(self, x: Tensor) -> Tensor:
        a = self.conv1(x)  # 16×32×32
        a = self.dense_block1(a)  # 28×32×32
        a = self.transition1(a)  # 14×16×16
        a = self.dense_block2(a)  # 34×16×16
        a = self.transition2(a)  # 17×8×8
        a = self.dense_block3(a)  # 25×8×8
        b = self.tower2(self.tower1(a))  # 40×8×8
        c = self.c(b)  # 36×8×8
        d = self.d(c)  # 48×8×8
        e = self.layers(self.conv2(d))  # 36×8×8
        g = F.relu(self.g(e))  # 36×8×8
        h = self.h(g)  # 20×8×8
        return self.linear(h.mean((2, 3)))  # 10


if __name__ == "__main__":
    network = Folds()
    count = sum(p.numel() for p in network.parameters())
    assert count == 319_419, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("Folds", f"{count:,} parameters, output", tuple(output.shape))

"""DenseNet (depth=100, growth=12, compact=true, stem=24, theta=0.5, drop=0, classes=10): Densely connected networks.

Made by archdsl 0.1.0 from densenet.arch (sha256 c29b71937eac).
769,162 parameters; 287,929,692 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DenseBottleneck(nn.Module):
    """DenseNet-B: a 1×1 to four times the growth rate in front of the 3×3; dropout after both convolutions."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        new = self.conv1(F.relu(self.bn1(x)))  # 48×32×32, 48×16×16, 48×8×8
        new = self.conv2(F.relu(self.bn2(new)))  # 12×32×32, 12×16×16, 12×8×8
        return torch.cat((x, new), dim=1)  # 36×32×32, 48×32×32, 60×32×32, …


class Transition(nn.Module):
    """BN, ReLU, 1×1 and a 2×2 mean between dense blocks; `compression` is the paper's θ; the form for which
    `in_channels` is 216.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, 108, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)  # 108×16×16


class Transition2(nn.Module):
    """BN, ReLU, 1×1 and a 2×2 mean between dense blocks; `compression` is the paper's θ; the form for which
    `in_channels` is 300.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, 150, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)  # 150×8×8


class DenseNet(nn.Module):
    """Densely connected networks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 24, 3, padding=1, bias=False)
        self.dense1 = nn.Sequential(*[DenseBottleneck(in_channels, 12) for in_channels in range(24, 216, 12)])
        self.trans1 = Transition(216)
        self.dense2 = nn.Sequential(*[DenseBottleneck(in_channels, 12) for in_channels in range(108, 300, 12)])
        self.trans2 = Transition2(300)
        self.dense3 = nn.Sequential(*[DenseBottleneck(in_channels, 12) for in_channels in range(150, 342, 12)])
        self.bn = nn.BatchNorm2d(342)
        self.linear = nn.Linear(342, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = self.conv1(image)  # 24×32×32
        dense1 = self.dense1(conv1)  # 216×32×32
        trans1 = self.trans1(dense1)  # 108×16×16
        dense2 = self.dense2(trans1)  # 300×16×16
        trans2 = self.trans2(dense2)  # 150×8×8
        dense3 = self.dense3(trans2)  # 342×8×8
        return self.linear(F.relu(self.bn(dense3)).mean((2, 3)))  # 10


if __name__ == "__main__":
    network = DenseNet()
    count = sum(p.numel() for p in network.parameters())
    assert count == 769_162, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("DenseNet", f"{count:,} parameters, output", tuple(output.shape))

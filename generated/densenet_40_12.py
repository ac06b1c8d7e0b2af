"""DenseNet (depth=40, growth=12, compact=false, stem=16, theta=1, drop=0, classes=10): Densely connected networks.

Made by archdsl 0.1.0 from densenet-40-12.arch, variant densenet_40_12 (sha256 89f422d0019b).
1,019,722 parameters; 264,812,928 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DenseLayer(nn.Module):
    """BN, ReLU, 3×3; the new maps are appended to the input."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(in_channels)
        self.new = nn.Conv2d(in_channels, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        new = self.new(F.relu(self.bn(x)))  # 12×32×32, 12×16×16, 12×8×8
        return torch.cat((x, new), dim=1)  # 28×32×32, 40×32×32, 52×32×32, …


class Transition(nn.Module):
    """BN, ReLU, 1×1 and a 2×2 mean between dense blocks; `compression` is the paper's θ."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, in_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)  # 160×16×16, 304×8×8


class DenseNet(nn.Module):
    """Densely connected networks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.dense1 = nn.Sequential(*[DenseLayer(in_channels, 12) for in_channels in range(16, 160, 12)])
        self.trans1 = Transition(160)
        self.dense2 = nn.Sequential(*[DenseLayer(in_channels, 12) for in_channels in range(160, 304, 12)])
        self.trans2 = Transition(304)
        self.dense3 = nn.Sequential(*[DenseLayer(in_channels, 12) for in_channels in range(304, 448, 12)])
        self.bn = nn.BatchNorm2d(448)
        self.linear = nn.Linear(448, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = self.conv1(image)  # 16×32×32
        dense1 = self.dense1(conv1)  # 160×32×32
        trans1 = self.trans1(dense1)  # 160×16×16
        dense2 = self.dense2(trans1)  # 304×16×16
        trans2 = self.trans2(dense2)  # 304×8×8
        dense3 = self.dense3(trans2)  # 448×8×8
        return self.linear(F.relu(self.bn(dense3)).mean((2, 3)))  # 10


if __name__ == "__main__":
    network = DenseNet()
    count = sum(p.numel() for p in network.parameters())
    assert count == 1_019_722, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("DenseNet", f"{count:,} parameters, output", tuple(output.shape))

"""DenseNet (depth=100, growth=24, compact=false, stem=16, theta=1, drop=0, classes=10): Densely connected networks.

Made by archdsl 0.1.0 from densenet-100-24.arch, variant densenet_100_24 (sha256 6a2609f49aa5).
27,249,082 parameters; 6,889,347,744 multiply-accumulates for one 3×32×32 sample.
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
        new = self.new(F.relu(self.bn(x)))  # 24×32×32, 24×16×16, 24×8×8
        return torch.cat((x, new), dim=1)  # 40×32×32, 64×32×32, 88×32×32, …


class Transition(nn.Module):
    """BN, ReLU, 1×1 and a 2×2 mean between dense blocks; `compression` is the paper's θ."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, in_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)  # 784×16×16, 1552×8×8


class DenseNet(nn.Module):
    """Densely connected networks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.dense1 = nn.Sequential(*[DenseLayer(in_channels, 24) for in_channels in range(16, 784, 24)])
        self.trans1 = Transition(784)
        self.dense2 = nn.Sequential(*[DenseLayer(in_channels, 24) for in_channels in range(784, 1552, 24)])
        self.trans2 = Transition(1552)
        self.dense3 = nn.Sequential(*[DenseLayer(in_channels, 24) for in_channels in range(1552, 2320, 24)])
        self.bn = nn.BatchNorm2d(2320)
        self.linear = nn.Linear(2320, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = self.conv1(image)  # 16×32×32
        dense1 = self.dense1(conv1)  # 784×32×32
        trans1 = self.trans1(dense1)  # 784×16×16
        dense2 = self.dense2(trans1)  # 1552×16×16
        trans2 = self.trans2(dense2)  # 1552×8×8
        dense3 = self.dense3(trans2)  # 2320×8×8
        return self.linear(F.relu(self.bn(dense3)).mean((2, 3)))  # 10


if __name__ == "__main__":
    network = DenseNet()
    count = sum(p.numel() for p in network.parameters())
    assert count == 27_249_082, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("DenseNet", f"{count:,} parameters, output", tuple(output.shape))

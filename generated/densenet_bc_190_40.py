"""DenseNet (depth=190, growth=40, compact=true, stem=80, theta=0.5, drop=0, classes=10): Densely connected networks.

Made by archdsl 0.1.0 from densenet-bc-190-40.arch, variant densenet_bc_190_40 (sha256 e94b1c5a27cf).
25,624,430 parameters; 9,301,945,740 multiply-accumulates for one 3×32×32 sample.
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
        new = self.conv1(F.relu(self.bn1(x)))  # 160×32×32, 160×16×16, 160×8×8
        new = self.conv2(F.relu(self.bn2(new)))  # 40×32×32, 40×16×16, 40×8×8
        return torch.cat((x, new), dim=1)  # 120×32×32, 160×32×32, 200×32×32, …


class Transition(nn.Module):
    """BN, ReLU, 1×1 and a 2×2 mean between dense blocks; `compression` is the paper's θ; the form for which
    `in_channels` is 1320.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, 660, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)  # 660×16×16


class Transition2(nn.Module):
    """BN, ReLU, 1×1 and a 2×2 mean between dense blocks; `compression` is the paper's θ; the form for which
    `in_channels` is 1900.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, 950, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)  # 950×8×8


class DenseNet(nn.Module):
    """Densely connected networks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 80, 3, padding=1, bias=False)
        self.dense1 = nn.Sequential(*[DenseBottleneck(in_channels, 40) for in_channels in range(80, 1320, 40)])
        self.trans1 = Transition(1320)
        self.dense2 = nn.Sequential(*[DenseBottleneck(in_channels, 40) for in_channels in range(660, 1900, 40)])
        self.trans2 = Transition2(1900)
        self.dense3 = nn.Sequential(*[DenseBottleneck(in_channels, 40) for in_channels in range(950, 2190, 40)])
        self.bn = nn.BatchNorm2d(2190)
        self.linear = nn.Linear(2190, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = self.conv1(image)  # 80×32×32
        dense1 = self.dense1(conv1)  # 1320×32×32
        trans1 = self.trans1(dense1)  # 660×16×16
        dense2 = self.dense2(trans1)  # 1900×16×16
        trans2 = self.trans2(dense2)  # 950×8×8
        dense3 = self.dense3(trans2)  # 2190×8×8
        return self.linear(F.relu(self.bn(dense3)).mean((2, 3)))  # 10


if __name__ == "__main__":
    network = DenseNet()
    count = sum(p.numel() for p in network.parameters())
    assert count == 25_624_430, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("DenseNet", f"{count:,} parameters, output", tuple(output.shape))

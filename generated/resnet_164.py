"""ResNetBottleneck (depth=164, classes=10): Bottleneck residual networks with 164 and 1001 layers, the baselines of He
et al.

Made by archdsl 0.1.0 from resnet-164.arch, variant resnet_164 (sha256 9b6d45ac491d).
1,704,154 parameters; 247,646,720 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Shortcut(nn.Module):
    """Options A, B and C of section 4.1; 'average' is option A with the mean of Stochastic Depth, arXiv:1603.09382."""

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 1, stride=stride, bias=False)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))  # 64×32×32, 128×16×16, 256×8×8


class Bottleneck(nn.Module):
    """The bottleneck unit, figure 5 right: 1×1 down to a quarter, 3×3, 1×1 up; ReLU after the addition; the form for
    which `stride` is 1.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width // 4, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width // 4)
        self.conv2 = nn.Conv2d(width // 4, width // 4, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width // 4)
        self.conv3 = nn.Conv2d(width // 4, width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        main = F.relu(self.bn1(self.conv1(x)))  # 16×32×32, 32×16×16, 64×8×8
        main = F.relu(self.bn2(self.conv2(main)))  # 16×32×32, 32×16×16, 64×8×8
        main = self.bn3(self.conv3(main))  # 64×32×32, 128×16×16, 256×8×8
        return F.relu(main + x)  # 64×32×32, 128×16×16, 256×8×8


class Bottleneck2(nn.Module):
    """The bottleneck unit, figure 5 right: 1×1 down to a quarter, 3×3, 1×1 up; ReLU after the addition; the form for
    which the inner block is `Shortcut`.
    """

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width // 4, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width // 4)
        self.conv2 = nn.Conv2d(width // 4, width // 4, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width // 4)
        self.conv3 = nn.Conv2d(width // 4, width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.skip = Shortcut(in_channels, width, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        main = F.relu(self.bn1(self.conv1(x)))  # 16×32×32, 32×32×32, 64×16×16
        main = F.relu(self.bn2(self.conv2(main)))  # 16×32×32, 32×16×16, 64×8×8
        main = self.bn3(self.conv3(main))  # 64×32×32, 128×16×16, 256×8×8
        skip = self.skip(x)  # 64×32×32, 128×16×16, 256×8×8
        return F.relu(main + skip)  # 64×32×32, 128×16×16, 256×8×8


class ResNetBottleneck(nn.Module):
    """Bottleneck residual networks with 164 and 1001 layers, the baselines of He et al."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.conv2 = nn.Sequential(Bottleneck2(16, 64), *[Bottleneck(64) for _ in range(17)])
        self.conv3 = nn.Sequential(Bottleneck2(64, 128, stride=2), *[Bottleneck(128) for _ in range(17)])
        self.conv4 = nn.Sequential(Bottleneck2(128, 256, stride=2), *[Bottleneck(256) for _ in range(17)])
        self.linear = nn.Linear(256, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = F.relu(self.bn(self.conv1(image)))  # 16×32×32
        conv2 = self.conv2(conv1)  # 64×32×32
        conv3 = self.conv3(conv2)  # 128×16×16
        conv4 = self.conv4(conv3)  # 256×8×8
        return self.linear(conv4.mean((2, 3)))  # 10


if __name__ == "__main__":
    network = ResNetBottleneck()
    count = sum(p.numel() for p in network.parameters())
    assert count == 1_704_154, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("ResNetBottleneck", f"{count:,} parameters, output", tuple(output.shape))

"""ResNeXt (depth=29, cardinality=16, base=64, classes=10): Aggregated residual networks on CIFAR.

Made by archdsl 0.1.0 from resnext-29-16x64d.arch, variant resnext_29_16x64d (sha256 325f492aa2aa).
68,155,210 parameters; 10,688,866,304 multiply-accumulates for one 3×32×32 sample.
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
        return self.bn(self.conv(x))  # 256×32×32, 512×16×16, 1024×8×8


class Resnext(nn.Module):
    """Figure 3c: the middle 3×3 in `cardinality` groups; `inner` is the width of all groups together; the form for
    which `stride` is 1.
    """

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=1, groups=16, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        main = F.relu(self.bn1(self.conv1(x)))  # 1024×32×32, 2048×16×16, 4096×8×8
        main = F.relu(self.bn2(self.conv2(main)))  # 1024×32×32, 2048×16×16, 4096×8×8
        main = self.bn3(self.conv3(main))  # 256×32×32, 512×16×16, 1024×8×8
        return F.relu(main + x)  # 256×32×32, 512×16×16, 1024×8×8


class Resnext2(nn.Module):
    """Figure 3c: the middle 3×3 in `cardinality` groups; `inner` is the width of all groups together; the form for
    which the inner block is `Shortcut`.
    """

    def __init__(self, in_channels: int, width: int, inner: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, groups=16, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.skip = Shortcut(in_channels, width, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        main = F.relu(self.bn1(self.conv1(x)))  # 1024×32×32, 2048×32×32, 4096×16×16
        main = F.relu(self.bn2(self.conv2(main)))  # 1024×32×32, 2048×16×16, 4096×8×8
        main = self.bn3(self.conv3(main))  # 256×32×32, 512×16×16, 1024×8×8
        skip = self.skip(x)  # 256×32×32, 512×16×16, 1024×8×8
        return F.relu(main + skip)  # 256×32×32, 512×16×16, 1024×8×8


class ResNeXt(nn.Module):
    """Aggregated residual networks on CIFAR."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(64)
        self.conv2 = nn.Sequential(Resnext2(64, 256, 1024), *[Resnext(256, 1024) for _ in range(2)])
        self.conv3 = nn.Sequential(Resnext2(256, 512, 2048, stride=2), *[Resnext(512, 2048) for _ in range(2)])
        self.conv4 = nn.Sequential(Resnext2(512, 1024, 4096, stride=2), *[Resnext(1024, 4096) for _ in range(2)])
        self.linear = nn.Linear(1024, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = F.relu(self.bn(self.conv1(image)))  # 64×32×32
        conv2 = self.conv2(conv1)  # 256×32×32
        conv3 = self.conv3(conv2)  # 512×16×16
        conv4 = self.conv4(conv3)  # 1024×8×8
        return self.linear(conv4.mean((2, 3)))  # 10


if __name__ == "__main__":
    network = ResNeXt()
    count = sum(p.numel() for p in network.parameters())
    assert count == 68_155_210, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("ResNeXt", f"{count:,} parameters, output", tuple(output.shape))

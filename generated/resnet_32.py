"""ResNet (depth=32, option=a, classes=10): Residual networks on CIFAR.

Made by archdsl 0.1.0 from resnet-32.arch, variant resnet_32 (sha256 a9b789366ddb).
464,154 parameters; 68,862,592 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ChannelPad(nn.Module):
    """Zero channels up to `width`: after the others, or on both sides."""

    def __init__(self, width: int, where: str = "end") -> None:
        super().__init__()
        self.width, self.where = width, where

    def forward(self, x: Tensor) -> Tensor:
        added = self.width - x.shape[1]
        before = added // 2 if self.where == "both" else 0
        space = (0, 0) * (x.dim() - 2)  # nothing around the map itself
        return F.pad(x, (*space, before, added - before))


class Basic(nn.Module):
    """The basic unit, figure 5 left: two 3×3 convolutions, ReLU after the addition; the form for which `stride` is
    1.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        main = F.relu(self.bn1(self.conv1(x)))  # 16×32×32, 32×16×16, 64×8×8
        main = self.bn2(self.conv2(main))  # 16×32×32, 32×16×16, 64×8×8
        return F.relu(main + x)  # 16×32×32, 32×16×16, 64×8×8


class Shortcut(nn.Module):
    """Options A, B and C of section 4.1; 'average' is option A with the mean of Stochastic Depth, arXiv:1603.09382."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.channel_pad = ChannelPad(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.channel_pad(x[:, :, ::2, ::2])  # 32×16×16, 64×8×8


class Basic2(nn.Module):
    """The basic unit, figure 5 left: two 3×3 convolutions, ReLU after the addition; the form for which `stride` is
    2.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.skip = Shortcut(width)

    def forward(self, x: Tensor) -> Tensor:
        main = F.relu(self.bn1(self.conv1(x)))  # 32×16×16, 64×8×8
        main = self.bn2(self.conv2(main))  # 32×16×16, 64×8×8
        skip = self.skip(x)  # 32×16×16, 64×8×8
        return F.relu(main + skip)  # 32×16×16, 64×8×8


class ResNet(nn.Module):
    """Residual networks on CIFAR."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.conv2 = nn.Sequential(*[Basic(16) for _ in range(5)])
        self.conv3 = nn.Sequential(Basic2(16, 32), *[Basic(32) for _ in range(4)])
        self.conv4 = nn.Sequential(Basic2(32, 64), *[Basic(64) for _ in range(4)])
        self.linear = nn.Linear(64, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = F.relu(self.bn(self.conv1(image)))  # 16×32×32
        conv2 = self.conv2(conv1)  # 16×32×32
        conv3 = self.conv3(conv2)  # 32×16×16
        conv4 = self.conv4(conv3)  # 64×8×8
        return self.linear(conv4.mean((2, 3)))  # 10


if __name__ == "__main__":
    network = ResNet()
    count = sum(p.numel() for p in network.parameters())
    assert count == 464_154, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("ResNet", f"{count:,} parameters, output", tuple(output.shape))

"""PyramidNet (depth=110, alpha=270, bottleneck=false, classes=10): Pyramidal residual networks, additive.

Made by archdsl 0.1.0 from pyramidnet-110-a270.arch, variant pyramidnet_110_a270 (sha256 da25dcd59ebf).
28,485,477 parameters; 4,717,983,724 multiply-accumulates for one 3×32×32 sample.
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


class ZeroPadShortcut(nn.Module):
    """Identity with a mean over the stride and zero channels appended, section 3.2; the form for which `stride == 1`
    holds.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.channel_pad = ChannelPad(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.channel_pad(x)  # 21×32×32, 26×32×32, 31×32×32, …


class ZeroPadShortcut2(nn.Module):
    """Identity with a mean over the stride and zero channels appended, section 3.2; the form for which `stride == 1`
    does not hold.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.channel_pad = ChannelPad(width)

    def forward(self, x: Tensor) -> Tensor:
        small = F.avg_pool2d(x, 2)  # 106×16×16, 196×8×8
        return self.channel_pad(small)  # 111×16×16, 201×8×8


class Pyramidal(nn.Module):
    """The basic unit: BN first and last, one ReLU, none after the addition; the form for which `stride` is 1."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.skip = ZeroPadShortcut(width)

    def forward(self, x: Tensor) -> Tensor:
        main = self.conv1(self.bn1(x))  # 21×32×32, 26×32×32, 31×32×32, …
        main = self.conv2(F.relu(self.bn2(main)))  # 21×32×32, 26×32×32, 31×32×32, …
        main = self.bn3(main)  # 21×32×32, 26×32×32, 31×32×32, …
        skip = self.skip(x)  # 21×32×32, 26×32×32, 31×32×32, …
        return main + skip  # 21×32×32, 26×32×32, 31×32×32, …


class Pyramidal2(nn.Module):
    """The basic unit: BN first and last, one ReLU, none after the addition; the form for which `stride` is 2."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.skip = ZeroPadShortcut2(width)

    def forward(self, x: Tensor) -> Tensor:
        main = self.conv1(self.bn1(x))  # 111×16×16, 201×8×8
        main = self.conv2(F.relu(self.bn2(main)))  # 111×16×16, 201×8×8
        main = self.bn3(main)  # 111×16×16, 201×8×8
        skip = self.skip(x)  # 111×16×16, 201×8×8
        return main + skip  # 111×16×16, 201×8×8


class PyramidNet(nn.Module):
    """Pyramidal residual networks, additive."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.group1 = nn.Sequential(*[Pyramidal(in_channels, 5 + in_channels) for in_channels in range(16, 106, 5)])
        self.group2 = nn.Sequential(
            Pyramidal2(106, 111),
            *[Pyramidal(in_channels, 5 + in_channels) for in_channels in range(111, 196, 5)],
        )
        self.group3 = nn.Sequential(
            Pyramidal2(196, 201),
            *[Pyramidal(in_channels, 5 + in_channels) for in_channels in range(201, 286, 5)],
        )
        self.bn2 = nn.BatchNorm2d(286)
        self.linear = nn.Linear(286, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = self.bn1(self.conv1(image))  # 16×32×32
        group1 = self.group1(conv1)  # 106×32×32
        group2 = self.group2(group1)  # 196×16×16
        group3 = self.group3(group2)  # 286×8×8
        return self.linear(F.relu(self.bn2(group3)).mean((2, 3)))  # 10


if __name__ == "__main__":
    network = PyramidNet()
    count = sum(p.numel() for p in network.parameters())
    assert count == 28_485_477, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("PyramidNet", f"{count:,} parameters, output", tuple(output.shape))

"""PyramidNet (depth=110, alpha=84, bottleneck=false, classes=10): Pyramidal residual networks, additive.

Made by archdsl 0.1.0 from pyramidnet-110-a84.arch, variant pyramidnet_110_a84 (sha256 c1558f21b1d9).
3,904,446 parameters; 772,168,168 multiply-accumulates for one 3×32×32 sample.
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
        return self.channel_pad(x)  # 18×32×32, 19×32×32, 21×32×32, …


class ZeroPadShortcut2(nn.Module):
    """Identity with a mean over the stride and zero channels appended, section 3.2; the form for which `stride == 1`
    does not hold.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.channel_pad = ChannelPad(width)

    def forward(self, x: Tensor) -> Tensor:
        small = F.avg_pool2d(x, 2)  # 44×16×16, 72×8×8
        return self.channel_pad(small)  # 46×16×16, 74×8×8


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
        main = self.conv1(self.bn1(x))  # 18×32×32, 19×32×32, 21×32×32, …
        main = self.conv2(F.relu(self.bn2(main)))  # 18×32×32, 19×32×32, 21×32×32, …
        main = self.bn3(main)  # 18×32×32, 19×32×32, 21×32×32, …
        skip = self.skip(x)  # 18×32×32, 19×32×32, 21×32×32, …
        return main + skip  # 18×32×32, 19×32×32, 21×32×32, …


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
        main = self.conv1(self.bn1(x))  # 46×16×16, 74×8×8
        main = self.conv2(F.relu(self.bn2(main)))  # 46×16×16, 74×8×8
        main = self.bn3(main)  # 46×16×16, 74×8×8
        skip = self.skip(x)  # 46×16×16, 74×8×8
        return main + skip  # 46×16×16, 74×8×8


class PyramidNet(nn.Module):
    """Pyramidal residual networks, additive."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.group1 = nn.Sequential(
            *[
                Pyramidal(in_channels, width)
                for in_channels, width in [
                    (16, 18),
                    (18, 19),
                    (19, 21),
                    (21, 22),
                    (22, 24),
                    (24, 25),
                    (25, 27),
                    (27, 28),
                    (28, 30),
                    (30, 32),
                    (32, 33),
                    (33, 35),
                    (35, 36),
                    (36, 38),
                    (38, 39),
                    (39, 41),
                    (41, 42),
                    (42, 44),
                ]
            ]
        )
        self.group2 = nn.Sequential(
            Pyramidal2(44, 46),
            *[
                Pyramidal(in_channels, width)
                for in_channels, width in [
                    (46, 47),
                    (47, 49),
                    (49, 50),
                    (50, 52),
                    (52, 53),
                    (53, 55),
                    (55, 56),
                    (56, 58),
                    (58, 60),
                    (60, 61),
                    (61, 63),
                    (63, 64),
                    (64, 66),
                    (66, 67),
                    (67, 69),
                    (69, 70),
                    (70, 72),
                ]
            ],
        )
        self.group3 = nn.Sequential(
            Pyramidal2(72, 74),
            *[
                Pyramidal(in_channels, width)
                for in_channels, width in [
                    (74, 75),
                    (75, 77),
                    (77, 78),
                    (78, 80),
                    (80, 81),
                    (81, 83),
                    (83, 84),
                    (84, 86),
                    (86, 88),
                    (88, 89),
                    (89, 91),
                    (91, 92),
                    (92, 94),
                    (94, 95),
                    (95, 97),
                    (97, 98),
                    (98, 100),
                ]
            ],
        )
        self.bn2 = nn.BatchNorm2d(100)
        self.linear = nn.Linear(100, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = self.bn1(self.conv1(image))  # 16×32×32
        group1 = self.group1(conv1)  # 44×32×32
        group2 = self.group2(group1)  # 72×16×16
        group3 = self.group3(group2)  # 100×8×8
        return self.linear(F.relu(self.bn2(group3)).mean((2, 3)))  # 10


if __name__ == "__main__":
    network = PyramidNet()
    count = sum(p.numel() for p in network.parameters())
    assert count == 3_904_446, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("PyramidNet", f"{count:,} parameters, output", tuple(output.shape))

"""PyramidNet (depth=236, alpha=220, bottleneck=true, classes=10): Pyramidal residual networks, additive.

Made by archdsl 0.1.0 from pyramidnet-236-a220.arch, variant pyramidnet_236_a220 (sha256 137fb07e70b0).
26,969,046 parameters; 4,582,673,952 multiply-accumulates for one 3×32×32 sample.
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
        return self.channel_pad(x)  # 76×32×32, 88×32×32, 96×32×32, …


class ZeroPadShortcut2(nn.Module):
    """Identity with a mean over the stride and zero channels appended, section 3.2; the form for which `stride == 1`
    does not hold.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.channel_pad = ChannelPad(width)

    def forward(self, x: Tensor) -> Tensor:
        small = F.avg_pool2d(x, 2)  # 356×16×16, 652×8×8
        return self.channel_pad(small)  # 368×16×16, 660×8×8


class PyramidalBottleneck(nn.Module):
    """The bottleneck unit; its output has four times `width` channels; the form for which `stride` is 1."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn4 = nn.BatchNorm2d(4 * width)
        self.skip = ZeroPadShortcut(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        main = self.conv1(self.bn1(x))  # 19×32×32, 22×32×32, 24×32×32, …
        main = self.conv2(F.relu(self.bn2(main)))  # 19×32×32, 22×32×32, 24×32×32, …
        main = self.conv3(F.relu(self.bn3(main)))  # 76×32×32, 88×32×32, 96×32×32, …
        main = self.bn4(main)  # 76×32×32, 88×32×32, 96×32×32, …
        skip = self.skip(x)  # 76×32×32, 88×32×32, 96×32×32, …
        return main + skip  # 76×32×32, 88×32×32, 96×32×32, …


class PyramidalBottleneck2(nn.Module):
    """The bottleneck unit; its output has four times `width` channels; the form for which `stride` is 2."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn4 = nn.BatchNorm2d(4 * width)
        self.skip = ZeroPadShortcut2(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        main = self.conv1(self.bn1(x))  # 92×32×32, 165×16×16
        main = self.conv2(F.relu(self.bn2(main)))  # 92×16×16, 165×8×8
        main = self.conv3(F.relu(self.bn3(main)))  # 368×16×16, 660×8×8
        main = self.bn4(main)  # 368×16×16, 660×8×8
        skip = self.skip(x)  # 368×16×16, 660×8×8
        return main + skip  # 368×16×16, 660×8×8


class PyramidNet(nn.Module):
    """Pyramidal residual networks, additive."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.group1 = nn.Sequential(
            *[
                PyramidalBottleneck(in_channels, width)
                for in_channels, width in [
                    (16, 19),
                    (76, 22),
                    (88, 24),
                    (96, 27),
                    (108, 30),
                    (120, 33),
                    (132, 36),
                    (144, 39),
                    (156, 41),
                    (164, 44),
                    (176, 47),
                    (188, 50),
                    (200, 53),
                    (212, 55),
                    (220, 58),
                    (232, 61),
                    (244, 64),
                    (256, 67),
                    (268, 70),
                    (280, 72),
                    (288, 75),
                    (300, 78),
                    (312, 81),
                    (324, 84),
                    (336, 87),
                    (348, 89),
                ]
            ]
        )
        self.group2 = nn.Sequential(
            PyramidalBottleneck2(356, 92),
            *[
                PyramidalBottleneck(in_channels, width)
                for in_channels, width in [
                    (368, 95),
                    (380, 98),
                    (392, 101),
                    (404, 103),
                    (412, 106),
                    (424, 109),
                    (436, 112),
                    (448, 115),
                    (460, 118),
                    (472, 120),
                    (480, 123),
                    (492, 126),
                    (504, 129),
                    (516, 132),
                    (528, 134),
                    (536, 137),
                    (548, 140),
                    (560, 143),
                    (572, 146),
                    (584, 149),
                    (596, 151),
                    (604, 154),
                    (616, 157),
                    (628, 160),
                    (640, 163),
                ]
            ],
        )
        self.group3 = nn.Sequential(
            PyramidalBottleneck2(652, 165),
            *[
                PyramidalBottleneck(in_channels, width)
                for in_channels, width in [
                    (660, 168),
                    (672, 171),
                    (684, 174),
                    (696, 177),
                    (708, 180),
                    (720, 182),
                    (728, 185),
                    (740, 188),
                    (752, 191),
                    (764, 194),
                    (776, 197),
                    (788, 199),
                    (796, 202),
                    (808, 205),
                    (820, 208),
                    (832, 211),
                    (844, 213),
                    (852, 216),
                    (864, 219),
                    (876, 222),
                    (888, 225),
                    (900, 228),
                    (912, 230),
                    (920, 233),
                    (932, 236),
                ]
            ],
        )
        self.bn2 = nn.BatchNorm2d(944)
        self.linear = nn.Linear(944, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = self.bn1(self.conv1(image))  # 16×32×32
        group1 = self.group1(conv1)  # 356×32×32
        group2 = self.group2(group1)  # 652×16×16
        group3 = self.group3(group2)  # 944×8×8
        return self.linear(F.relu(self.bn2(group3)).mean((2, 3)))  # 10


if __name__ == "__main__":
    network = PyramidNet()
    count = sum(p.numel() for p in network.parameters())
    assert count == 26_969_046, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("PyramidNet", f"{count:,} parameters, output", tuple(output.shape))

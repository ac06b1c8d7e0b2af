"""PyramidNet (depth=272, alpha=200, bottleneck=true, classes=10): Pyramidal residual networks, additive.

Made by archdsl 0.1.0 from pyramidnet-272-a200.arch, variant pyramidnet_272_a200 (sha256 b8b6332bb94a).
26,210,842 parameters; 4,488,778,176 multiply-accumulates for one 3×32×32 sample.
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
        return self.channel_pad(x)  # 72×32×32, 80×32×32, 92×32×32, …


class ZeroPadShortcut2(nn.Module):
    """Identity with a mean over the stride and zero channels appended, section 3.2; the form for which `stride == 1`
    does not hold.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.channel_pad = ChannelPad(width)

    def forward(self, x: Tensor) -> Tensor:
        small = F.avg_pool2d(x, 2)  # 332×16×16, 596×8×8
        return self.channel_pad(small)  # 340×16×16, 608×8×8


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
        main = self.conv1(self.bn1(x))  # 18×32×32, 20×32×32, 23×32×32, …
        main = self.conv2(F.relu(self.bn2(main)))  # 18×32×32, 20×32×32, 23×32×32, …
        main = self.conv3(F.relu(self.bn3(main)))  # 72×32×32, 80×32×32, 92×32×32, …
        main = self.bn4(main)  # 72×32×32, 80×32×32, 92×32×32, …
        skip = self.skip(x)  # 72×32×32, 80×32×32, 92×32×32, …
        return main + skip  # 72×32×32, 80×32×32, 92×32×32, …


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
        main = self.conv1(self.bn1(x))  # 85×32×32, 152×16×16
        main = self.conv2(F.relu(self.bn2(main)))  # 85×16×16, 152×8×8
        main = self.conv3(F.relu(self.bn3(main)))  # 340×16×16, 608×8×8
        main = self.bn4(main)  # 340×16×16, 608×8×8
        skip = self.skip(x)  # 340×16×16, 608×8×8
        return main + skip  # 340×16×16, 608×8×8


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
                    (16, 18),
                    (72, 20),
                    (80, 23),
                    (92, 25),
                    (100, 27),
                    (108, 29),
                    (116, 32),
                    (128, 34),
                    (136, 36),
                    (144, 38),
                    (152, 40),
                    (160, 43),
                    (172, 45),
                    (180, 47),
                    (188, 49),
                    (196, 52),
                    (208, 54),
                    (216, 56),
                    (224, 58),
                    (232, 60),
                    (240, 63),
                    (252, 65),
                    (260, 67),
                    (268, 69),
                    (276, 72),
                    (288, 74),
                    (296, 76),
                    (304, 78),
                    (312, 80),
                    (320, 83),
                ]
            ]
        )
        self.group2 = nn.Sequential(
            PyramidalBottleneck2(332, 85),
            *[
                PyramidalBottleneck(in_channels, width)
                for in_channels, width in [
                    (340, 87),
                    (348, 89),
                    (356, 92),
                    (368, 94),
                    (376, 96),
                    (384, 98),
                    (392, 100),
                    (400, 103),
                    (412, 105),
                    (420, 107),
                    (428, 109),
                    (436, 112),
                    (448, 114),
                    (456, 116),
                    (464, 118),
                    (472, 120),
                    (480, 123),
                    (492, 125),
                    (500, 127),
                    (508, 129),
                    (516, 132),
                    (528, 134),
                    (536, 136),
                    (544, 138),
                    (552, 140),
                    (560, 143),
                    (572, 145),
                    (580, 147),
                    (588, 149),
                ]
            ],
        )
        self.group3 = nn.Sequential(
            PyramidalBottleneck2(596, 152),
            *[
                PyramidalBottleneck(in_channels, width)
                for in_channels, width in [
                    (608, 154),
                    (616, 156),
                    (624, 158),
                    (632, 160),
                    (640, 163),
                    (652, 165),
                    (660, 167),
                    (668, 169),
                    (676, 172),
                    (688, 174),
                    (696, 176),
                    (704, 178),
                    (712, 180),
                    (720, 183),
                    (732, 185),
                    (740, 187),
                    (748, 189),
                    (756, 192),
                    (768, 194),
                    (776, 196),
                    (784, 198),
                    (792, 200),
                    (800, 203),
                    (812, 205),
                    (820, 207),
                    (828, 209),
                    (836, 212),
                    (848, 214),
                    (856, 216),
                ]
            ],
        )
        self.bn2 = nn.BatchNorm2d(864)
        self.linear = nn.Linear(864, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = self.bn1(self.conv1(image))  # 16×32×32
        group1 = self.group1(conv1)  # 332×32×32
        group2 = self.group2(group1)  # 596×16×16
        group3 = self.group3(group2)  # 864×8×8
        return self.linear(F.relu(self.bn2(group3)).mean((2, 3)))  # 10


if __name__ == "__main__":
    network = PyramidNet()
    count = sum(p.numel() for p in network.parameters())
    assert count == 26_210_842, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("PyramidNet", f"{count:,} parameters, output", tuple(output.shape))

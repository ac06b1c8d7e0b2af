"""PyramidNet (depth=200, alpha=240, bottleneck=true, classes=10): Pyramidal residual networks, additive.

Made by archdsl 0.1.0 from pyramidnet-200-a240.arch, variant pyramidnet_200_a240 (sha256 a3ae15d58a61).
26,752,702 parameters; 4,519,606,016 multiply-accumulates for one 3×32×32 sample.
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
        return self.channel_pad(x)  # 80×32×32, 92×32×32, 108×32×32, …


class ZeroPadShortcut2(nn.Module):
    """Identity with a mean over the stride and zero channels appended, section 3.2; the form for which `stride == 1`
    does not hold.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.channel_pad = ChannelPad(width)

    def forward(self, x: Tensor) -> Tensor:
        small = F.avg_pool2d(x, 2)  # 384×16×16, 704×8×8
        return self.channel_pad(small)  # 400×16×16, 720×8×8


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
        main = self.conv1(self.bn1(x))  # 20×32×32, 23×32×32, 27×32×32, …
        main = self.conv2(F.relu(self.bn2(main)))  # 20×32×32, 23×32×32, 27×32×32, …
        main = self.conv3(F.relu(self.bn3(main)))  # 80×32×32, 92×32×32, 108×32×32, …
        main = self.bn4(main)  # 80×32×32, 92×32×32, 108×32×32, …
        skip = self.skip(x)  # 80×32×32, 92×32×32, 108×32×32, …
        return main + skip  # 80×32×32, 92×32×32, 108×32×32, …


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
        main = self.conv1(self.bn1(x))  # 100×32×32, 180×16×16
        main = self.conv2(F.relu(self.bn2(main)))  # 100×16×16, 180×8×8
        main = self.conv3(F.relu(self.bn3(main)))  # 400×16×16, 720×8×8
        main = self.bn4(main)  # 400×16×16, 720×8×8
        skip = self.skip(x)  # 400×16×16, 720×8×8
        return main + skip  # 400×16×16, 720×8×8


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
                    (16, 20),
                    (80, 23),
                    (92, 27),
                    (108, 31),
                    (124, 34),
                    (136, 38),
                    (152, 41),
                    (164, 45),
                    (180, 49),
                    (196, 52),
                    (208, 56),
                    (224, 60),
                    (240, 63),
                    (252, 67),
                    (268, 71),
                    (284, 74),
                    (296, 78),
                    (312, 81),
                    (324, 85),
                    (340, 89),
                    (356, 92),
                    (368, 96),
                ]
            ]
        )
        self.group2 = nn.Sequential(
            PyramidalBottleneck2(384, 100),
            *[
                PyramidalBottleneck(in_channels, width)
                for in_channels, width in [
                    (400, 103),
                    (412, 107),
                    (428, 111),
                    (444, 114),
                    (456, 118),
                    (472, 121),
                    (484, 125),
                    (500, 129),
                    (516, 132),
                    (528, 136),
                    (544, 140),
                    (560, 143),
                    (572, 147),
                    (588, 151),
                    (604, 154),
                    (616, 158),
                    (632, 161),
                    (644, 165),
                    (660, 169),
                    (676, 172),
                    (688, 176),
                ]
            ],
        )
        self.group3 = nn.Sequential(
            PyramidalBottleneck2(704, 180),
            *[
                PyramidalBottleneck(in_channels, width)
                for in_channels, width in [
                    (720, 183),
                    (732, 187),
                    (748, 191),
                    (764, 194),
                    (776, 198),
                    (792, 201),
                    (804, 205),
                    (820, 209),
                    (836, 212),
                    (848, 216),
                    (864, 220),
                    (880, 223),
                    (892, 227),
                    (908, 231),
                    (924, 234),
                    (936, 238),
                    (952, 241),
                    (964, 245),
                    (980, 249),
                    (996, 252),
                    (1008, 256),
                ]
            ],
        )
        self.bn2 = nn.BatchNorm2d(1024)
        self.linear = nn.Linear(1024, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = self.bn1(self.conv1(image))  # 16×32×32
        group1 = self.group1(conv1)  # 384×32×32
        group2 = self.group2(group1)  # 704×16×16
        group3 = self.group3(group2)  # 1024×8×8
        return self.linear(F.relu(self.bn2(group3)).mean((2, 3)))  # 10


if __name__ == "__main__":
    network = PyramidNet()
    count = sum(p.numel() for p in network.parameters())
    assert count == 26_752_702, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("PyramidNet", f"{count:,} parameters, output", tuple(output.shape))

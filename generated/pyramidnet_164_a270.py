"""PyramidNet (depth=164, alpha=270, bottleneck=true, classes=10): Pyramidal residual networks, additive.

Made by archdsl 0.1.0 from pyramidnet-164-a270.arch, variant pyramidnet_164_a270 (sha256 a1a87974c8b9).
27,216,021 parameters; 4,569,837,040 multiply-accumulates for one 3×32×32 sample.
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
        return self.channel_pad(x)  # 84×32×32, 104×32×32, 124×32×32, …


class ZeroPadShortcut2(nn.Module):
    """Identity with a mean over the stride and zero channels appended, section 3.2; the form for which `stride == 1`
    does not hold.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.channel_pad = ChannelPad(width)

    def forward(self, x: Tensor) -> Tensor:
        small = F.avg_pool2d(x, 2)  # 424×16×16, 784×8×8
        return self.channel_pad(small)  # 444×16×16, 804×8×8


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
        main = self.conv1(self.bn1(x))  # 21×32×32, 26×32×32, 31×32×32, …
        main = self.conv2(F.relu(self.bn2(main)))  # 21×32×32, 26×32×32, 31×32×32, …
        main = self.conv3(F.relu(self.bn3(main)))  # 84×32×32, 104×32×32, 124×32×32, …
        main = self.bn4(main)  # 84×32×32, 104×32×32, 124×32×32, …
        skip = self.skip(x)  # 84×32×32, 104×32×32, 124×32×32, …
        return main + skip  # 84×32×32, 104×32×32, 124×32×32, …


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
        main = self.conv1(self.bn1(x))  # 111×32×32, 201×16×16
        main = self.conv2(F.relu(self.bn2(main)))  # 111×16×16, 201×8×8
        main = self.conv3(F.relu(self.bn3(main)))  # 444×16×16, 804×8×8
        main = self.bn4(main)  # 444×16×16, 804×8×8
        skip = self.skip(x)  # 444×16×16, 804×8×8
        return main + skip  # 444×16×16, 804×8×8


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
                    (16, 21),
                    (84, 26),
                    (104, 31),
                    (124, 36),
                    (144, 41),
                    (164, 46),
                    (184, 51),
                    (204, 56),
                    (224, 61),
                    (244, 66),
                    (264, 71),
                    (284, 76),
                    (304, 81),
                    (324, 86),
                    (344, 91),
                    (364, 96),
                    (384, 101),
                    (404, 106),
                ]
            ]
        )
        self.group2 = nn.Sequential(
            PyramidalBottleneck2(424, 111),
            *[PyramidalBottleneck(4 * width - 20, width) for width in range(116, 201, 5)],
        )
        self.group3 = nn.Sequential(
            PyramidalBottleneck2(784, 201),
            *[PyramidalBottleneck(4 * width - 20, width) for width in range(206, 291, 5)],
        )
        self.bn2 = nn.BatchNorm2d(1144)
        self.linear = nn.Linear(1144, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = self.bn1(self.conv1(image))  # 16×32×32
        group1 = self.group1(conv1)  # 424×32×32
        group2 = self.group2(group1)  # 784×16×16
        group3 = self.group3(group2)  # 1144×8×8
        return self.linear(F.relu(self.bn2(group3)).mean((2, 3)))  # 10


if __name__ == "__main__":
    network = PyramidNet()
    count = sum(p.numel() for p in network.parameters())
    assert count == 27_216_021, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("PyramidNet", f"{count:,} parameters, output", tuple(output.shape))

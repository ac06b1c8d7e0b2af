"""WRN (depth=28, k=10, drop=0, classes=10): Wide residual networks.

Made by archdsl 0.1.0 from wrn.arch (sha256 b4800372b69f).
36,479,194 parameters; 5,243,328,768 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Wide(nn.Module):
    """The unit B(3,3) of wide residual networks, arXiv:1605.07146, figure 1d; dropout between its convolutions; the
    form for which `in.channels == width and stride == 1` holds.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pre = F.relu(self.bn1(x))  # 160×32×32, 320×16×16, 640×8×8
        main = self.conv2(F.relu(self.bn2(self.conv1(pre))))  # 160×32×32, 320×16×16, 640×8×8
        return main + x  # 160×32×32, 320×16×16, 640×8×8


class Wide2(nn.Module):
    """The unit B(3,3) of wide residual networks, arXiv:1605.07146, figure 1d; dropout between its convolutions; the
    form for which `in.channels == width and stride == 1` does not hold.
    """

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.skip = nn.Conv2d(in_channels, width, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pre = F.relu(self.bn1(x))  # 16×32×32, 160×32×32, 320×16×16
        main = self.conv2(F.relu(self.bn2(self.conv1(pre))))  # 160×32×32, 320×16×16, 640×8×8
        skip = self.skip(pre)  # 160×32×32, 320×16×16, 640×8×8
        return main + skip  # 160×32×32, 320×16×16, 640×8×8


class WRN(nn.Module):
    """Wide residual networks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.conv2 = nn.Sequential(Wide2(16, 160), *[Wide(160) for _ in range(3)])
        self.conv3 = nn.Sequential(Wide2(160, 320, stride=2), *[Wide(320) for _ in range(3)])
        self.conv4 = nn.Sequential(Wide2(320, 640, stride=2), *[Wide(640) for _ in range(3)])
        self.bn = nn.BatchNorm2d(640)
        self.linear = nn.Linear(640, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = self.conv1(image)  # 16×32×32
        conv2 = self.conv2(conv1)  # 160×32×32
        conv3 = self.conv3(conv2)  # 320×16×16
        conv4 = self.conv4(conv3)  # 640×8×8
        return self.linear(F.relu(self.bn(conv4)).mean((2, 3)))  # 10


if __name__ == "__main__":
    network = WRN()
    count = sum(p.numel() for p in network.parameters())
    assert count == 36_479_194, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("WRN", f"{count:,} parameters, output", tuple(output.shape))

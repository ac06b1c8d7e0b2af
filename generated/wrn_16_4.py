"""WRN (depth=16, k=4, drop=0, classes=10): Wide residual networks.

Made by archdsl 0.1.0 from wrn-16-4.arch, variant wrn_16_4 (sha256 994b9c8ed4e4).
2,748,890 parameters; 392,612,352 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Wide(nn.Module):
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
        pre = F.relu(self.bn1(x))  # 16×32×32, 64×32×32, 128×16×16
        main = self.conv2(F.relu(self.bn2(self.conv1(pre))))  # 64×32×32, 128×16×16, 256×8×8
        skip = self.skip(pre)  # 64×32×32, 128×16×16, 256×8×8
        return main + skip  # 64×32×32, 128×16×16, 256×8×8


class Wide2(nn.Module):
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
        pre = F.relu(self.bn1(x))  # 64×32×32, 128×16×16, 256×8×8
        main = self.conv2(F.relu(self.bn2(self.conv1(pre))))  # 64×32×32, 128×16×16, 256×8×8
        return main + x  # 64×32×32, 128×16×16, 256×8×8


class WRN(nn.Module):
    """Wide residual networks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.conv2 = nn.Sequential(Wide(16, 64), Wide2(64))
        self.conv3 = nn.Sequential(Wide(64, 128, stride=2), Wide2(128))
        self.conv4 = nn.Sequential(Wide(128, 256, stride=2), Wide2(256))
        self.bn = nn.BatchNorm2d(256)
        self.linear = nn.Linear(256, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = self.conv1(image)  # 16×32×32
        conv2 = self.conv2(conv1)  # 64×32×32
        conv3 = self.conv3(conv2)  # 128×16×16
        conv4 = self.conv4(conv3)  # 256×8×8
        return self.linear(F.relu(self.bn(conv4)).mean((2, 3)))  # 10


if __name__ == "__main__":
    network = WRN()
    count = sum(p.numel() for p in network.parameters())
    assert count == 2_748_890, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("WRN", f"{count:,} parameters, output", tuple(output.shape))

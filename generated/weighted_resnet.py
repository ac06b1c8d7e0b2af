"""WeightedResNet (depth=118, classes=10): Weighted residual networks.

Made by archdsl 0.1.0 from weighted-resnet.arch (sha256 4692c752fec0).
1,871,507 parameters; 271,762,048 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Scale(nn.Module):
    """The product with a learned tensor, which broadcasts over each sample."""

    def __init__(self, *shape: int, init: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full(shape, float(init)))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x


class ConvBnRelu(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))  # 16×32×32, 32×16×16, 64×8×8


class Weighted(nn.Module):
    """x + λ·F(x), F ending in ReLU; λ is one learned number, 0 at first; nothing after the addition."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, in_channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv2 = nn.Conv2d(in_channels, in_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(in_channels)
        self.scale = Scale(1, init=0)

    def forward(self, x: Tensor) -> Tensor:
        main = F.relu(self.bn1(self.conv1(x)))  # 16×32×32, 32×16×16, 64×8×8
        main = self.scale(F.relu(self.bn2(self.conv2(main))))  # 16×32×32, 32×16×16, 64×8×8
        return x + main  # 16×32×32, 32×16×16, 64×8×8


class WeightedResNet(nn.Module):
    """Weighted residual networks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvBnRelu(3, 16)
        self.conv2 = nn.Sequential(*[Weighted(16) for _ in range(19)])
        self.down3 = ConvBnRelu(16, 32, stride=2)
        self.conv3 = nn.Sequential(*[Weighted(32) for _ in range(19)])
        self.down4 = ConvBnRelu(32, 64, stride=2)
        self.conv4 = nn.Sequential(*[Weighted(64) for _ in range(19)])
        self.linear = nn.Linear(64, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = self.conv1(image)  # 16×32×32
        conv2 = self.conv2(conv1)  # 16×32×32
        down3 = self.down3(conv2)  # 32×16×16
        conv3 = self.conv3(down3)  # 32×16×16
        down4 = self.down4(conv3)  # 64×8×8
        conv4 = self.conv4(down4)  # 64×8×8
        return self.linear(conv4.mean((2, 3)))  # 10


if __name__ == "__main__":
    network = WeightedResNet()
    count = sum(p.numel() for p in network.parameters())
    assert count == 1_871_507, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("WeightedResNet", f"{count:,} parameters, output", tuple(output.shape))

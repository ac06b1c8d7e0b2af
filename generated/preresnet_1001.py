"""PreResNet (depth=1001, classes=10, stride_in_3x3=false): Pre-activation residual networks.

Made by archdsl 0.1.0 from preresnet-1001.arch, variant preresnet_1001 (sha256 e1a24535d3ab).
10,327,706 parameters; 1,487,849,984 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PreactBottleneck(nn.Module):
    """The bottleneck of arXiv:1603.05027: where the shape changes, the first BN and ReLU are shared with the shortcut;
    the form for which `in.channels == width and stride == 1` holds.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, width // 4, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width // 4)
        self.conv2 = nn.Conv2d(width // 4, width // 4, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width // 4)
        self.conv3 = nn.Conv2d(width // 4, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pre = F.relu(self.bn1(x))  # 64×32×32, 128×16×16, 256×8×8
        main = F.relu(self.bn2(self.conv1(pre)))  # 16×32×32, 32×16×16, 64×8×8
        main = F.relu(self.bn3(self.conv2(main)))  # 16×32×32, 32×16×16, 64×8×8
        main = self.conv3(main)  # 64×32×32, 128×16×16, 256×8×8
        return main + x  # 64×32×32, 128×16×16, 256×8×8


class PreactBottleneck2(nn.Module):
    """The bottleneck of arXiv:1603.05027: where the shape changes, the first BN and ReLU are shared with the shortcut;
    the form for which `in.channels == width and stride == 1` does not hold.
    """

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width // 4, 1, stride=stride, bias=False)
        self.bn2 = nn.BatchNorm2d(width // 4)
        self.conv2 = nn.Conv2d(width // 4, width // 4, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width // 4)
        self.conv3 = nn.Conv2d(width // 4, width, 1, bias=False)
        self.skip = nn.Conv2d(in_channels, width, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pre = F.relu(self.bn1(x))  # 16×32×32, 64×32×32, 128×16×16
        main = F.relu(self.bn2(self.conv1(pre)))  # 16×32×32, 32×16×16, 64×8×8
        main = F.relu(self.bn3(self.conv2(main)))  # 16×32×32, 32×16×16, 64×8×8
        main = self.conv3(main)  # 64×32×32, 128×16×16, 256×8×8
        skip = self.skip(pre)  # 64×32×32, 128×16×16, 256×8×8
        return main + skip  # 64×32×32, 128×16×16, 256×8×8


class PreResNet(nn.Module):
    """Pre-activation residual networks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.conv2 = nn.Sequential(PreactBottleneck2(16, 64), *[PreactBottleneck(64) for _ in range(110)])
        self.conv3 = nn.Sequential(PreactBottleneck2(64, 128, stride=2), *[PreactBottleneck(128) for _ in range(110)])
        self.conv4 = nn.Sequential(PreactBottleneck2(128, 256, stride=2), *[PreactBottleneck(256) for _ in range(110)])
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
    network = PreResNet()
    count = sum(p.numel() for p in network.parameters())
    assert count == 10_327_706, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("PreResNet", f"{count:,} parameters, output", tuple(output.shape))

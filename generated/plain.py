"""Plain (depth=20, classes=10): Plain networks: residual networks without their shortcuts.

Made by archdsl 0.1.0 from plain.arch (sha256 17138705aecf).
269,722 parameters; 40,551,040 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Plain_(nn.Module):
    """The basic unit without its shortcut: the plain networks of section 4.2."""

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))  # 16×32×32, 32×16×16, 64×8×8
        return F.relu(self.bn2(self.conv2(out)))  # 16×32×32, 32×16×16, 64×8×8


class Plain(nn.Module):
    """Plain networks: residual networks without their shortcuts."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.conv2 = nn.Sequential(*[Plain_(16, 16) for _ in range(3)])
        self.conv3 = nn.Sequential(Plain_(16, 32, stride=2), *[Plain_(32, 32) for _ in range(2)])
        self.conv4 = nn.Sequential(Plain_(32, 64, stride=2), *[Plain_(64, 64) for _ in range(2)])
        self.linear = nn.Linear(64, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = F.relu(self.bn(self.conv1(image)))  # 16×32×32
        conv2 = self.conv2(conv1)  # 16×32×32
        conv3 = self.conv3(conv2)  # 32×16×16
        conv4 = self.conv4(conv3)  # 64×8×8
        return self.linear(conv4.mean((2, 3)))  # 10


if __name__ == "__main__":
    network = Plain()
    count = sum(p.numel() for p in network.parameters())
    assert count == 269_722, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("Plain", f"{count:,} parameters, output", tuple(output.shape))

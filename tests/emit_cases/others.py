"""Others: A class from elsewhere, depthwise beside plain convolutions, a result that nobody uses.

Made by archdsl 0.1.0 from others.arch (sha256 5c9afa4efa3b).
1,114 parameters; 97,952 multiply-accumulates for one 3×16×16 sample.
Needs torch.nn:GELU.
"""

import torch
from torch import Tensor, nn
from torch.nn import GELU
from torch.nn import functional as F


class Separable(nn.Module):
    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, 3, stride=stride, padding=1, groups=in_channels, bias=False
        )
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.depthwise(x)))  # 8×8×8, 16×8×8
        return self.bn2(self.conv(out))  # 16×8×8


class Others(nn.Module):
    """A class from elsewhere, depthwise beside plain convolutions, a result that nobody uses."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.gelu = GELU(approximate="tanh")
        self.unused = nn.Conv2d(8, 2, 1, bias=False)
        self.separable1 = Separable(8, 16, stride=2)
        self.separable2 = Separable(16, 16)
        self.linear = nn.Linear(16, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and (module.groups == 1 or module.groups < module.in_channels):
                nn.init.constant_(module.weight, 0.25)
            if isinstance(module, nn.Conv2d) and module.groups == module.in_channels:
                nn.init.ones_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        a = self.gelu(self.conv(x))  # 8×16×16
        _ = self.unused(a)  # 2×16×16
        b = F.pad(self.separable2(self.separable1(a)), (1, 1, 1, 1))  # 16×10×10
        return self.linear(b.mean((2, 3)))  # 10


if __name__ == "__main__":
    network = Others()
    count = sum(p.numel() for p in network.parameters())
    assert count == 1114, count
    sample = torch.randn(2, 3, 16, 16)
    output = network(sample)
    output.sum().backward()
    print("Others", f"{count:,} parameters, output", tuple(output.shape))

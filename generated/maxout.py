"""Maxout (classes=10): Maxout network for CIFAR-10.

Made by archdsl 0.1.0 from maxout.arch (sha256 b067ff2a4835).
16,247,830 parameters; 732,290,696 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MaxoutConv(nn.Module):
    """Dropout, a convolution to `pieces` times the maps, and of each `pieces` neighbours the largest."""

    def __init__(self, in_channels: int, width: int, kernel: int, padding: int, drop: float = 0) -> None:
        super().__init__()
        self.thin = nn.Dropout(drop)
        self.conv = nn.Conv2d(in_channels, 2 * width, kernel, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.thin(x)).unflatten(1, (-1, 2)).amax(2)  # 96×33×33, 192×15×15, 192×9×9


class MaxoutLinear(nn.Module):
    """Dropout, a linear map to `pieces` times the features, and of each `pieces` neighbours the largest."""

    def __init__(self, in_features: int, width: int) -> None:
        super().__init__()
        self.thin = nn.Dropout(0.5)
        self.linear = nn.Linear(in_features, 5 * width)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.thin(x)).unflatten(1, (-1, 5)).amax(2)  # 500


class Maxout(nn.Module):
    """Maxout network for CIFAR-10."""

    def __init__(self) -> None:
        super().__init__()
        self.h0 = MaxoutConv(3, 96, 8, padding=4, drop=0.2)
        self.h1 = MaxoutConv(96, 192, 8, padding=3, drop=0.5)
        self.h2 = MaxoutConv(192, 192, 5, padding=3, drop=0.5)
        self.h3 = MaxoutLinear(4800, 500)
        self.dropout = nn.Dropout(0.5)
        self.linear = nn.Linear(500, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.uniform_(module.weight, -0.005, 0.005)
            if isinstance(module, nn.Linear):
                nn.init.uniform_(module.weight, -0.005, 0.005)

    def forward(self, image: Tensor) -> Tensor:
        h0 = F.max_pool2d(self.h0(image), 4, stride=2, ceil_mode=True)  # 96×16×16
        h1 = F.max_pool2d(self.h1(h0), 4, stride=2, ceil_mode=True)  # 192×7×7
        h2 = F.max_pool2d(self.h2(h1), 2, ceil_mode=True)  # 192×5×5
        h3 = self.h3(h2.flatten(1))  # 500
        return self.linear(self.dropout(h3))  # 10


if __name__ == "__main__":
    network = Maxout()
    count = sum(p.numel() for p in network.parameters())
    assert count == 16_247_830, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("Maxout", f"{count:,} parameters, output", tuple(output.shape))

"""FitNet19 (pieces=5, classes=10): FitNet-19, the thin and deep student.

Made by archdsl 0.1.0 from fitnet-19.arch (sha256 245ba8ee7430).
2,742,102 parameters; 381,941,128 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MaxoutConv(nn.Module):
    """Dropout, a convolution to `pieces` times the maps, and of each `pieces` neighbours the largest."""

    def __init__(self, in_channels: int, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 2 * width, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).unflatten(1, (-1, 2)).amax(2)  # 32×32×32, 48×32×32, 80×16×16, …


class MaxoutLinear(nn.Module):
    """Dropout, a linear map to `pieces` times the features, and of each `pieces` neighbours the largest."""

    def __init__(self, in_features: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, 5 * width)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).unflatten(1, (-1, 5)).amax(2)  # 500


class FitNet19(nn.Module):
    """FitNet-19, the thin and deep student."""

    def __init__(self) -> None:
        super().__init__()
        self.group1 = nn.Sequential(
            MaxoutConv(3, 32, 3),
            *[MaxoutConv(32, 32, 3) for _ in range(2)],
            MaxoutConv(32, 48, 3),
            MaxoutConv(48, 48, 3),
        )
        self.group2 = nn.Sequential(MaxoutConv(48, 80, 3), *[MaxoutConv(80, 80, 3) for _ in range(5)])
        self.group3 = nn.Sequential(MaxoutConv(80, 128, 3), *[MaxoutConv(128, 128, 3) for _ in range(5)])
        self.fc1 = MaxoutLinear(128, 500)
        self.linear = nn.Linear(500, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.uniform_(module.weight, -0.005, 0.005)
            if isinstance(module, nn.Linear):
                nn.init.uniform_(module.weight, -0.005, 0.005)

    def forward(self, image: Tensor) -> Tensor:
        group1 = F.max_pool2d(self.group1(image), 2)  # 48×16×16
        group2 = F.max_pool2d(self.group2(group1), 2)  # 80×8×8
        group3 = F.max_pool2d(self.group3(group2), 8)  # 128×1×1
        fc1 = self.fc1(group3.flatten(1))  # 500
        return self.linear(fc1)  # 10


if __name__ == "__main__":
    network = FitNet19()
    count = sum(p.numel() for p in network.parameters())
    assert count == 2_742_102, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("FitNet19", f"{count:,} parameters, output", tuple(output.shape))

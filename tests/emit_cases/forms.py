"""Forms: One block in several forms, with and without a projection; and one that comes to nothing.

Made by archdsl 0.1.0 from forms.arch (sha256 2f5e200326c7).
14,562 parameters; 1,169,568 multiply-accumulates for one 3×16×16 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Unit(nn.Module):
    """A residual unit; the form for which `in.channels == width and stride == 1` holds."""

    def __init__(self, width: int, p: float = 0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout(p)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        main = self.dropout(F.relu(self.bn1(self.conv1(x))))  # 8×16×16, 16×8×8
        main = self.bn2(self.conv2(main))  # 8×16×16, 16×8×8
        return F.relu(main + x)  # 8×16×16, 16×8×8


class Unit2(nn.Module):
    """A residual unit; the form for which `in.channels == width and stride == 1` does not hold."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout(0.25)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.skip = nn.Conv2d(in_channels, width, 1, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        main = self.dropout(F.relu(self.bn1(self.conv1(x))))  # 16×8×8
        main = self.bn2(self.conv2(main))  # 16×8×8
        skip = self.skip(x)  # 16×8×8
        return F.relu(main + skip)  # 16×8×8


class Forms(nn.Module):
    """One block in several forms, with and without a projection; and one that comes to nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.unit1 = Unit(8)
        self.unit2 = Unit2(8, 16)
        self.unit3 = Unit(16)
        self.unit4 = Unit(16, p=1 / 3)
        self.linear = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        a = self.conv(x)  # 8×16×16
        a = self.unit1(a)  # 8×16×16
        a = self.unit2(a)  # 16×8×8
        a = self.unit3(a)  # 16×8×8
        a = self.unit4(a)  # 16×8×8
        return self.linear(a.mean((2, 3)))  # 10


if __name__ == "__main__":
    network = Forms()
    count = sum(p.numel() for p in network.parameters())
    assert count == 14_562, count
    sample = torch.randn(2, 3, 16, 16)
    output = network(sample)
    output.sum().backward()
    print("Forms", f"{count:,} parameters, output", tuple(output.shape))

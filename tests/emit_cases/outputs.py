"""Outputs: Several inputs, several outputs, and heads that only training needs.

Made by archdsl 0.1.0 from outputs.arch (sha256 174546873e21).
22,162 parameters; 368,752 multiply-accumulates for one 3×16×16 and 1×16×16 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Mix(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.sum = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        sum_ = self.sum(left)  # 8×16×16
        both = torch.cat((left, right), dim=1)  # 9×16×16
        return sum_, both  # 8×16×16 and 9×16×16


class Outputs(nn.Module):
    """Several inputs, several outputs, and heads that only training needs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.mix = Mix(8)
        self.c = nn.Conv2d(9, 8, 3, padding=1, bias=False)
        self.early = nn.Linear(8, 10)
        self.late = nn.Linear(2048, 10)
        self.bn = nn.BatchNorm2d(8)
        self.linear = nn.Linear(8, 10)
        self.box = nn.Linear(8, 4)

    def forward(self, image: Tensor, depth: Tensor) -> tuple[Tensor, Tensor] | tuple[Tensor, ...]:
        a, b = self.mix(self.conv(image), depth)  # 8×16×16 and 9×16×16
        c = F.relu(self.c(b))  # 8×16×16
        label = F.relu(self.bn(c + a)).mean((2, 3))  # 8
        label = self.linear(label)  # 10
        box = self.box(c.mean((2, 3)))  # 4
        if not self.training:
            return label, box
        early = self.early(a.mean((2, 3)))  # 10
        late = self.late(c.flatten(1))  # 10
        return label, box, early, late  # 10 and 4 and 10 and 10


if __name__ == "__main__":
    network = Outputs()
    count = sum(p.numel() for p in network.parameters())
    assert count == 22_162, count
    sample1 = torch.randn(2, 3, 16, 16)
    sample2 = torch.randn(2, 1, 16, 16)
    outputs = network(sample1, sample2)
    torch.stack([output.sum() for output in outputs]).sum().backward()
    print("Outputs", f"{count:,} parameters, output", [tuple(output.shape) for output in outputs])

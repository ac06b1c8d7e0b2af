"""Inception (one=64, reduce3=96, three=128, reduce5=16, five=32, project=32): Inception modules by themselves, with the
numbers of inception (3a).

Made by archdsl 0.1.0 from inception.arch (sha256 8e4a5f5fff3a).
163,696 parameters; 128,049,152 multiply-accumulates for one 192×28×28 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvRelu(nn.Module):
    """Convolution with bias and ReLU, as before batch normalisation."""

    def __init__(self, in_channels: int, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x))  # 64×28×28, 96×28×28, 128×28×28, …


class Inception_(nn.Module):
    """Figure 2b: a 1×1 in front of the 3×3 and of the 5×5, and behind the pooling."""

    def __init__(
        self, in_channels: int, one: int, reduce3: int, three: int, reduce5: int, five: int, project: int
    ) -> None:
        super().__init__()
        self.branch1 = ConvRelu(in_channels, one, 1)
        self.reduced3 = ConvRelu(in_channels, reduce3, 1)
        self.branch3 = ConvRelu(reduce3, three, 3)
        self.reduced5 = ConvRelu(in_channels, reduce5, 1)
        self.branch5 = ConvRelu(reduce5, five, 5)
        self.pooled = ConvRelu(in_channels, project, 1)

    def forward(self, x: Tensor) -> Tensor:
        branch1 = self.branch1(x)  # 64×28×28
        reduced3 = self.reduced3(x)  # 96×28×28
        branch3 = self.branch3(reduced3)  # 128×28×28
        reduced5 = self.reduced5(x)  # 16×28×28
        branch5 = self.branch5(reduced5)  # 32×28×28
        pooled = self.pooled(F.max_pool2d(x, 3, stride=1, padding=1))  # 32×28×28
        return torch.cat((branch1, branch3, branch5, pooled), dim=1)  # 256×28×28


class Inception(nn.Module):
    """Inception modules by themselves, with the numbers of inception (3a)."""

    def __init__(self) -> None:
        super().__init__()
        self.module = Inception_(192, 64, 96, 128, 16, 32, 32)

    def forward(self, maps: Tensor) -> Tensor:
        return self.module(maps)  # 256×28×28


if __name__ == "__main__":
    network = Inception()
    count = sum(p.numel() for p in network.parameters())
    assert count == 163_696, count
    sample = torch.randn(2, 192, 28, 28)
    output = network(sample)
    output.sum().backward()
    print("Inception", f"{count:,} parameters, output", tuple(output.shape))

"""InceptionNaive (one=64, three=128, five=32): Inception modules by themselves, with the numbers of inception (3a).

Made by archdsl 0.1.0 from inception-naive.arch, variant inception_3a_naive (sha256 f901a441353f).
387,296 parameters; 303,464,448 multiply-accumulates for one 192×28×28 sample.
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
        return F.relu(self.conv(x))  # 64×28×28, 128×28×28, 32×28×28


class InceptionNaive_(nn.Module):
    """Figure 2a: 1×1, 3×3, 5×5 and the pooled input side by side; the pooled input keeps its channels."""

    def __init__(self, in_channels: int, one: int, three: int, five: int) -> None:
        super().__init__()
        self.branch1 = ConvRelu(in_channels, one, 1)
        self.branch3 = ConvRelu(in_channels, three, 3)
        self.branch5 = ConvRelu(in_channels, five, 5)

    def forward(self, x: Tensor) -> Tensor:
        branch1 = self.branch1(x)  # 64×28×28
        branch3 = self.branch3(x)  # 128×28×28
        branch5 = self.branch5(x)  # 32×28×28
        pooled = F.max_pool2d(x, 3, stride=1, padding=1)  # 192×28×28
        return torch.cat((branch1, branch3, branch5, pooled), dim=1)  # 416×28×28


class InceptionNaive(nn.Module):
    """Inception modules by themselves, with the numbers of inception (3a)."""

    def __init__(self) -> None:
        super().__init__()
        self.module = InceptionNaive_(192, 64, 128, 32)

    def forward(self, maps: Tensor) -> Tensor:
        return self.module(maps)  # 416×28×28


if __name__ == "__main__":
    network = InceptionNaive()
    count = sum(p.numel() for p in network.parameters())
    assert count == 387_296, count
    sample = torch.randn(2, 192, 28, 28)
    output = network(sample)
    output.sum().backward()
    print("InceptionNaive", f"{count:,} parameters, output", tuple(output.shape))

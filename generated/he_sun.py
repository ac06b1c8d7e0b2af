"""HeSun (kernel2=3, count2=2, kernel3=2, count3=6, classes=1000): Networks at constrained time cost.

Made by archdsl 0.1.0 from he-sun.arch (sha256 42987d847b06).
74,985,448 parameters; 915,935,936 multiply-accumulates for one 3×224×224 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SpatialPyramidPool(nn.Module):
    """The maxima of several grids over a map, one grid after the other, as a vector."""

    def __init__(self, *bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([F.adaptive_max_pool2d(x, n).flatten(1) for n in self.bins], dim=1)


class ConvRelu(nn.Module):
    """Convolution with bias and ReLU, as before batch normalisation."""

    def __init__(self, in_channels: int, width: int, kernel: int, padding: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, kernel, stride=stride, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x))  # 64×109×109, 128×36×36, 256×17×17, …


class HeSun(nn.Module):
    """Networks at constrained time cost."""

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = ConvRelu(3, 64, 7, padding=0, stride=2)
        self.stage2 = nn.Sequential(ConvRelu(64, 128, 3, padding=1), ConvRelu(128, 128, 3, padding=1))
        self.stage3 = nn.Sequential(
            *[
                ConvRelu(in_channels, 256, 2, padding=padding)
                for in_channels, padding in [(128, 0), (256, 1), (256, 0), (256, 1), (256, 0), (256, 1)]
            ]
        )
        self.pooled = SpatialPyramidPool(6, 3, 2, 1)
        self.fc6 = nn.Linear(12800, 4096)
        self.dropout1 = nn.Dropout(0.5)
        self.fc7 = nn.Linear(4096, 4096)
        self.dropout2 = nn.Dropout(0.5)
        self.linear = nn.Linear(4096, 1000)

    def forward(self, image: Tensor) -> Tensor:
        stage1 = F.max_pool2d(self.stage1(image), 3)  # 64×36×36
        stage2 = F.max_pool2d(self.stage2(stage1), 2)  # 128×18×18
        stage3 = self.stage3(stage2)  # 256×18×18
        pooled = self.pooled(stage3)  # 12800
        fc6 = self.dropout1(F.relu(self.fc6(pooled)))  # 4096
        fc7 = self.dropout2(F.relu(self.fc7(fc6)))  # 4096
        return self.linear(fc7)  # 1000


if __name__ == "__main__":
    network = HeSun()
    count = sum(p.numel() for p in network.parameters())
    assert count == 74_985_448, count
    sample = torch.randn(2, 3, 224, 224)
    output = network(sample)
    output.sum().backward()
    print("HeSun", f"{count:,} parameters, output", tuple(output.shape))

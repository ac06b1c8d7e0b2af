"""AllCNNC (padding=valid, classes=10): All-CNN-C.

Made by archdsl 0.1.0 from all-cnn-c.arch (sha256 a2f3465fa64d).
1,369,738 parameters; 270,798,336 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvRelu(nn.Module):
    """Convolution with bias and ReLU, as before batch normalisation."""

    def __init__(self, in_channels: int, width: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, kernel, stride=stride, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x))  # 96×32×32, 96×16×16, 192×16×16, …


class AllCNNC(nn.Module):
    """All-CNN-C."""

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(
            nn.Dropout(0.2),
            ConvRelu(3, 96, 3),
            ConvRelu(96, 96, 3),
            ConvRelu(96, 96, 3, stride=2),
        )
        self.stage2 = nn.Sequential(
            nn.Dropout(0.5),
            ConvRelu(96, 192, 3),
            ConvRelu(192, 192, 3),
            ConvRelu(192, 192, 3, stride=2),
        )
        self.dropout = nn.Dropout(0.5)
        self.stage3 = nn.Conv2d(192, 192, 3)
        self.scores = nn.Sequential(ConvRelu(192, 192, 1), ConvRelu(192, 10, 1))

    def forward(self, image: Tensor) -> Tensor:
        stage1 = self.stage1(image)  # 96×16×16
        stage2 = self.stage2(stage1)  # 192×8×8
        stage3 = F.relu(self.stage3(self.dropout(stage2)))  # 192×6×6
        scores = self.scores(stage3)  # 10×6×6
        return scores.mean((2, 3))  # 10


if __name__ == "__main__":
    network = AllCNNC()
    count = sum(p.numel() for p in network.parameters())
    assert count == 1_369_738, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("AllCNNC", f"{count:,} parameters, output", tuple(output.shape))

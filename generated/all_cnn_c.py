"""AllCNNC (padding=valid, classes=10): All-CNN-C.

Made by archdsl 0.1.0 from all-cnn-c.arch (sha256 769dc8e232c0).
1,369,738 parameters; 270,798,336 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvRelu(nn.Module):
    """Convolution with bias and ReLU, as before batch normalisation; the form for which `padding` is same."""

    def __init__(self, in_channels: int, width: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, kernel, stride=stride, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x))  # 96×32×32, 96×16×16, 192×16×16, …


class ConvRelu2(nn.Module):
    """Convolution with bias and ReLU, as before batch normalisation; the form for which `stride` is 1."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, kernel)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x))  # 192×6×6


class AllCNNC(nn.Module):
    """All-CNN-C."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout1 = nn.Dropout(0.2)
        self.layers1 = nn.Sequential(ConvRelu(3, 96, 3), ConvRelu(96, 96, 3))
        self.conv_relu1 = ConvRelu(96, 96, 3, stride=2)
        self.dropout2 = nn.Dropout(0.5)
        self.layers2 = nn.Sequential(ConvRelu(96, 192, 3), ConvRelu(192, 192, 3))
        self.conv_relu2 = ConvRelu(192, 192, 3, stride=2)
        self.dropout3 = nn.Dropout(0.5)
        self.conv_relu3 = ConvRelu2(192, 3)
        self.conv_relu4 = ConvRelu(192, 192, 1)
        self.conv_relu5 = ConvRelu(192, 10, 1)

    def forward(self, image: Tensor) -> Tensor:
        stage1 = self.conv_relu1(self.layers1(self.dropout1(image)))  # 96×16×16
        stage2 = self.conv_relu2(self.layers2(self.dropout2(stage1)))  # 192×8×8
        stage3 = self.conv_relu3(self.dropout3(stage2))  # 192×6×6
        scores = self.conv_relu5(self.conv_relu4(stage3))  # 10×6×6
        return scores.mean((2, 3))  # 10


if __name__ == "__main__":
    network = AllCNNC()
    count = sum(p.numel() for p in network.parameters())
    assert count == 1_369_738, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("AllCNNC", f"{count:,} parameters, output", tuple(output.shape))

"""Highway (alternating=false, classes=10): Highway networks.

Made by archdsl 0.1.0 from highway-19.arch, variant highway_19 (sha256 3083a11325bb).
2,256,838 parameters; 330,826,728 multiply-accumulates for one 3×32×32 sample.
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
        return F.relu(self.conv(x))  # 32×32×32, 80×16×16, 128×8×8, …


class Highway_(nn.Module):
    """T·H + (1 − T)·x: the gate T blends the transform H and the input; its bias of −2 carries the input at first."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.transform = nn.Conv2d(in_channels, in_channels, 3, padding=1)
        self.gate = nn.Conv2d(in_channels, in_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        transform = F.relu(self.transform(x))  # 32×32×32, 80×16×16, 128×8×8
        gate = torch.sigmoid(self.gate(x))  # 32×32×32, 80×16×16, 128×8×8
        return gate * transform + (1 - gate) * x  # 32×32×32, 80×16×16, 128×8×8


class Highway(nn.Module):
    """Highway networks."""

    def __init__(self) -> None:
        super().__init__()
        self.group1 = nn.Sequential(nn.Dropout(0.2), ConvRelu(3, 32, 3), *[Highway_(32) for _ in range(4)])
        self.group2 = nn.Sequential(nn.Dropout(0.2), ConvRelu(32, 80, 3), *[Highway_(80) for _ in range(5)])
        self.group3 = nn.Sequential(nn.Dropout(0.2), ConvRelu(80, 128, 3), *[Highway_(128) for _ in range(5)])
        self.top = ConvRelu(128, 100, 1)
        self.dropout = nn.Dropout(0.2)
        self.linear = nn.Linear(100, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
        for module in self.modules():
            if isinstance(module, Highway_):
                nn.init.constant_(module.gate.bias, -2)

    def forward(self, image: Tensor) -> Tensor:
        group1 = F.max_pool2d(self.group1(image), 2)  # 32×16×16
        group2 = F.max_pool2d(self.group2(group1), 2)  # 80×8×8
        group3 = self.group3(group2)  # 128×8×8
        top = self.top(group3)  # 100×8×8
        return self.linear(self.dropout(top.mean((2, 3))))  # 10


if __name__ == "__main__":
    network = Highway()
    count = sum(p.numel() for p in network.parameters())
    assert count == 2_256_838, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("Highway", f"{count:,} parameters, output", tuple(output.shape))

"""NIN (padded=false, classes=10): Network in network.

Made by archdsl 0.1.0 from nin.arch (sha256 f64411a737e9).
966,986 parameters; 222,486,528 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Pointwise(nn.Module):
    """Two 1×1 with ReLU: the same small perceptron at every place."""

    def __init__(self, in_channels: int, hidden: int, width: int) -> None:
        super().__init__()
        self.inner = nn.Conv2d(in_channels, hidden, 1)
        self.conv = nn.Conv2d(hidden, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.inner(x))  # 160×32×32, 192×16×16, 192×8×8
        return F.relu(self.conv(inner))  # 96×32×32, 192×16×16, 10×8×8


class Mlpconv(nn.Module):
    """A convolution, and a perceptron over its maps at every place; ReLU after each layer."""

    def __init__(self, in_channels: int, first: int, second: int, width: int, kernel: int) -> None:
        super().__init__()
        self.maps = nn.Conv2d(in_channels, first, kernel, padding=kernel // 2)
        self.pointwise = Pointwise(first, second, width)

    def forward(self, x: Tensor) -> Tensor:
        maps = F.relu(self.maps(x))  # 192×32×32, 192×16×16, 192×8×8
        return self.pointwise(maps)  # 96×32×32, 192×16×16, 10×8×8


class NIN(nn.Module):
    """Network in network."""

    def __init__(self) -> None:
        super().__init__()
        self.mlpconv1 = Mlpconv(3, 192, 160, 96, 5)
        self.dropout1 = nn.Dropout(0.5)
        self.mlpconv2 = Mlpconv(96, 192, 192, 192, 5)
        self.dropout2 = nn.Dropout(0.5)
        self.mlpconv3 = Mlpconv(192, 192, 192, 10, 3)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.05)
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        mlpconv1 = self.mlpconv1(image)  # 96×32×32
        pool1 = self.dropout1(F.max_pool2d(mlpconv1, 3, stride=2, ceil_mode=True))  # 96×16×16
        mlpconv2 = self.mlpconv2(pool1)  # 192×16×16
        pool2 = self.dropout2(F.avg_pool2d(mlpconv2, 3, stride=2, ceil_mode=True))  # 192×8×8
        mlpconv3 = self.mlpconv3(pool2)  # 10×8×8
        return mlpconv3.mean((2, 3))  # 10


if __name__ == "__main__":
    network = NIN()
    count = sum(p.numel() for p in network.parameters())
    assert count == 966_986, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("NIN", f"{count:,} parameters, output", tuple(output.shape))

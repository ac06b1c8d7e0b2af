"""DSN (classes=10): Deeply-supervised nets.

Made by archdsl 0.1.0 from dsn.arch (sha256 61f59856d6dd).
3,547,496 parameters; 222,486,528 multiply-accumulates for one 3×32×32 sample.
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
        inner = F.relu(self.inner(x))  # 160×32×32, 192×16×16
        return F.relu(self.conv(inner))  # 96×32×32, 192×16×16


class DSN(nn.Module):
    """Deeply-supervised nets."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 192, 5, padding=2)
        self.stage1 = Pointwise(192, 160, 96)
        self.dropout1 = nn.Dropout(0.5)
        self.conv2 = nn.Conv2d(96, 192, 5, padding=2)
        self.stage2 = Pointwise(192, 192, 192)
        self.dropout2 = nn.Dropout(0.5)
        self.conv3 = nn.Conv2d(192, 192, 3, padding=1)
        self.stage3 = nn.Conv2d(192, 192, 1)
        self.scores = nn.Conv2d(192, 10, 1)
        self.companion1 = nn.Linear(196608, 10)
        self.companion2 = nn.Linear(49152, 10)
        self.companion3 = nn.Linear(12288, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.05)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        conv1 = self.conv1(image)  # 192×32×32
        stage1 = self.stage1(F.relu(conv1))  # 96×32×32
        pool1 = self.dropout1(F.max_pool2d(stage1, 3, stride=2, ceil_mode=True))  # 96×16×16
        conv2 = self.conv2(pool1)  # 192×16×16
        stage2 = self.stage2(F.relu(conv2))  # 192×16×16
        pool2 = self.dropout2(F.max_pool2d(stage2, 3, stride=2, ceil_mode=True))  # 192×8×8
        conv3 = self.conv3(pool2)  # 192×8×8
        stage3 = F.relu(self.stage3(F.relu(conv3)))  # 192×8×8
        scores = self.scores(stage3)  # 10×8×8
        output = scores.mean((2, 3))  # 10
        if not self.training:
            return output
        companion1 = self.companion1(conv1.flatten(1))  # 10
        companion2 = self.companion2(conv2.flatten(1))  # 10
        companion3 = self.companion3(conv3.flatten(1))  # 10
        return output, companion1, companion2, companion3  # 10 each


if __name__ == "__main__":
    network = DSN()
    count = sum(p.numel() for p in network.parameters())
    assert count == 3_547_496, count
    sample = torch.randn(2, 3, 32, 32)
    outputs = network(sample)
    torch.stack([output.sum() for output in outputs]).sum().backward()
    print("DSN", f"{count:,} parameters, output", [tuple(output.shape) for output in outputs])

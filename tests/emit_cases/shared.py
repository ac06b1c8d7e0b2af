"""Shared: One set of weights used several times: in a row, inside other layers, as many times as a parameter says.

Made by archdsl 0.1.0 from shared.arch (sha256 db3a8b74cc72).
1,866 parameters; 2,359,376 multiply-accumulates for one 8×16×16 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Head(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.f = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.c = nn.Sequential(self.f, nn.ReLU(), nn.BatchNorm2d(width), self.f)

    def forward(self, x: Tensor) -> Tensor:
        a = self.f(F.relu(self.f(x)))  # 8×16×16
        b = a
        for _ in range(4):
            b = self.f(b)  # 8×16×16
        c = self.c(b)  # 8×16×16
        return c + x  # 8×16×16


class Recurrent(nn.Module):
    def __init__(self, n: int, width: int) -> None:
        super().__init__()
        self.n = n
        self.step = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for _ in range(self.n):
            out = self.step(out)  # 8×16×16
        return out  # 8×16×16


class Shared(nn.Module):
    """One set of weights used several times: in a row, inside other layers, as many times as a parameter says."""

    def __init__(self) -> None:
        super().__init__()
        self.head = Head(8)
        self.recurrent1 = Recurrent(3, 8)
        self.recurrent2 = Recurrent(5, 8)
        self.linear = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        a = self.recurrent2(self.recurrent1(self.head(x)))  # 8×16×16
        return self.linear(a.mean((2, 3)))  # 10


if __name__ == "__main__":
    network = Shared()
    count = sum(p.numel() for p in network.parameters())
    assert count == 1866, count
    sample = torch.randn(2, 8, 16, 16)
    output = network(sample)
    output.sum().backward()
    print("Shared", f"{count:,} parameters, output", tuple(output.shape))

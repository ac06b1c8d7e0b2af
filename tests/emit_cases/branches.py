"""Branches (cardinality=4): Branches side by side: merged over a list where they are alike, one by one where they are
not.

Made by archdsl 0.1.0 from branches.arch (sha256 e6acc9c56dbb).
20,558 parameters; 5,174,352 multiply-accumulates for one 8×16×16 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Join(nn.Module):
    """FractalNet's join: the mean of its inputs, deepest column first, of which some are dropped in training.

    local: each input is dropped with probability `drop`, and at least one survives. global: the one column stays that
    `draw_column` drew for the whole network; where it does not reach this join, all stay. mixed: one or the other.
    """

    def __init__(self, columns: int, drop: float = 0.0, mode: str = "local", per: str = "batch") -> None:
        super().__init__()
        self.columns, self.drop, self.mode, self.per = columns, drop, mode, per
        self.column: Tensor | None = None  # for each sample the column that stays; -1 for a local draw

    def forward(self, *inputs: Tensor) -> Tensor:
        stacked = torch.stack(inputs)
        if not self.training:
            return stacked.mean(0)
        keep = self.draw(1 if self.per == "batch" else len(inputs[0]), stacked.device).to(stacked.dtype)
        weights = keep / keep.sum(0)
        return (weights.view(*keep.shape, *(1 for _ in stacked.shape[2:])) * stacked).sum(0)

    def draw(self, draws: int, device: torch.device) -> Tensor:
        """Which inputs stay, (columns, draws)."""
        inputs = torch.arange(self.columns, device=device).unsqueeze(1)
        keep = torch.rand(self.columns, draws, device=device) >= self.drop
        survivor = inputs == torch.randint(self.columns, (draws,), device=device)
        keep = torch.where(keep.any(0), keep, survivor)
        if self.column is None:
            return keep
        column = self.column[:draws]
        one = (inputs == column) | (column >= self.columns)
        return torch.where(column < 0, keep, one)


class ResnextBranches(nn.Module):
    """Figure 3a: a sum of `cardinality` bottleneck branches, `inner` the width of all together."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.main = nn.ModuleList(
            [
                nn.Sequential(
                    nn.Conv2d(width, inner // 4, 1, bias=False),
                    nn.BatchNorm2d(inner // 4),
                    nn.ReLU(),
                    nn.Conv2d(inner // 4, inner // 4, 3, padding=1, bias=False),
                    nn.BatchNorm2d(inner // 4),
                    nn.ReLU(),
                    nn.Conv2d(inner // 4, width, 1, bias=False),
                    nn.BatchNorm2d(width),
                )
                for _ in range(4)
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        main = sum(branch(x) for branch in self.main)  # 16×16×16
        return F.relu(main + x)  # 16×16×16


class Inception(nn.Module):
    def __init__(self, in_channels: int, a: int, b: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(in_channels, a, 1, bias=False)
        self.conv1 = nn.Conv2d(in_channels, b, 1, bias=False)
        self.conv2 = nn.Conv2d(b, b, 3, padding=1, bias=False)
        self.pool = nn.Conv2d(in_channels, a, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        one = F.relu(self.one(x))  # 8×16×16
        two = F.relu(self.conv2(F.relu(self.conv1(x))))  # 12×16×16
        pool = self.pool(F.max_pool2d(x, 3, stride=1, padding=1))  # 8×16×16
        return torch.cat((one, two, pool), dim=1)  # 28×16×16


class Branches(nn.Module):
    """Branches side by side: merged over a list where they are alike, one by one where they are not."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(8, 16, 3, padding=1, bias=False)
        self.resnext_branches = ResnextBranches(16, 32)
        self.b = Inception(16, 8, 12)
        self.c = nn.ModuleList([nn.Sequential(nn.Conv2d(28, 4, 3, padding=1, bias=False), nn.ReLU()) for _ in range(5)])
        self.d = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(20, n, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(n, 8, 1, bias=False))
                for n in range(5, 10)
            ]
        )
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.conv3 = nn.Conv2d(8, 8, 1, bias=False)
        self.conv4 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.conv5 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.conv6 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.join = Join(3, drop=0.5)
        self.linear = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        a = self.resnext_branches(self.conv1(x))  # 16×16×16
        b = self.b(a)  # 28×16×16
        c = torch.cat([branch(b) for branch in self.c], dim=1)  # 20×16×16
        d = sum(branch(c) for branch in self.d) / 5  # 8×16×16
        e = torch.maximum(self.conv2(d), self.conv3(d))  # 8×16×16
        return self.linear(self.join(self.conv4(e), self.conv5(e), self.conv6(e)).mean((2, 3)))  # 10


if __name__ == "__main__":
    network = Branches()
    count = sum(p.numel() for p in network.parameters())
    assert count == 20_558, count
    sample = torch.randn(2, 8, 16, 16)
    output = network(sample)
    output.sum().backward()
    print("Branches", f"{count:,} parameters, output", tuple(output.shape))

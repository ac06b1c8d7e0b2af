"""FractalNet (Larsson, Maire and Shakhnarovich, arXiv:1605.07648).

Peculiar: columns that end at the same depth meet in one flat mean; every column's first convolution reads the block's
input; dropout stands between convolution and batch norm. The authors' generator pools each column before a block's
last join, ports pool the join (maximum and mean do not commute). The printed 38.6M parameters are met only if a 1×1
convolution (no batch norm) widens the input of each block that changes width: reading `doubling`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .common import Chance, conv


def conv_unit(i: int, o: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(conv(i, o), nn.Dropout(dropout), nn.BatchNorm2d(o), nn.ReLU())


class Join(Chance):
    """The mean of the surviving inputs; `fixed` lists the positions that survive (shallow column first)."""

    def __init__(self, drop: float) -> None:
        super().__init__()
        self.drop = drop

    def survivors(self, count: int) -> list[int]:
        if not self.draws:
            return list(range(count))
        if self.fixed is not None:
            return list(self.fixed)
        alive = [k for k in range(count) if torch.rand(()) >= self.drop]
        return alive or [int(torch.randint(count, ()))]

    def forward(self, parts: list[Tensor]) -> Tensor:
        alive = [parts[k] for k in self.survivors(len(parts))] if len(parts) > 1 else parts
        return torch.stack(alive).mean(0)


class Block(nn.Module):
    """Column c of C (0 = shallowest) has 2^c convolutions, each as long as 2^(C−1−c) of the deepest column's."""

    def __init__(
        self, i: int, o: int, columns: int, dropout: float, drop_path: float, doubling: bool, pool: str
    ) -> None:
        super().__init__()
        self.rows, self.pool = 2 ** (columns - 1), pool
        self.steps = [2 ** (columns - 1 - c) for c in range(columns)]
        self.widen = conv(i, o, 1) if doubling and i != o else None
        first = o if doubling else i
        self.columns = nn.ModuleList(
            nn.ModuleList(conv_unit(first if k == 0 else o, o, dropout) for k in range(2**c)) for c in range(columns)
        )
        self.joins = nn.ModuleList(Join(drop_path) for _ in range(self.rows))

    def ending(self, row: int) -> list[int]:
        return [c for c, step in enumerate(self.steps) if row % step == 0]

    def forward(self, x: Tensor, only: int | None = None) -> Tensor:
        x = x if self.widen is None else self.widen(x)
        joined = {0: x}
        for row in range(1, self.rows + 1):
            ending = [c for c in self.ending(row) if only in (None, c)]
            parts = [self.columns[c][row // self.steps[c] - 1](joined[row - self.steps[c]]) for c in ending]
            if row == self.rows and self.pool == "before":
                parts = [F.max_pool2d(part, 2) for part in parts]
            if parts:
                joined[row] = self.joins[row - 1](parts)
        out = joined[self.rows]
        return out if self.pool == "before" else F.max_pool2d(out, 2)


class FractalNet(Chance):
    """`fixed` names the one column that is active everywhere, in either mode; 0 is the shallowest."""

    def __init__(self, blocks: list[Block], width: int, classes: int, columns: int, global_share: float) -> None:
        super().__init__()
        self.count, self.share, self.blocks = columns, global_share, len(blocks)
        for k, block in enumerate(blocks, 1):
            self.add_module(f"block{k}", block)
        self.flat, self.fc = nn.Flatten(), nn.Linear(width, classes)

    def column(self) -> int | None:
        if self.fixed is not None:
            return self.fixed
        drawn = self.draws and torch.rand(()) < self.share
        return int(torch.randint(self.count, ())) if drawn else None

    def forward(self, x: Tensor) -> Tensor:
        only = self.column()
        for k in range(1, self.blocks + 1):
            x = self.get_submodule(f"block{k}")(x, only)
        return self.fc(self.flat(x))


def fractalnet(
    columns: int = 3,
    widths: tuple[int, ...] = (64, 128, 256, 512, 512),
    *,
    doubling: bool = False,
    pool: str = "before",
    classes: int = 10,
    dropout: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4),
    drop_path: float = 0.15,
    global_share: float = 0.5,
) -> nn.Module:
    inputs = (3, *widths)
    blocks = [
        Block(i, o, columns, rate, drop_path, doubling, pool)
        for i, o, rate in zip(inputs, widths, dropout, strict=False)
    ]
    return FractalNet(blocks, widths[-1], classes, columns, global_share)

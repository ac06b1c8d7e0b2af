"""FractalNet (columns=3, widen=false, pool_first=true, drop_path=0.15, width=64, classes=10): Fractal networks.

Made by archdsl 0.1.0 from fractalnet.arch (sha256 4fa49e1f2fcb).
33,724,618 parameters; 845,222,912 multiply-accumulates for one 3×32×32 sample.
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


def draw_column(network: nn.Module, x: Tensor) -> None:
    """Draws for each sample of `x` the column that global drop-path keeps in all joins of `network`; in training."""
    if not network.training:
        return
    joins = [module for module in network.modules() if isinstance(module, Join) and module.mode != "local"]
    columns = max(join.columns for join in joins)
    column = torch.randint(columns, (len(x),), device=x.device)
    local = torch.rand(len(x), device=x.device) < 0.5
    for join in joins:
        join.column = torch.where(local, -1, column) if join.mode == "mixed" else column


class FractalConv(nn.Module):
    """Convolution, dropout, BN, ReLU, in the authors' order."""

    def __init__(self, in_channels: int, width: int, drop: float = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.dropout = nn.Dropout(drop)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.dropout(self.conv(x))))  # 64×32×32, 128×16×16, 256×8×8, …


class Fractal2(nn.Module):
    """f_1(z) = conv(z), f_{C+1}(z) = (f_C ∘ f_C)(z) ⊕ conv(z); joins that meet are one flat mean over their columns;
    the form for which `columns` is 2 and its result is one tensor.
    """

    def __init__(self, in_channels: int, width: int, drop: float = 0) -> None:
        super().__init__()
        self.first = FractalConv(in_channels, width, drop=drop)
        self.deep = FractalConv(width, width, drop=drop)
        self.shallow = FractalConv(in_channels, width, drop=drop)
        self.join = Join(2, drop=0.15, mode="mixed")

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)  # 64×32×32, 128×16×16, 256×8×8, …
        deep = self.deep(first)  # 64×32×32, 128×16×16, 256×8×8, …
        shallow = self.shallow(x)  # 64×32×32, 128×16×16, 256×8×8, …
        return self.join(deep, shallow)  # 64×32×32, 128×16×16, 256×8×8, …


class Fractal4(nn.Module):
    """f_1(z) = conv(z), f_{C+1}(z) = (f_C ∘ f_C)(z) ⊕ conv(z); joins that meet are one flat mean over their columns;
    the form for which `columns == 1` holds.
    """

    def __init__(self, width: int, drop: float = 0) -> None:
        super().__init__()
        self.fractal_conv = FractalConv(width, width, drop=drop)

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(self.fractal_conv(x), 2)  # 64×16×16, 128×8×8, 256×4×4, …


class Fractal3(nn.Module):
    """f_1(z) = conv(z), f_{C+1}(z) = (f_C ∘ f_C)(z) ⊕ conv(z); joins that meet are one flat mean over their columns;
    the form for which its 2 columns are not yet joined.
    """

    def __init__(self, width: int, drop: float = 0) -> None:
        super().__init__()
        self.first = FractalConv(width, width, drop=drop)
        self.deep = Fractal4(width, drop=drop)
        self.shallow = FractalConv(width, width, drop=drop)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = self.first(x)  # 64×32×32, 128×16×16, 256×8×8, …
        deep = self.deep(first)  # 64×16×16, 128×8×8, 256×4×4, …
        shallow = F.max_pool2d(self.shallow(x), 2)  # 64×16×16, 128×8×8, 256×4×4, …
        return deep, shallow  # 64×16×16 each, 128×8×8 each, 256×4×4 each, …


class Fractal(nn.Module):
    """f_1(z) = conv(z), f_{C+1}(z) = (f_C ∘ f_C)(z) ⊕ conv(z); joins that meet are one flat mean over their columns;
    the form for which `columns` is 3.
    """

    def __init__(self, in_channels: int, width: int, drop: float = 0) -> None:
        super().__init__()
        self.first = Fractal2(in_channels, width, drop=drop)
        self.deep = Fractal3(width, drop=drop)
        self.shallow = FractalConv(in_channels, width, drop=drop)
        self.join = Join(3, drop=0.15, mode="mixed")

    def forward(self, x: Tensor) -> Tensor:
        deep1, deep2 = self.deep(self.first(x))  # 64×16×16 each, 128×8×8 each, 256×4×4 each, …
        shallow = F.max_pool2d(self.shallow(x), 2)  # 64×16×16, 128×8×8, 256×4×4, …
        return self.join(deep1, deep2, shallow)  # 64×16×16, 128×8×8, 256×4×4, …


class FractalNet(nn.Module):
    """Fractal networks."""

    def __init__(self) -> None:
        super().__init__()
        self.block1 = Fractal(3, 64)
        self.block2 = Fractal(64, 128, drop=0.1)
        self.block3 = Fractal(128, 256, drop=0.2)
        self.block4 = Fractal(256, 512, drop=0.3)
        self.block5 = Fractal(512, 512, drop=0.4)
        self.linear = nn.Linear(512, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_normal_(module.weight)

    def forward(self, image: Tensor) -> Tensor:
        draw_column(self, image)
        block1 = self.block1(image)  # 64×16×16
        block2 = self.block2(block1)  # 128×8×8
        block3 = self.block3(block2)  # 256×4×4
        block4 = self.block4(block3)  # 512×2×2
        block5 = self.block5(block4)  # 512×1×1
        return self.linear(block5.flatten(1))  # 10


if __name__ == "__main__":
    network = FractalNet()
    count = sum(p.numel() for p in network.parameters())
    assert count == 33_724_618, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("FractalNet", f"{count:,} parameters, output", tuple(output.shape))

"""StochasticDepth (depth=110, last=0.5, uniform=false, option=average, classes=10): Residual networks with stochastic
depth.

Made by archdsl 0.1.0 from stochastic-depth.arch (sha256 c308e13e2041).
1,727,962 parameters; 252,887,680 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class StochasticDepth(nn.Module):
    """`layer` with probability `keep` in training and zero otherwise; `keep` times `layer` in evaluation.

    With one draw for the mini-batch a closed layer is not evaluated: no gradient reaches it and its batch statistics
    rest. `shape` is the layer's output without the batch, where it differs from the input. With `rescale` training
    divides by `keep`, and evaluation is the plain layer.
    """

    def __init__(
        self,
        layer: nn.Module,
        keep: float,
        shape: tuple[int, ...] | None = None,
        per: str = "batch",
        rescale: bool = False,
    ) -> None:
        super().__init__()
        self.layer, self.keep, self.shape = layer, keep, shape
        self.per, self.rescale = per, rescale

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.layer(x) if self.rescale else self.keep * self.layer(x)
        if self.per == "batch" and torch.rand(()) >= self.keep:
            return x.new_zeros(x.shape if self.shape is None else (len(x), *self.shape))
        y = self.layer(x) / self.keep if self.rescale else self.layer(x)
        if self.per == "batch":
            return y
        survives = torch.rand(len(y), *(1 for _ in y.shape[1:]), device=y.device) < self.keep
        return survives.to(y.dtype) * y


class ChannelPad(nn.Module):
    """Zero channels up to `width`: after the others, or on both sides."""

    def __init__(self, width: int, where: str = "end") -> None:
        super().__init__()
        self.width, self.where = width, where

    def forward(self, x: Tensor) -> Tensor:
        added = self.width - x.shape[1]
        before = added // 2 if self.where == "both" else 0
        space = (0, 0) * (x.dim() - 2)  # nothing around the map itself
        return F.pad(x, (*space, before, added - before))


class Convolutions(nn.Module):
    """What the basic unit adds to its input."""

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))  # 16×32×32, 32×16×16, 64×8×8
        return self.bn2(self.conv2(out))  # 16×32×32, 32×16×16, 64×8×8


class Shortcut(nn.Module):
    """Options A, B and C of section 4.1; 'average' is option A with the mean of Stochastic Depth, arXiv:1603.09382."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.channel_pad = ChannelPad(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.channel_pad(F.avg_pool2d(x, 2))  # 32×16×16, 64×8×8


class StochasticBasic(nn.Module):
    """The basic unit; its convolutions survive a mini-batch with probability `keep`, shortcut and last ReLU always; the
    form for which `stride` is 1.
    """

    def __init__(self, width: int, keep: float = 1) -> None:
        super().__init__()
        self.main = StochasticDepth(Convolutions(width, width), keep)

    def forward(self, x: Tensor) -> Tensor:
        main = self.main(x)  # 16×32×32, 32×16×16, 64×8×8
        return F.relu(main + x)  # 16×32×32, 32×16×16, 64×8×8


class StochasticBasic2(nn.Module):
    """The basic unit; its convolutions survive a mini-batch with probability `keep`, shortcut and last ReLU always; the
    form for which `stride` is 2.
    """

    def __init__(self, in_channels: int, in_height: int, width: int, keep: float = 1) -> None:
        super().__init__()
        self.main = StochasticDepth(
            Convolutions(in_channels, width, stride=2),
            keep,
            shape=(width, (in_height - 1) // 2 + 1, (in_height - 1) // 2 + 1),
        )
        self.skip = Shortcut(width)

    def forward(self, x: Tensor) -> Tensor:
        main = self.main(x)  # 32×16×16, 64×8×8
        skip = self.skip(x)  # 32×16×16, 64×8×8
        return F.relu(main + skip)  # 32×16×16, 64×8×8


class StochasticDepth_(nn.Module):
    """Residual networks with stochastic depth."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.conv2 = nn.Sequential(*[StochasticBasic(16, keep=(107 - i) / 108) for i in range(18)])
        self.conv3 = nn.Sequential(
            StochasticBasic2(16, 32, 32, keep=89 / 108),
            *[StochasticBasic(32, keep=(88 - i) / 108) for i in range(17)],
        )
        self.conv4 = nn.Sequential(
            StochasticBasic2(32, 16, 64, keep=71 / 108),
            *[StochasticBasic(64, keep=(70 - i) / 108) for i in range(17)],
        )
        self.linear = nn.Linear(64, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = F.relu(self.bn(self.conv1(image)))  # 16×32×32
        conv2 = self.conv2(conv1)  # 16×32×32
        conv3 = self.conv3(conv2)  # 32×16×16
        conv4 = self.conv4(conv3)  # 64×8×8
        return self.linear(conv4.mean((2, 3)))  # 10


if __name__ == "__main__":
    network = StochasticDepth_()
    count = sum(p.numel() for p in network.parameters())
    assert count == 1_727_962, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("StochasticDepth_", f"{count:,} parameters, output", tuple(output.shape))

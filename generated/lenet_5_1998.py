"""LeNet5Original: LeNet-5 as it was.

Made by archdsl 0.1.0 from lenet-5-1998.arch (sha256 868a42698de9).
60,000 parameters; 325,680 multiply-accumulates for one 1×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TableConv2d(nn.Module):
    """Convolution in which output map o sees only the input maps `table[o]`; one kernel for each such link."""

    def __init__(
        self,
        in_channels: int,
        table: list[list[int]],
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        height, width = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        links = [(o, i) for o, inputs in enumerate(table) for i in inputs]
        fan_in = torch.tensor([float(len(table[o]) * height * width) for o, _ in links])
        bound = fan_in.rsqrt().view(-1, 1, 1)
        self.shape = (len(table), in_channels, height, width)
        self.stride, self.padding = stride, padding
        self.register_buffer("outputs", torch.tensor([o for o, _ in links]), persistent=False)
        self.register_buffer("inputs", torch.tensor([i for _, i in links]), persistent=False)
        self.weight = nn.Parameter((2 * torch.rand(len(links), height, width) - 1) * bound)
        self.bias = nn.Parameter(torch.zeros(len(table))) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.new_zeros(self.shape).index_put((self.outputs, self.inputs), self.weight)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


class CodeDistance(nn.Module):
    """Squared distances to fixed codes of +1 and -1, written as numbers of `bits` bits, the highest first."""

    def __init__(self, codes: list[list[int]], bits: int = 1) -> None:
        super().__init__()
        places = torch.arange(bits - 1, -1, -1)
        ones = (torch.tensor(codes).unsqueeze(2) >> places) & 1
        self.register_buffer("codes", 2.0 * ones.flatten(1) - 1, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x.unsqueeze(1) - self.codes).square().sum(2)


class Scale(nn.Module):
    """The product with a learned tensor, which broadcasts over each sample."""

    def __init__(self, *shape: int, init: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full(shape, float(init)))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x


class Bias(nn.Module):
    """The sum with a learned tensor, which broadcasts over each sample."""

    def __init__(self, *shape: int, init: float = 0.0) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.full(shape, float(init)))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


class Squash(nn.Module):
    """1.7159·tanh(2x/3), section II.A: ±1 goes to ±1."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(2 / 3 * x)  # 6×28×28, 16×10×10, 120×1×1, …


class TrainedMean(nn.Module):
    """Subsampling, section II.B: the logistic function of gain · sum + bias, one gain and bias for each map."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.scale = Scale(in_channels, 1, 1)
        self.bias = Bias(in_channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bias(self.scale(4 * F.avg_pool2d(x, 2)))  # 6×14×14, 16×5×5
        return torch.sigmoid(out)  # 6×14×14, 16×5×5


class LeNet5Original(nn.Module):
    """LeNet-5 as it was."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.squash1 = Squash()
        self.s2 = TrainedMean(6)
        self.conv_table = TableConv2d(
            6,
            [
                [0, 1, 2],
                [1, 2, 3],
                [2, 3, 4],
                [3, 4, 5],
                [0, 4, 5],
                [0, 1, 5],
                [0, 1, 2, 3],
                [1, 2, 3, 4],
                [2, 3, 4, 5],
                [0, 3, 4, 5],
                [0, 1, 4, 5],
                [0, 1, 2, 5],
                [0, 1, 3, 4],
                [1, 2, 4, 5],
                [0, 2, 3, 5],
                [0, 1, 2, 3, 4, 5],
            ],
            5,
        )
        self.squash2 = Squash()
        self.s4 = TrainedMean(16)
        self.conv2 = nn.Conv2d(16, 120, 5)
        self.squash3 = Squash()
        self.linear = nn.Linear(120, 84)
        self.squash4 = Squash()
        self.code_distance = CodeDistance(
            [
                [0, 28, 34, 65, 65, 65, 65, 65, 34, 28, 0, 0],
                [0, 8, 24, 40, 8, 8, 8, 8, 8, 62, 0, 0],
                [0, 62, 65, 1, 1, 2, 12, 16, 32, 127, 0, 0],
                [0, 62, 65, 1, 1, 30, 1, 1, 65, 62, 0, 0],
                [0, 2, 6, 10, 18, 34, 66, 127, 2, 2, 0, 0],
                [0, 127, 64, 64, 126, 1, 1, 1, 65, 62, 0, 0],
                [0, 30, 32, 64, 64, 126, 65, 65, 65, 62, 0, 0],
                [0, 127, 1, 2, 2, 4, 4, 8, 8, 16, 0, 0],
                [0, 62, 65, 65, 65, 62, 65, 65, 65, 62, 0, 0],
                [0, 62, 65, 65, 65, 63, 1, 1, 2, 60, 0, 0],
            ],
            bits=7,
        )

    def forward(self, image: Tensor) -> Tensor:
        c1 = self.squash1(self.conv1(image))  # 6×28×28
        s2 = self.s2(c1)  # 6×14×14
        c3 = self.squash2(self.conv_table(s2))  # 16×10×10
        s4 = self.s4(c3)  # 16×5×5
        c5 = self.squash3(self.conv2(s4))  # 120×1×1
        f6 = self.squash4(self.linear(c5.flatten(1)))  # 84
        return -self.code_distance(f6)  # 10


if __name__ == "__main__":
    network = LeNet5Original()
    count = sum(p.numel() for p in network.parameters())
    assert count == 60_000, count
    sample = torch.randn(2, 1, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("LeNet5Original", f"{count:,} parameters, output", tuple(output.shape))

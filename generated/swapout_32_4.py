"""Swapout (depth=32, k=4, last=0.5, project=true, classes=10): Swapout v2.

Made by archdsl 0.1.0 from swapout-32-4.arch, variant swapout_32_4 (sha256 b06070b6fb6b).
7,427,146 parameters; 1,100,679,680 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BernoulliMask(nn.Module):
    """Keeps each number with probability `keep` in training, without rescaling; `keep` times it in evaluation."""

    def __init__(self, keep: float) -> None:
        super().__init__()
        self.keep = keep

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.keep * x
        return torch.bernoulli(torch.full_like(x, self.keep)) * x


class Swapout_(nn.Module):
    """Θ1·x + Θ2·F(x) of a pre-activation unit; each number of x and F(x) stays with probability `keep`, unscaled; the
    form for which `in.channels == width and stride == 1` holds.
    """

    def __init__(self, width: int, keep: float = 1) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bernoulli_mask1 = BernoulliMask(keep)
        self.bernoulli_mask2 = BernoulliMask(keep)

    def forward(self, x: Tensor) -> Tensor:
        pre = F.relu(self.bn1(x))  # 64×32×32, 128×16×16, 256×8×8
        main = self.conv2(F.relu(self.bn2(self.conv1(pre))))  # 64×32×32, 128×16×16, 256×8×8
        return self.bernoulli_mask1(x) + self.bernoulli_mask2(main)  # 64×32×32, 128×16×16, 256×8×8


class Swapout2(nn.Module):
    """Θ1·x + Θ2·F(x) of a pre-activation unit; each number of x and F(x) stays with probability `keep`, unscaled; the
    form for which `in.channels == width and stride == 1` does not hold.
    """

    def __init__(self, in_channels: int, width: int, keep: float = 1) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.skip = nn.Conv2d(in_channels, width, 1, stride=2, bias=False)
        self.bernoulli_mask1 = BernoulliMask(keep)
        self.bernoulli_mask2 = BernoulliMask(keep)

    def forward(self, x: Tensor) -> Tensor:
        pre = F.relu(self.bn1(x))  # 64×32×32, 128×16×16
        main = self.conv2(F.relu(self.bn2(self.conv1(pre))))  # 128×16×16, 256×8×8
        skip = self.skip(pre)  # 128×16×16, 256×8×8
        return self.bernoulli_mask1(skip) + self.bernoulli_mask2(main)  # 128×16×16, 256×8×8


class Swapout(nn.Module):
    """Swapout v2."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.conv2 = nn.Sequential(Swapout_(64), *[Swapout_(64, keep=(27 - i) / 28) for i in range(4)])
        self.conv3 = nn.Sequential(
            Swapout2(64, 128, keep=23 / 28),
            *[Swapout_(128, keep=(22 - i) / 28) for i in range(4)],
        )
        self.conv4 = nn.Sequential(
            Swapout2(128, 256, keep=9 / 14),
            *[Swapout_(256, keep=(17 - i) / 28) for i in range(4)],
        )
        self.bn = nn.BatchNorm2d(256)
        self.linear = nn.Linear(256, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = self.conv1(image)  # 64×32×32
        conv2 = self.conv2(conv1)  # 64×32×32
        conv3 = self.conv3(conv2)  # 128×16×16
        conv4 = self.conv4(conv3)  # 256×8×8
        return self.linear(F.relu(self.bn(conv4)).mean((2, 3)))  # 10


if __name__ == "__main__":
    network = Swapout()
    count = sum(p.numel() for p in network.parameters())
    assert count == 7_427_146, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("Swapout", f"{count:,} parameters, output", tuple(output.shape))

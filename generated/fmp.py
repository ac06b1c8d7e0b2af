"""FMP (k=160, drop=0.5, classes=10): Fractional max-pooling network.

Made by archdsl 0.1.0 from fmp.arch (sha256 b845f8d4d692).
79,247,530 parameters; 14,843,687,680 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvFmp(nn.Module):
    """Dropout, a 2×2 convolution without padding, leaky ReLU, and pooling over random regions down to `size`."""

    def __init__(self, in_channels: int, width: int, size: int, drop: float = 0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(drop)
        self.maps = nn.Conv2d(in_channels, width, 2)
        self.fractional_max_pool = nn.FractionalMaxPool2d(2, output_size=size)

    def forward(self, x: Tensor) -> Tensor:
        maps = F.leaky_relu(self.maps(self.dropout(x)), 1 / 3)  # 160×93×93, 320×73×73, 480×57×57, …
        return self.fractional_max_pool(maps)  # 160×74×74, 320×58×58, 480×45×45, …


class FMP(nn.Module):
    """Fractional max-pooling network."""

    def __init__(self) -> None:
        super().__init__()
        self.fmp = nn.Sequential(
            ConvFmp(3, 160, 74),
            *[
                ConvFmp(in_channels, width, size, drop=drop)
                for in_channels, width, size, drop in [
                    (160, 320, 58, 1 / 26),
                    (320, 480, 45, 1 / 13),
                    (480, 640, 35, 3 / 26),
                    (640, 800, 27, 2 / 13),
                    (800, 960, 21, 5 / 26),
                    (960, 1120, 16, 3 / 13),
                    (1120, 1280, 12, 7 / 26),
                    (1280, 1440, 9, 4 / 13),
                    (1440, 1600, 6, 9 / 26),
                    (1600, 1760, 4, 5 / 13),
                    (1760, 1920, 2, 11 / 26),
                ]
            ],
        )
        self.dropout1 = nn.Dropout(6 / 13)
        self.c2 = nn.Conv2d(1920, 2080, 2)
        self.dropout2 = nn.Dropout(0.5)
        self.c1 = nn.Conv2d(2080, 2240, 1)
        self.linear = nn.Linear(2240, 10)

    def forward(self, image: Tensor) -> Tensor:
        field = F.pad(image, (31, 31, 31, 31))  # 3×94×94
        fmp = self.fmp(field)  # 1920×2×2
        c2 = F.leaky_relu(self.c2(self.dropout1(fmp)), 1 / 3)  # 2080×1×1
        c1 = F.leaky_relu(self.c1(self.dropout2(c2)), 1 / 3)  # 2240×1×1
        return self.linear(c1.flatten(1))  # 10


if __name__ == "__main__":
    network = FMP()
    count = sum(p.numel() for p in network.parameters())
    assert count == 79_247_530, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("FMP", f"{count:,} parameters, output", tuple(output.shape))

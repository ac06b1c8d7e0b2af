"""ELU18 (classes=10): ELU networks.

Made by archdsl 0.1.0 from elu-18.arch, variant elu_18 (sha256 fa740f004377).
39,226,634 parameters; 1,496,804,608 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvElu(nn.Module):
    """Convolution with bias, ELU, and dropout where there is one; the form for which `drop != 0` holds and `kernel` is
    2.
    """

    def __init__(self, in_channels: int, width: int, kernel: int, drop: float = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, kernel, padding="same")
        self.dropout = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(F.elu(self.conv(x)))  # 384×16×16, 640×16×16, 768×8×8, …


class ConvElu2(nn.Module):
    """Convolution with bias, ELU, and dropout where there is one; the form for which `drop != 0` holds."""

    def __init__(self, width: int, kernel: int, drop: float = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, kernel, padding=kernel // 2)
        self.dropout = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(F.elu(self.conv(x)))  # 384×16×16, 640×8×8, 768×4×4, …


class ConvElu3(nn.Module):
    """Convolution with bias, ELU, and dropout where there is one; the form for which `drop != 0` does not hold and
    `kernel` is 2.
    """

    def __init__(self, in_channels: int, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, kernel, padding="same")

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(self.conv(x))  # 640×16×16, 768×8×8, 896×4×4, …


class ConvElu4(nn.Module):
    """Convolution with bias, ELU, and dropout where there is one; the form for which `drop != 0` does not hold."""

    def __init__(self, in_channels: int, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(self.conv(x))  # 384×32×32, 1152×1×1


class ELU18(nn.Module):
    """ELU networks."""

    def __init__(self) -> None:
        super().__init__()
        self.stack1 = ConvElu4(3, 384, 3)
        self.stack2 = nn.Sequential(
            ConvElu2(384, 1, drop=0.1),
            ConvElu(384, 384, 2, drop=0.1),
            ConvElu(384, 640, 2, drop=0.1),
            ConvElu3(640, 640, 2),
            nn.Dropout(0.1),
        )
        self.stack3 = nn.Sequential(
            ConvElu2(640, 1, drop=0.2),
            ConvElu(640, 768, 2, drop=0.2),
            ConvElu(768, 768, 2, drop=0.2),
            ConvElu3(768, 768, 2),
            nn.Dropout(0.2),
        )
        self.stack4 = nn.Sequential(
            ConvElu2(768, 1, drop=0.3),
            ConvElu(768, 896, 2, drop=0.3),
            ConvElu3(896, 896, 2),
            nn.Dropout(0.3),
        )
        self.stack5 = nn.Sequential(
            ConvElu2(896, 3, drop=0.4),
            ConvElu(896, 1024, 2, drop=0.4),
            ConvElu3(1024, 1024, 2),
            nn.Dropout(0.4),
        )
        self.stack6 = nn.Sequential(ConvElu2(1024, 1, drop=0.5), ConvElu3(1024, 1152, 2), nn.Dropout(0.5))
        self.stack7 = ConvElu4(1152, 1152, 1)
        self.conv = nn.Conv2d(1152, 10, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        stack1 = F.max_pool2d(self.stack1(image), 2)  # 384×16×16
        stack2 = F.max_pool2d(self.stack2(stack1), 2)  # 640×8×8
        stack3 = F.max_pool2d(self.stack3(stack2), 2)  # 768×4×4
        stack4 = F.max_pool2d(self.stack4(stack3), 2)  # 896×2×2
        stack5 = F.max_pool2d(self.stack5(stack4), 2)  # 1024×1×1
        stack6 = self.stack6(stack5)  # 1152×1×1
        stack7 = self.stack7(stack6)  # 1152×1×1
        return self.conv(stack7).flatten(1)  # 10


if __name__ == "__main__":
    network = ELU18()
    count = sum(p.numel() for p in network.parameters())
    assert count == 39_226_634, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("ELU18", f"{count:,} parameters, output", tuple(output.shape))

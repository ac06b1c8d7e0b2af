"""ELU11 (classes=100): The ELU network with 11 layers.

Made by archdsl 0.1.0 from elu-11.arch (sha256 c3f399d2c108).
1,669,028 parameters; 157,530,304 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvElu(nn.Module):
    """Convolution with bias, ELU, and dropout where there is one; form 1 of 2."""

    def __init__(self, in_channels: int, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(self.conv(x))  # 192×32×32, 192×16×16, 240×16×16, …


class ConvElu2(nn.Module):
    """Convolution with bias, ELU, and dropout where there is one; the form for which `kernel` is 2."""

    def __init__(self, in_channels: int, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, kernel, padding="same")

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(self.conv(x))  # 260×8×8, 280×4×4, 300×2×2


class ELU11(nn.Module):
    """The ELU network with 11 layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stack1 = ConvElu(3, 192, 5)
        self.stack2 = nn.Sequential(ConvElu(192, 192, 1), ConvElu(192, 240, 3))
        self.stack3 = nn.Sequential(ConvElu(240, 240, 1), ConvElu2(240, 260, 2))
        self.stack4 = nn.Sequential(ConvElu(260, 260, 1), ConvElu2(260, 280, 2))
        self.stack5 = nn.Sequential(ConvElu(280, 280, 1), ConvElu2(280, 300, 2))
        self.stack6 = ConvElu(300, 300, 1)
        self.conv = nn.Conv2d(300, 100, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        stack1 = F.max_pool2d(self.stack1(image), 2)  # 192×16×16
        stack2 = F.max_pool2d(self.stack2(stack1), 2)  # 240×8×8
        stack3 = F.max_pool2d(self.stack3(stack2), 2)  # 260×4×4
        stack4 = F.max_pool2d(self.stack4(stack3), 2)  # 280×2×2
        stack5 = F.max_pool2d(self.stack5(stack4), 2)  # 300×1×1
        stack6 = self.stack6(stack5)  # 300×1×1
        return self.conv(stack6).flatten(1)  # 100


if __name__ == "__main__":
    network = ELU11()
    count = sum(p.numel() for p in network.parameters())
    assert count == 1_669_028, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("ELU11", f"{count:,} parameters, output", tuple(output.shape))

"""LeNet5 (channels=1, classes=10): LeNet-5.

Made by archdsl 0.1.0 from lenet-5.arch (sha256 d04dea08b935).
61,706 parameters; 416,520 multiply-accumulates for one 1×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LeNet5(nn.Module):
    """LeNet-5."""

    def __init__(self) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, 5)
        self.c3 = nn.Conv2d(6, 16, 5)
        self.f5 = nn.Linear(400, 120)
        self.f6 = nn.Linear(120, 84)
        self.linear = nn.Linear(84, 10)

    def forward(self, image: Tensor) -> Tensor:
        c1 = F.relu(self.c1(image))  # 6×28×28
        s2 = F.max_pool2d(c1, 2)  # 6×14×14
        c3 = F.relu(self.c3(s2))  # 16×10×10
        s4 = F.max_pool2d(c3, 2)  # 16×5×5
        f5 = F.relu(self.f5(s4.flatten(1)))  # 120
        f6 = F.relu(self.f6(f5))  # 84
        return self.linear(f6)  # 10


if __name__ == "__main__":
    network = LeNet5()
    count = sum(p.numel() for p in network.parameters())
    assert count == 61_706, count
    sample = torch.randn(2, 1, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("LeNet5", f"{count:,} parameters, output", tuple(output.shape))

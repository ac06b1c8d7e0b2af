"""GoogLeNet (heads=true, classes=1000): GoogLeNet.

Made by archdsl 0.1.0 from googlenet.arch (sha256 01cd3909ea94).
13,378,280 parameters; 1,582,671,872 multiply-accumulates for one 3×224×224 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvRelu(nn.Module):
    """Convolution with bias and ReLU, as before batch normalisation."""

    def __init__(self, in_channels: int, width: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, kernel, stride=stride, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x))  # 64×112×112, 64×56×56, 192×56×56, …


class Inception(nn.Module):
    """Figure 2b: a 1×1 in front of the 3×3 and of the 5×5, and behind the pooling."""

    def __init__(
        self, in_channels: int, one: int, reduce3: int, three: int, reduce5: int, five: int, project: int
    ) -> None:
        super().__init__()
        self.branch1 = ConvRelu(in_channels, one, 1)
        self.reduced3 = ConvRelu(in_channels, reduce3, 1)
        self.branch3 = ConvRelu(reduce3, three, 3)
        self.reduced5 = ConvRelu(in_channels, reduce5, 1)
        self.branch5 = ConvRelu(reduce5, five, 5)
        self.pooled = ConvRelu(in_channels, project, 1)

    def forward(self, x: Tensor) -> Tensor:
        branch1 = self.branch1(x)  # 64×28×28, 128×28×28, 192×14×14, …
        reduced3 = self.reduced3(x)  # 96×28×28, 128×28×28, 96×14×14, …
        branch3 = self.branch3(reduced3)  # 128×28×28, 192×28×28, 208×14×14, …
        reduced5 = self.reduced5(x)  # 16×28×28, 32×28×28, 16×14×14, …
        branch5 = self.branch5(reduced5)  # 32×28×28, 96×28×28, 48×14×14, …
        pooled = self.pooled(F.max_pool2d(x, 3, stride=1, padding=1))  # 32×28×28, 64×28×28, 64×14×14, …
        return torch.cat((branch1, branch3, branch5, pooled), dim=1)  # 256×28×28, 480×28×28, 512×14×14, …


class AuxiliaryHead(nn.Module):
    """The classifier in the middle of the network, section 5: pooling, 1×1, two linear layers, dropout of 70 %."""

    def __init__(self, in_channels: int, in_height: int, classes: int) -> None:
        super().__init__()
        self.small = ConvRelu(in_channels, 128, 1)
        self.hidden = nn.Linear(128 * ((in_height - 5) // 3 + 1) * ((in_height - 5) // 3 + 1), 1024)
        self.dropout = nn.Dropout(0.7)
        self.linear = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        small = self.small(F.avg_pool2d(x, 5, stride=3))  # 128×4×4
        hidden = F.relu(self.hidden(small.flatten(1)))  # 1024
        return self.linear(self.dropout(hidden))  # 1000


class GoogLeNet(nn.Module):
    """GoogLeNet."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvRelu(3, 64, 7, stride=2)
        self.lrn1 = nn.LocalResponseNorm(5)
        self.thin2 = ConvRelu(64, 64, 1)
        self.conv2 = ConvRelu(64, 192, 3)
        self.lrn2 = nn.LocalResponseNorm(5)
        self.inc3a = Inception(192, 64, 96, 128, 16, 32, 32)
        self.inc3b = Inception(256, 128, 128, 192, 32, 96, 64)
        self.inc4a = Inception(480, 192, 96, 208, 16, 48, 64)
        self.inc4b = Inception(512, 160, 112, 224, 24, 64, 64)
        self.inc4c = Inception(512, 128, 128, 256, 24, 64, 64)
        self.inc4d = Inception(512, 112, 144, 288, 32, 64, 64)
        self.inc4e = Inception(528, 256, 160, 320, 32, 128, 128)
        self.inc5a = Inception(832, 256, 160, 320, 32, 128, 128)
        self.inc5b = Inception(832, 384, 192, 384, 48, 128, 128)
        self.dropout = nn.Dropout(0.4)
        self.linear = nn.Linear(1024, 1000)
        self.head4a = AuxiliaryHead(512, 14, 1000)
        self.head4d = AuxiliaryHead(528, 14, 1000)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        conv1 = self.conv1(image)  # 64×112×112
        pool1 = self.lrn1(F.max_pool2d(conv1, 3, stride=2, ceil_mode=True))  # 64×56×56
        thin2 = self.thin2(pool1)  # 64×56×56
        conv2 = self.conv2(thin2)  # 192×56×56
        pool2 = F.max_pool2d(self.lrn2(conv2), 3, stride=2, ceil_mode=True)  # 192×28×28
        inc3a = self.inc3a(pool2)  # 256×28×28
        inc3b = F.max_pool2d(self.inc3b(inc3a), 3, stride=2, ceil_mode=True)  # 480×14×14
        inc4a = self.inc4a(inc3b)  # 512×14×14
        inc4b = self.inc4b(inc4a)  # 512×14×14
        inc4c = self.inc4c(inc4b)  # 512×14×14
        inc4d = self.inc4d(inc4c)  # 528×14×14
        inc4e = F.max_pool2d(self.inc4e(inc4d), 3, stride=2, ceil_mode=True)  # 832×7×7
        inc5a = self.inc5a(inc4e)  # 832×7×7
        inc5b = self.inc5b(inc5a)  # 1024×7×7
        output = self.linear(self.dropout(inc5b.mean((2, 3))))  # 1000
        if not self.training:
            return output
        head4a = self.head4a(inc4a)  # 1000
        head4d = self.head4d(inc4d)  # 1000
        return output, head4a, head4d  # 1000 each


if __name__ == "__main__":
    network = GoogLeNet()
    count = sum(p.numel() for p in network.parameters())
    assert count == 13_378_280, count
    sample = torch.randn(2, 3, 224, 224)
    outputs = network(sample)
    torch.stack([output.sum() for output in outputs]).sum().backward()
    print("GoogLeNet", f"{count:,} parameters, output", [tuple(output.shape) for output in outputs])

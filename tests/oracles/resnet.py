"""Plain and residual networks (He et al., Deep Residual Learning, arXiv:1512.03385), post-activation.

Peculiar: option A copies every second pixel and appends zero channels, so it has no parameters; option B projects only
where the shape changes, option C everywhere. ReLU comes after the addition. The bottleneck form (164, 1001) is the
baseline of arXiv:1603.05027 with option B.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from .common import ZeroChannels, conv, conv_bn_relu, global_mean, network, three_stages


def projection(i: int, o: int, s: int) -> nn.Sequential:
    return nn.Sequential(conv(i, o, 1, s), nn.BatchNorm2d(o))


def shortcut(i: int, o: int, s: int, option: str, where: str = "end") -> nn.Module | None:
    """None stands for a plain net, in which nothing is added."""
    if option == "plain":
        return None
    if option != "C" and i == o and s == 1:
        return nn.Identity()
    return ZeroChannels(i, o, s, "sub", where) if option == "A" else projection(i, o, s)


class Basic(nn.Module):
    def __init__(self, i: int, o: int, s: int, option: str, where: str) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(i, o, 3, s), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = conv(o, o), nn.BatchNorm2d(o)
        self.shortcut = shortcut(i, o, s, option, where)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.bn1(self.conv1(x)))
        h = self.bn2(self.conv2(h))
        return F.relu(h if self.shortcut is None else h + self.shortcut(x))


class Bottleneck(nn.Module):
    """Stride in the 3×3, which is what the reference counts say (247,646,720 MACs at depth 164)."""

    def __init__(self, i: int, o: int, s: int) -> None:
        super().__init__()
        m = o // 4
        self.conv1, self.bn1 = conv(i, m, 1), nn.BatchNorm2d(m)
        self.conv2, self.bn2 = conv(m, m, 3, s), nn.BatchNorm2d(m)
        self.conv3, self.bn3 = conv(m, o, 1), nn.BatchNorm2d(o)
        self.shortcut = shortcut(i, o, s, "B") or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.bn1(self.conv1(x)))
        h = F.relu(self.bn2(self.conv2(h)))
        return F.relu(self.bn3(self.conv3(h)) + self.shortcut(x))


def resnet(depth: int, option: str = "A", classes: int = 10, where: str = "end") -> nn.Module:
    """Depth 6n+2; option is A, B, C or plain; where says on which side option A puts its zeros (end, both)."""
    n, rest = divmod(depth - 2, 6)
    assert rest == 0, depth
    units = three_stages(lambda i, o, s: Basic(i, o, s, option, where), 16, (16, 32, 64), n)
    return network(stem=conv_bn_relu(3, 16), **units, pool=global_mean(), fc=nn.Linear(64, classes))


def resnet_bottleneck(depth: int, classes: int = 10) -> nn.Module:
    """Depth 9n+2, outputs 64, 128, 256."""
    n, rest = divmod(depth - 2, 9)
    assert rest == 0, depth
    units = three_stages(Bottleneck, 16, (64, 128, 256), n)
    return network(stem=conv_bn_relu(3, 16), **units, pool=global_mean(), fc=nn.Linear(256, classes))

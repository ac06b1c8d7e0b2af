"""ResNeXt-29 for CIFAR (Xie et al., Aggregated Residual Transformations, arXiv:1611.05431), grouped form.

Peculiar: the inner width is floor(out/4 · base/64) · cardinality, so it scales with the stage; the stem is 64 wide; the
shortcut is a 1×1 with batch norm wherever the width changes, the first stage included.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from .common import conv, conv_bn_relu, global_mean, network, three_stages
from .resnet import projection


def branch(i: int, o: int, s: int, cardinality: int, base: int) -> nn.Sequential:
    """1×1, grouped 3×3, 1×1; batch norm after each, ReLU after the first two."""
    d = o // 4 * base // 64 * cardinality
    middle = [conv(d, d, 3, s, groups=cardinality), nn.BatchNorm2d(d), nn.ReLU()]
    return nn.Sequential(*conv_bn_relu(i, d, 1), *middle, conv(d, o, 1), nn.BatchNorm2d(o))


class Unit(nn.Module):
    def __init__(self, i: int, o: int, s: int, cardinality: int, base: int) -> None:
        super().__init__()
        self.branch = branch(i, o, s, cardinality, base)
        self.shortcut = projection(i, o, s) if i != o else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.shortcut(x))


def resnext(depth: int, cardinality: int, base: int, classes: int = 10) -> nn.Module:
    n, rest = divmod(depth - 2, 9)
    assert rest == 0, depth
    units = three_stages(lambda i, o, s: Unit(i, o, s, cardinality, base), 64, (256, 512, 1024), n)
    return network(stem=conv_bn_relu(3, 64), **units, pool=global_mean(), fc=nn.Linear(1024, classes))

"""Pre-activation residual networks (He et al., Identity Mappings in Deep Residual Networks, arXiv:1603.05027).

Peculiar: where the width changes (the first unit of every stage, the first stage too) the first BN-ReLU feeds both the
branch and a bare 1×1 projection; nothing follows the addition; one BN-ReLU closes the last stage. The authors' code has
the stride in the first 1×1, some ports in the 3×3: equal parameters, different MACs.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from .common import bn_relu, conv, global_mean, network, three_stages


class Bottleneck(nn.Module):
    def __init__(self, i: int, o: int, s: int, stride_in: str) -> None:
        super().__init__()
        m = o // 4
        first, second = (s, 1) if stride_in == "1x1" else (1, s)
        self.bn1, self.conv1 = nn.BatchNorm2d(i), conv(i, m, 1, first)
        self.bn2, self.conv2 = nn.BatchNorm2d(m), conv(m, m, 3, second)
        self.bn3, self.conv3 = nn.BatchNorm2d(m), conv(m, o, 1)
        self.project = conv(i, o, 1, s) if i != o else None

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.bn1(x))
        h = F.relu(self.bn2(self.conv1(a)))
        h = F.relu(self.bn3(self.conv2(h)))
        return self.conv3(h) + (x if self.project is None else self.project(a))


def preresnet(depth: int, classes: int = 10, stride_in: str = "1x1") -> nn.Module:
    """Depth 9n+2, outputs 64, 128, 256; stride_in is 1x1 (authors) or 3x3."""
    n, rest = divmod(depth - 2, 9)
    assert rest == 0, depth
    assert stride_in in ("1x1", "3x3")
    units = three_stages(lambda i, o, s: Bottleneck(i, o, s, stride_in), 16, (64, 128, 256), n)
    return network(stem=conv(3, 16), **units, post=bn_relu(256), pool=global_mean(), fc=nn.Linear(256, classes))

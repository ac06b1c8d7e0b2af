"""Wide residual networks (Zagoruyko and Komodakis, arXiv:1605.07146).

Peculiar: depth is 6n+4; the stem stays 16 wide; dropout stands between the second ReLU and the second convolution; with
k=1 the first stage keeps its 16 channels and so has no projection.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from .common import bn_relu, conv, global_mean, network, three_stages


class Wide(nn.Module):
    def __init__(self, i: int, o: int, s: int, dropout: float) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(i), conv(i, o, 3, s)
        self.bn2, self.dropout, self.conv2 = nn.BatchNorm2d(o), nn.Dropout(dropout), conv(o, o)
        self.project = conv(i, o, 1, s) if i != o else None

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.bn1(x))
        h = self.dropout(F.relu(self.bn2(self.conv1(a))))
        return self.conv2(h) + (x if self.project is None else self.project(a))


def wrn(depth: int, k: int, classes: int = 10, dropout: float = 0.0) -> nn.Module:
    n, rest = divmod(depth - 4, 6)
    assert rest == 0, depth
    units = three_stages(lambda i, o, s: Wide(i, o, s, dropout), 16, (16 * k, 32 * k, 64 * k), n)
    last = 64 * k
    return network(stem=conv(3, 16), **units, post=bn_relu(last), pool=global_mean(), fc=nn.Linear(last, classes))

"""DenseNet and DenseNet-BC (Huang et al., arXiv:1608.06993).

Peculiar: a layer's output is concatenated behind its input; B layers put a 1×1 to 4k in front and halve the number of
layers; C transitions keep half of the channels. Plain nets keep all of them (some ports halve there too) and start
with 16 channels in the paper, with 2k in the released code. Dropout follows every convolution but the stem.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .common import bn_relu, conv, global_mean, network


class Layer(nn.Module):
    def __init__(self, i: int, k: int, bottleneck: bool, dropout: float) -> None:
        super().__init__()
        narrow = [(1, 4 * k)] if bottleneck else []
        steps: list[nn.Module] = []
        for kernel, o in [*narrow, (3, k)]:
            steps += [nn.BatchNorm2d(i), nn.ReLU(), conv(i, o, kernel), nn.Dropout(dropout)]
            i = o
        self.steps = nn.Sequential(*steps)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.steps(x)], 1)


class Transition(nn.Module):
    def __init__(self, i: int, o: int, dropout: float) -> None:
        super().__init__()
        self.bn, self.conv, self.dropout = nn.BatchNorm2d(i), conv(i, o, 1), nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.dropout(self.conv(F.relu(self.bn(x)))), 2)


def densenet(
    depth: int,
    k: int,
    stem: int,
    *,
    bc: bool = False,
    theta: float | None = None,
    classes: int = 10,
    dropout: float = 0.0,
) -> nn.Module:
    """Depth 3n+4 (6n+4 with B layers); theta defaults to the paper's 1 (plain) or ½ (BC)."""
    n, rest = divmod(depth - 4, 6 if bc else 3)
    assert rest == 0, depth
    theta = (0.5 if bc else 1.0) if theta is None else theta
    stages: dict[str, nn.Module] = {"stem": conv(3, stem)}
    width = stem
    for block in (1, 2, 3):
        stages[f"dense{block}"] = nn.Sequential(*(Layer(width + j * k, k, bc, dropout) for j in range(n)))
        width += n * k
        if block < 3:
            stages[f"trans{block}"] = Transition(width, int(theta * width), dropout)
            width = int(theta * width)
    return network(**stages, post=bn_relu(width), pool=global_mean(), fc=nn.Linear(width, classes))

"""Maxout networks (Goodfellow et al., arXiv:1302.4389) and the thin FitNet-19 (Romero et al., arXiv:1412.6550).

Peculiar: a maxout layer computes q times as many maps, with a bias each, and keeps the largest of every q consecutive
ones; there is no other non-linearity. Pooling counts partial windows. Dropout acts on the inputs of layers. FitNet's
linear maxout layer (500 × 5, from the released configuration) is why it has 2.74M parameters and not the printed 2.5M.
"""

from torch import Tensor, nn

from .common import biased, maxout, network


class Maxout(nn.Module):
    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        return maxout(x, self.pieces)


def maxout_conv(i: int, o: int, k: int, pad: int) -> nn.Sequential:
    return nn.Sequential(biased(i, 2 * o, k, pad=pad), Maxout(2))


def maxout_net(classes: int = 10) -> nn.Module:
    def layer(keep: float, i: int, o: int, k: int, pad: int, window: int) -> nn.Sequential:
        pool = nn.MaxPool2d(window, 2, ceil_mode=True)
        return nn.Sequential(nn.Dropout(1 - keep), *maxout_conv(i, o, k, pad), pool)

    return network(
        h0=layer(0.8, 3, 96, 8, 4, 4),
        h1=layer(0.5, 96, 192, 8, 3, 4),
        h2=layer(0.5, 192, 192, 5, 3, 2),
        h3=nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(192 * 25, 2500), Maxout(5)),
        y=nn.Sequential(nn.Dropout(), nn.Linear(500, classes)),
    )


def fitnet19(classes: int = 10) -> nn.Module:
    def group(i: int, widths: list[int], window: int) -> nn.Sequential:
        inputs = [i, *widths]
        convs = [maxout_conv(a, b, 3, 1) for a, b in zip(inputs, widths, strict=False)]
        return nn.Sequential(*convs, nn.MaxPool2d(window))

    return network(
        group1=group(3, [32] * 3 + [48] * 2, 2),
        group2=group(48, [80] * 6, 2),
        group3=group(80, [128] * 6, 8),
        fc1=nn.Sequential(nn.Flatten(), nn.Linear(128, 2500), Maxout(5)),
        y=nn.Linear(500, classes),
    )

"""ELU networks (Clevert, Unterthiner and Hochreiter, arXiv:1511.07289).

Peculiar: 2×2 kernels, padded on the bottom and right so that the map keeps its size (the accepted reading; the paper
is silent); pooling ends a stack while the map is larger than one pixel; ELU after every convolution but the scores;
biases, no batch norm. Dropout follows the last layer of each stack.
"""

from torch import nn

from .common import biased, network

Stack = list[tuple[int, int, int]]

ELU18: list[Stack] = [
    [(1, 384, 3)],
    [(1, 384, 1), (1, 384, 2), (2, 640, 2)],
    [(1, 640, 1), (3, 768, 2)],
    [(1, 768, 1), (2, 896, 2)],
    [(1, 896, 3), (2, 1024, 2)],
    [(1, 1024, 1), (1, 1152, 2)],
    [(1, 1152, 1)],
]
ELU11: list[Stack] = [
    [(1, 192, 5)],
    [(1, 192, 1), (1, 240, 3)],
    [(1, 240, 1), (1, 260, 2)],
    [(1, 260, 1), (1, 280, 2)],
    [(1, 280, 1), (1, 300, 2)],
    [(1, 300, 1)],
]


def same_conv(i: int, o: int, k: int) -> list[nn.Module]:
    pad = [nn.ZeroPad2d((0, 1, 0, 1))] if k == 2 else []
    return [*pad, biased(i, o, k, pad=0 if k == 2 else None), nn.ELU()]


def elu_net(stacks: list[Stack], classes: int, dropout: tuple[float, ...]) -> nn.Module:
    """A stack lists layers × units × kernel."""
    stages: dict[str, nn.Module] = {}
    i, size = 3, 32
    for s, (stack, rate) in enumerate(zip(stacks, dropout, strict=True), 1):
        layers: list[nn.Module] = []
        for o, k in [(o, k) for n, o, k in stack for _ in range(n)]:
            layers += same_conv(i, o, k)
            i = o
        pool = [nn.MaxPool2d(2)] if size > 1 else []
        size = max(1, size // 2)
        stages[f"stack{s}"] = nn.Sequential(*layers, nn.Dropout(rate), *pool)
    return network(**stages, classifier=nn.Sequential(biased(i, classes, 1), nn.Flatten()))


def elu18(classes: int = 10) -> nn.Module:
    return elu_net(ELU18, classes, (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.0))


def elu11(classes: int = 100) -> nn.Module:
    return elu_net(ELU11, classes, (0.0,) * 6)

"""Network in Network (Lin, Chen and Yan, arXiv:1312.4400) and its deeply supervised form (Lee et al., arXiv:1409.5185).

Peculiar: no linear layer; 3×3/2 pooling counts the last partial window (ceil), first a maximum, then a mean; ReLU even
after the scores. The deeply supervised net pools by maximum twice, leaves the last ReLU out, and while training feeds
each stage's first convolution, before its ReLU, to a linear head. Ports pad the pooling by one instead (`padded`).
"""

from torch import Tensor, nn

from .common import biased, global_mean, network


class MlpConv(nn.Sequential):
    """Three convolutions; `tap` keeps the first one's output before its ReLU."""

    def __init__(self, i: int, widths: tuple[int, int, int], k: int, last: bool = True) -> None:
        a, b, c = widths
        end = [nn.ReLU()] if last else []
        super().__init__(biased(i, a, k), nn.ReLU(), biased(a, b, 1), nn.ReLU(), biased(b, c, 1), *end)

    def forward(self, x: Tensor) -> Tensor:
        first, *rest = self
        self.tap = x = first(x)
        for part in rest:
            x = part(x)
        return x


def pooling(kind: type[nn.Module], how: str) -> nn.Sequential:
    window = {"ceil_mode": True} if how == "ceil" else {"padding": 1}
    return nn.Sequential(kind(3, 2, **window), nn.Dropout())


def trunk(classes: int, second: type[nn.Module], how: str, last: bool) -> nn.Sequential:
    return network(
        mlpconv1=MlpConv(3, (192, 160, 96), 5),
        pool1=pooling(nn.MaxPool2d, how),
        mlpconv2=MlpConv(96, (192, 192, 192), 5),
        pool2=pooling(second, how),
        mlpconv3=MlpConv(192, (192, 192, classes), 3, last),
        gap=global_mean(),
    )


def nin(classes: int = 10, pool: str = "ceil") -> nn.Module:
    return trunk(classes, nn.AvgPool2d, pool, last=True)


class DSN(nn.Module):
    """While training: scores, then the three companions' scores. Otherwise the scores alone."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        for name, part in trunk(classes, nn.MaxPool2d, "ceil", last=False).named_children():
            self.add_module(name, part)
        self.heads = nn.ModuleList(nn.Sequential(nn.Flatten(), nn.Linear(192 * n * n, classes)) for n in (32, 16, 8))

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        companions = []
        for k, head in enumerate(self.heads, 1):
            mlp = self.get_submodule(f"mlpconv{k}")
            x = mlp(x)
            if self.training:
                companions.append(head(mlp.tap))
            x = self.get_submodule(f"pool{k}")(x) if k < 3 else self.gap(x)
        return (x, *companions) if self.training else x


def dsn(classes: int = 10) -> nn.Module:
    return DSN(classes)

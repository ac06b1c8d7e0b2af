"""Inception modules and GoogLeNet (Szegedy et al., Going Deeper with Convolutions, arXiv:1409.4842).

Peculiar: biases and no batch norm, real 5×5 filters, ceil-mode pooling, response normalisation in the stem, and two
auxiliary classifiers (after 4a and 4d) that exist while training only.
"""

import torch
from torch import Tensor, nn

from .common import biased, global_mean

# in; 1×1; 3×3 reduce, 3×3; 5×5 reduce, 5×5; pool projection
FILTERS = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


def relu_conv(i: int, o: int, k: int, s: int = 1) -> nn.Sequential:
    return nn.Sequential(biased(i, o, k, s), nn.ReLU())


def shrink() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, 2, ceil_mode=True)


class Branches(nn.Module):
    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def naive(i: int, one: int, three: int, five: int) -> nn.Module:
    """Figure (a): the pooled input joins unchanged, so channels pile up."""
    return Branches(relu_conv(i, one, 1), relu_conv(i, three, 3), relu_conv(i, five, 5), nn.MaxPool2d(3, 1, 1))


def inception(i: int, a: int, b: int, c: int, d: int, e: int, f: int) -> nn.Module:
    """Figure (b): 1×1 reductions before the large filters, a projection behind the pooling."""
    return Branches(
        relu_conv(i, a, 1),
        nn.Sequential(relu_conv(i, b, 1), relu_conv(b, c, 3)),
        nn.Sequential(relu_conv(i, d, 1), relu_conv(d, e, 5)),
        nn.Sequential(nn.MaxPool2d(3, 1, 1), relu_conv(i, f, 1)),
    )


def auxiliary(i: int, classes: int) -> nn.Sequential:
    hidden = [nn.Flatten(), nn.Linear(128 * 16, 1024), nn.ReLU(), nn.Dropout(0.7)]
    return nn.Sequential(nn.AvgPool2d(5, 3), relu_conv(i, 128, 1), *hidden, nn.Linear(1024, classes))


class GoogLeNet(nn.Module):
    """While training with auxiliaries: scores, scores after 4a, scores after 4d. Otherwise the scores alone."""

    def __init__(self, classes: int, aux: bool) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(relu_conv(3, 64, 7, 2), shrink(), nn.LocalResponseNorm(5, 1e-4, 0.75))
        lrn = nn.LocalResponseNorm(5, 1e-4, 0.75)
        self.conv2 = nn.Sequential(relu_conv(64, 64, 1), relu_conv(64, 192, 3), lrn, shrink())
        for name, filters in FILTERS.items():
            module = inception(*filters)
            self.add_module(f"inc{name}", nn.Sequential(module, shrink()) if name in ("3b", "4e") else module)
        self.pool, self.fc = nn.Sequential(*global_mean(), nn.Dropout(0.4)), nn.Linear(1024, classes)
        self.aux = nn.ModuleDict({"4a": auxiliary(512, classes), "4d": auxiliary(528, classes)} if aux else {})

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        heads = []
        x = self.conv2(self.conv1(x))
        for name in FILTERS:
            x = self.get_submodule(f"inc{name}")(x)
            if self.training and name in self.aux:
                heads.append(self.aux[name](x))
        x = self.fc(self.pool(x))
        return (x, *heads) if heads else x


def googlenet(classes: int = 1000, aux: bool = False) -> nn.Module:
    return GoogLeNet(classes, aux)

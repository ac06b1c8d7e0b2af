"""Which constructor makes which entry of the reference table."""

from collections.abc import Callable
from functools import partial

from torch import nn

from .alexnet import alexnet
from .allcnn import allcnn_c
from .common import network
from .densenet import densenet
from .elu import elu11, elu18
from .fmp import fmp
from .fractalnet import fractalnet
from .googlenet import FILTERS, googlenet, inception, naive
from .hesun import hesun
from .highway import highway19, highway32
from .lenet import lenet5, lenet5_original
from .maxout import fitnet19, maxout_net
from .nin import dsn, nin
from .preresnet import preresnet
from .pyramidnet import pyramidnet
from .resnet import resnet, resnet_bottleneck
from .resnext import resnext
from .shakeshake import shakeshake, shakeshake_next
from .stochdepth import stochastic_depth
from .swapout import swapout
from .weighted import weighted_resnet
from .wrn import wrn

Make = Callable[[], nn.Module]


def _by_classes(name: str, make: Callable[..., nn.Module], *args: object, **options: object) -> dict[str, Make]:
    return {f"{name}_c{classes}": partial(make, *args, classes=classes, **options) for classes in (10, 100)}


def _lenets() -> dict[str, Make]:
    return {"lenet5_1998": lenet5_original, "lenet5_dense_c3": lenet5, "lenet5_rgb": partial(lenet5, 3)}


def _resnets() -> dict[str, Make]:
    table = {f"resnet{depth}_A_c10": partial(resnet, depth) for depth in (20, 32, 44, 56, 110, 1202)}
    table |= {f"resnet{depth}_A_c100": partial(resnet, depth, classes=100) for depth in (20, 110)}
    table |= {f"plain{depth}_c10": partial(resnet, depth, "plain") for depth in (20, 32, 44, 56, 110)}
    table |= {f"resnet{depth}_bottleneck_c10": partial(resnet_bottleneck, depth) for depth in (164, 1001)}
    return table | _by_classes("preresnet164", preresnet, 164) | _by_classes("preresnet1001", preresnet, 1001)


def _wrns() -> dict[str, Make]:
    table: dict[str, Make] = {}
    sizes = {16: (4, 8, 10), 22: (8, 10), 28: (10, 12), 40: (1, 2, 4, 8), 52: (1,)}
    for depth, factors in sizes.items():
        for k in factors:
            table |= _by_classes(f"wrn{depth}_{k}", wrn, depth, k)
    for depth, k in ((16, 4), (28, 10), (52, 1)):
        table |= _by_classes(f"wrn{depth}_{k}_dropout", wrn, depth, k, dropout=0.3)
    for depth, k in ((16, 4), (52, 1)):
        table[f"wrn{depth}_{k}_svhn"] = partial(wrn, depth, k)
        table[f"wrn{depth}_{k}_dropout_svhn"] = partial(wrn, depth, k, dropout=0.4)
    return table


def _densenets() -> dict[str, Make]:
    return {
        **_by_classes("densenet_L100_k24_c16", densenet, 100, 24, 16),
        **_by_classes("densenet_L100_k24_c48", densenet, 100, 24, 48),
        **_by_classes("densenet_BC_L100_k12", densenet, 100, 12, 24, bc=True),
        **_by_classes("densenet_BC_L190_k40", densenet, 190, 40, 80, bc=True),
        "densenet_L40_k12_c16_c10": partial(densenet, 40, 12, 16),
    }


def _pyramids() -> dict[str, Make]:
    table: dict[str, Make] = {}
    for alpha in (48, 84, 270):
        table |= _by_classes(f"pyramidnet110_a{alpha}", pyramidnet, 110, alpha)
    for depth, alpha in ((164, 270), (200, 240), (236, 220), (272, 200)):
        table |= _by_classes(f"pyramidnet{depth}_a{alpha}_bn", pyramidnet, depth, alpha, True)
    return table


def _branching() -> dict[str, Make]:
    return {
        **_by_classes("fractalnet_c3_b5_generator", fractalnet),
        **_by_classes("fractalnet_c3_b5_doubling", fractalnet, doubling=True),
        **_by_classes("resnext29_8x64d", resnext, 29, 8, 64),
        **_by_classes("resnext29_16x64d", resnext, 29, 16, 64),
        **{f"shakeshake26_2x{base}d_c10": partial(shakeshake, 26, base) for base in (32, 64, 96)},
        "shakeshake29_2x4x64d_c100": partial(shakeshake_next, 29, 4, 64),
    }


def _early() -> dict[str, Make]:
    return {
        "alexnet_2012": alexnet,
        **_by_classes("nin", nin),
        **_by_classes("dsn", dsn),
        "maxout_c10": maxout_net,
        **_by_classes("fitnet19", fitnet19),
        **_by_classes("allcnn_c", allcnn_c),
        **_by_classes("highway19", highway19),
        "highway32_c10_inferred": highway32,
        **_by_classes("elu18", elu18),
        "elu11_c100": elu11,
        **_by_classes("fmp_160nC2", fmp),
        "fmp_64nC2_c100": partial(fmp, 64, 100),
        "fmp_96nC2_c10": partial(fmp, 96),
    }


def _random_and_weighted() -> dict[str, Make]:
    return {
        **_by_classes("stochdepth110", stochastic_depth, 110),
        "stochdepth1202_c10": partial(stochastic_depth, 1202),
        **_by_classes("swapout_v2_32_w4", swapout),
        "weighted_resnet118_c10": partial(weighted_resnet, 118),
        "weighted_resnet1192_c10": partial(weighted_resnet, 1192),
    }


def _imagenet() -> dict[str, Make]:
    return {
        "googlenet": googlenet,
        "googlenet_aux": partial(googlenet, aux=True),
        "inception_3a_naive": lambda: network(module=naive(192, 64, 128, 32)),
        "inception_3a_reduced": lambda: network(module=inception(*FILTERS["3a"])),
        "hesun_A": partial(hesun, (5, 1), (3, 3)),
        "hesun_B": partial(hesun, (5, 1), (2, 6)),
        "hesun_C": partial(hesun, (3, 2), (3, 3)),
        "hesun_D": partial(hesun, (3, 2), (2, 6)),
        **{f"hesun_D+{more}": partial(hesun, (3, 2), (2, 6 + more)) for more in (2, 4, 6, 8)},
    }


_TABLES = (_lenets, _early, _resnets, _random_and_weighted, _wrns, _densenets, _pyramids, _branching, _imagenet)
ORACLES: dict[str, Make] = {name: make for table in _TABLES for name, make in table().items()}

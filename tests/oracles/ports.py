"""pytorchcv's constructors by reference name, with what each of them computes.

A port either is the network (`variant` is None: it must equal the oracle of that name) or deviates in a way that an
oracle can be told to share (`variant`, with a note). Dropout and drop-path are switched off by `quiet`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module

from torch import nn

from .common import still
from .densenet import densenet
from .fractalnet import fractalnet
from .nin import nin
from .preresnet import preresnet
from .resnet import resnet
from .shakeshake import shakeshake_post


@dataclass(frozen=True)
class Port:
    """Where pytorchcv makes it, and how it departs from the reference (if it does)."""

    module: str
    function: str
    options: tuple[tuple[str, object], ...] = ()
    note: str = ""
    variant: Callable[[], nn.Module] | None = None

    def make(self) -> nn.Module:
        return quiet(getattr(import_module(f"pytorchcv.models.{self.module}"), self.function)(**dict(self.options)))


def quiet(net: nn.Module) -> nn.Module:
    """Switch a port's random parts off in training mode (not its Shake-Shake, which has no switch)."""
    for part in net.modules():
        if hasattr(part, "loc_drop_prob"):
            part.loc_drop_prob = 0.0
        if hasattr(part, "glob_drop_ratio"):
            part.glob_drop_ratio = 0.0
    return still(net)


def _options(**options: object) -> tuple[tuple[str, object], ...]:
    return tuple(options.items())


def _resnets() -> dict[str, Port]:
    table = {}
    for classes, depths in ((10, (20, 56, 110, 1202)), (100, (20, 110))):
        for depth in depths:
            note = "option B: projections at the two changes of shape, +2,752 parameters (R1)"
            variant = partial(resnet, depth, "B", classes)
            port = Port("resnet_cifar", f"resnet{depth}_cifar{classes}", (), note, variant)
            table[f"resnet{depth}_A_c{classes}"] = port
        for depth, name in ((164, "preresnet164bn"), (1001, "preresnet1001")):
            note = "stride in the 3×3, not in the first 1×1: same parameters, more MACs (R12)"
            variant = partial(preresnet, depth, classes, "3x3")
            port = Port("preresnet_cifar", f"{name}_cifar{classes}", (), note, variant)
            table[f"preresnet{depth}_c{classes}"] = port
    table["resnet164_bottleneck_c10"] = Port("resnet_cifar", "resnet164bn_cifar10")
    table["resnet1001_bottleneck_c10"] = Port("resnet_cifar", "resnet1001_cifar10")
    return table


def _wrns() -> dict[str, Port]:
    sizes = {16: (4, 8, 10), 22: (8, 10), 28: (10, 12), 40: (1, 2, 4, 8), 52: (1,)}
    return {
        f"wrn{depth}_{k}_c{classes}": Port(
            "wrn_cifar", "get_wrn_cifar", _options(num_classes=classes, blocks=depth, width_factor=k)
        )
        for depth, factors in sizes.items()
        for k in factors
        for classes in (10, 100)
    }


def _densenets() -> dict[str, Port]:
    table = {}
    for classes in (10, 100):
        for depth, k in ((100, 12), (190, 40)):
            table[f"densenet_BC_L{depth}_k{k}_c{classes}"] = Port(
                "densenet_cifar", f"densenet{depth}_k{k}_bc_cifar{classes}"
            )
        note = "transitions halve the channels although the net is not BC, stem 2k (D1)"
        variant = partial(densenet, 100, 24, 48, theta=0.5, classes=classes)
        port = Port("densenet_cifar", f"densenet100_k24_cifar{classes}", (), note, variant)
        table[f"densenet_L100_k24_c48_c{classes}"] = port
    note = "transitions halve the channels although the net is not BC, stem 2k (D1, D2)"
    variant = partial(densenet, 40, 12, 24, theta=0.5)
    table["densenet_L40_k12_c16_c10"] = Port("densenet_cifar", "densenet40_k12_cifar10", (), note, variant)
    return table


def _pyramids() -> dict[str, Port]:
    nets = ["110_a48", "110_a84", "110_a270", "164_a270_bn", "200_a240_bn", "236_a220_bn", "272_a200_bn"]
    return {
        f"pyramidnet{net}_c{classes}": Port("pyramidnet_cifar", f"pyramidnet{net}_cifar{classes}")
        for net in nets
        for classes in (10, 100)
    }


def _others() -> dict[str, Port]:
    table = {}
    for classes in (10, 100):
        table[f"resnext29_16x64d_c{classes}"] = Port("resnext_cifar", f"resnext29_16x64d_cifar{classes}")
        eight = _options(num_classes=classes, blocks=29, cardinality=8, bottleneck_width=64)
        table[f"resnext29_8x64d_c{classes}"] = Port("resnext_cifar", "get_resnext_cifar", eight)
        after = "pools a block's last join, not each column before it (F2); dropout after ReLU (F3)"
        table[f"fractalnet_c3_b5_generator_c{classes}"] = Port(
            "fractalnet_cifar",
            f"fractalnet_cifar{classes}",
            (),
            after,
            partial(fractalnet, pool="after", classes=classes),
        )
        padded = "pooling padded by one (floor) where the paper counts partial windows (E1)"
        table[f"nin_c{classes}"] = Port(
            "nin_cifar", f"nin_cifar{classes}", (), padded, partial(nin, classes, pool="padded")
        )
    note = "ReLU after the addition and the stem, none before branches and shortcut (S4); compare in evaluation mode"
    table["shakeshake26_2x32d_c10"] = Port(
        "shakeshakeresnet_cifar", "shakeshakeresnet26_2x32d_cifar10", (), note, partial(shakeshake_post, 26, 32)
    )
    return table


PORTS: dict[str, Port] = _resnets() | _wrns() | _densenets() | _pyramids() | _others()

"""Which spec, with which parameters, is which entry of the reference table."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import archdsl

ROOT = Path(__file__).parent.parent
REFERENCE: dict[str, dict[str, Any]] = {
    entry["name"]: entry for entry in json.loads((Path(__file__).parent / "oracles" / "reference.json").read_text())
}


@dataclass(frozen=True)
class Entry:
    """A spec file and the parameters, variant or network to take of it."""

    spec: str
    parameters: dict[str, object] = field(default_factory=dict)
    variant: str | None = None
    network: str | None = None

    def load(self, **more: object) -> archdsl.Spec:
        path = str(ROOT / "specs" / f"{self.spec}.arch")
        return archdsl.load(path, {**self.parameters, **more}, variant=self.variant, network=self.network)


def _classes(name: str, spec: str, **parameters: object) -> dict[str, Entry]:
    return {f"{name}_c{n}": Entry(spec, {**parameters, "classes": n}) for n in (10, 100)}


def _resnets() -> dict[str, Entry]:
    table: dict[str, Entry] = {}
    for depth in (20, 32, 44, 56, 110, 1202):
        table |= _classes(f"resnet{depth}_A", "resnet", depth=depth)
        table[f"plain{depth}_c10"] = Entry("plain", {"depth": depth})
    for depth in (164, 1001):
        table |= _classes(f"preresnet{depth}", "preresnet", depth=depth)
        table[f"resnet{depth}_bottleneck_c10"] = Entry("resnet-bottleneck", {"depth": depth})
    return table


def _wrns() -> dict[str, Entry]:
    sizes = {16: (4, 8, 10), 22: (8, 10), 28: (10, 12), 40: (1, 2, 4, 8), 52: (1,)}
    table: dict[str, Entry] = {}
    for depth, factors in sizes.items():
        for k in factors:
            table |= _classes(f"wrn{depth}_{k}", "wrn", depth=depth, k=k)
    for depth, k in ((16, 4), (28, 10), (52, 1)):
        table |= _classes(f"wrn{depth}_{k}_dropout", "wrn", depth=depth, k=k, drop=0.3)
    for depth, k in ((16, 4), (52, 1)):
        table[f"wrn{depth}_{k}_svhn"] = Entry("wrn", {"depth": depth, "k": k})
        table[f"wrn{depth}_{k}_dropout_svhn"] = Entry("wrn", {"depth": depth, "k": k, "drop": 0.4})
    return table


def _densenets() -> dict[str, Entry]:
    table = {"densenet_L40_k12_c16_c10": Entry("densenet", {"depth": 40, "growth": 12, "compact": False, "stem": 16})}
    for stem in (16, 48):
        table |= _classes(f"densenet_L100_k24_c{stem}", "densenet", depth=100, growth=24, compact=False, stem=stem)
    for depth, growth in ((100, 12), (190, 40)):
        table |= _classes(f"densenet_BC_L{depth}_k{growth}", "densenet", depth=depth, growth=growth)
    return table


def _pyramids() -> dict[str, Entry]:
    table: dict[str, Entry] = {}
    for alpha in (48, 84, 270):
        table |= _classes(f"pyramidnet110_a{alpha}", "pyramidnet", depth=110, alpha=alpha)
    for depth, alpha in ((164, 270), (200, 240), (236, 220), (272, 200)):
        name = f"pyramidnet{depth}_a{alpha}_bn"
        table |= _classes(name, "pyramidnet", depth=depth, alpha=alpha, bottleneck=True)
    return table


def _branching() -> dict[str, Entry]:
    table: dict[str, Entry] = {}
    for reading, widen in (("generator", False), ("doubling", True)):
        table |= _classes(f"fractalnet_c3_b5_{reading}", "fractalnet", columns=3, widen=widen)
    for cardinality in (8, 16):
        table |= _classes(f"resnext29_{cardinality}x64d", "resnext", cardinality=cardinality)
    for base in (32, 64, 96):
        table[f"shakeshake26_2x{base}d_c10"] = Entry("shake-shake", {"base": base})
    table["shakeshake29_2x4x64d_c100"] = Entry("shake-shake-29-2x4x64d")
    return table


def _early() -> dict[str, Entry]:
    return {
        "lenet5_1998": Entry("lenet-5-1998"),
        "lenet5_dense_c3": Entry("lenet-5", {"channels": 1}),
        "lenet5_rgb": Entry("lenet-5", {"channels": 3}),
        "alexnet_2012": Entry("alexnet"),
        **_classes("nin", "nin"),
        **_classes("dsn", "dsn"),
        "maxout_c10": Entry("maxout"),
        **_classes("fitnet19", "fitnet-19"),
        **_classes("allcnn_c", "all-cnn-c"),
        **_classes("highway19", "highway"),
        "highway32_c10_inferred": Entry("highway-32", variant="highway_32"),
        **_classes("elu18", "elu"),
        "elu11_c100": Entry("elu-11"),
        **_classes("fmp_160nC2", "fmp"),
        "fmp_64nC2_c100": Entry("fmp", {"k": 64, "classes": 100}),
        "fmp_96nC2_c10": Entry("fmp", {"k": 96}),
    }


def _random_and_weighted() -> dict[str, Entry]:
    return {
        **_classes("stochdepth110", "stochastic-depth", depth=110),
        "stochdepth1202_c10": Entry("stochastic-depth", {"depth": 1202}),
        **_classes("swapout_v2_32_w4", "swapout"),
        **{f"weighted_resnet{depth}_c10": Entry("weighted-resnet", {"depth": depth}) for depth in (118, 1192)},
    }


def _imagenet() -> dict[str, Entry]:
    kernels = {"A": (5, 1, 3, 3), "B": (5, 1, 2, 6), "C": (3, 2, 3, 3), "D": (3, 2, 2, 6)}
    kernels |= {f"D+{more}": (3, 2, 2, 6 + more) for more in (2, 4, 6, 8)}
    names = ("kernel2", "count2", "kernel3", "count3")
    return {
        "googlenet": Entry("googlenet", {"heads": False}),
        "googlenet_aux": Entry("googlenet"),
        "inception_3a_naive": Entry("inception", network="InceptionNaive"),
        "inception_3a_reduced": Entry("inception", network="Inception"),
        **{f"hesun_{name}": Entry("he-sun", dict(zip(names, ks, strict=True))) for name, ks in kernels.items()},
    }


@cache
def zoo() -> dict[str, Entry]:
    """Every reference entry that has a spec."""
    tables = (_early, _resnets, _random_and_weighted, _wrns, _densenets, _pyramids, _branching, _imagenet)
    entries = {name: entry for table in tables for name, entry in table().items()}
    return {name: entry for name, entry in entries.items() if name in REFERENCE}

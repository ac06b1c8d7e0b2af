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
    for depth in (164, 1001):
        table |= _classes(f"preresnet{depth}", "preresnet", depth=depth)
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
    return table


def _lenets() -> dict[str, Entry]:
    return {
        "lenet5_dense_c3": Entry("lenet-5", {"channels": 1}),
        "lenet5_rgb": Entry("lenet-5", {"channels": 3}),
    }


@cache
def zoo() -> dict[str, Entry]:
    """Every reference entry that has a spec."""
    tables = (_lenets(), _resnets(), _wrns(), _densenets(), _pyramids(), _branching())
    entries = {name: entry for table in tables for name, entry in table.items()}
    return {name: entry for name, entry in entries.items() if name in REFERENCE}

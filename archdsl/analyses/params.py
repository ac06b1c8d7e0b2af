"""Exact parameter counts by kind. Running averages are buffers, not parameters; shared weights count once."""

from __future__ import annotations

from dataclasses import fields

from archdsl.analyses.walk import Application, numel, total, weights
from archdsl.ir.graph import Call, Extern, Graph
from archdsl.ops.op import Op
from archdsl.record import value

CONVOLUTIONS = ("conv", "depthwise")
NORMS = ("bn", "ln", "gn", "instance_norm")


@value
class Params:
    """How many numbers are learned, by kind. `frozen` is the part of the sum that no gradient reaches."""

    conv_weight: int = 0
    conv_bias: int = 0
    norm: int = 0
    linear_weight: int = 0
    linear_bias: int = 0
    other: int = 0
    frozen: int = 0

    @property
    def total(self) -> int:
        """All parameters, as torch's `sum(p.numel() for p in module.parameters())` counts them."""
        return sum(self.by_kind().values())

    @property
    def trainable(self) -> int:
        """Those that training changes."""
        return self.total - self.frozen

    def by_kind(self) -> dict[str, int]:
        """The counts that add up to `total`."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "frozen"}

    def __add__(self, other: Params) -> Params:
        return Params(
            self.conv_weight + other.conv_weight,
            self.conv_bias + other.conv_bias,
            self.norm + other.norm,
            self.linear_weight + other.linear_weight,
            self.linear_bias + other.linear_bias,
            self.other + other.other,
            self.frozen + other.frozen,
        )

    def __mul__(self, times: int) -> Params:
        if times == 1:
            return self
        return Params(
            self.conv_weight * times,
            self.conv_bias * times,
            self.norm * times,
            self.linear_weight * times,
            self.linear_bias * times,
            self.other * times,
            self.frozen * times,
        )


NOTHING = Params()


def params(graph: Graph) -> Params:
    """The parameters of a graph, by kind."""
    return total(graph, "params", NOTHING, _own, learned=True)


def family(op: Op) -> str:
    """`conv`, `linear`, `norm` or `other`: under which heading a primitive's weights are counted."""
    if op.name.startswith(CONVOLUTIONS):
        return "conv"
    if op.name in NORMS:
        return "norm"
    return "linear" if op.name == "linear" else "other"


def params_at(application: Application) -> Params:
    """The parameters of one copy of an application in an analysed graph."""
    what = application.what
    return params(what.graph) if isinstance(what, Call) else _own(application)


def _own(application: Application) -> Params:
    if isinstance(application.what, Extern):
        return Params(other=application.what.params)
    counts: dict[str, int] = {}
    kind = family(application.op) if application.op else "other"
    for weight in weights(application):
        for heading in (_heading(kind, weight.name), *(() if weight.trainable else ("frozen",))):
            counts[heading] = counts.get(heading, 0) + numel(weight)
    return Params(**counts) if counts else NOTHING


def _heading(kind: str, weight: str) -> str:
    if kind in ("norm", "other"):
        return kind
    return f"{kind}_bias" if weight.endswith("bias") else f"{kind}_weight"

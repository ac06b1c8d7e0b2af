"""What a claim can be about."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archdsl.analyses.cost import Cost

_Metric = Callable[["Cost"], int]

# What can be claimed, and how it is computed.
METRICS: dict[str, tuple[str, _Metric]] = {
    "params": ("parameters", lambda cost: cost.params.total),
    "conv_params": ("convolution weights", lambda cost: cost.params.conv_weight),
    "macs": ("multiply-accumulates", lambda cost: cost.macs.total),
    "flops": ("floating-point operations", lambda cost: cost.macs.flops),
    "depth": ("weight layers on the longest path", lambda cost: cost.depth),
}
# What only an experiment tells: quoted, never computed. Allowed in `variants` and `reported`.
QUOTED = ("error", "top1", "top5", "accuracy", "time", "epochs", "memory", "loss")

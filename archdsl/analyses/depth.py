"""Depth as the papers count it: the weight layers (convolutions and linear maps) on the longest path.

A projection on a shortcut lies beside the longer main path and so does not count; norms never do.
"""

from __future__ import annotations

from archdsl.analyses.params import family
from archdsl.analyses.paths import reach
from archdsl.analyses.walk import Sizes
from archdsl.ir.graph import Graph
from archdsl.ops.op import Attrs, Op


class _Depth:
    key = "depth"
    nothing = 0

    def step(self, op: Op, inputs: tuple[Sizes, ...], attrs: Attrs) -> int:
        return 1 if family(op) in ("conv", "linear") else 0

    def then(self, first: int, second: int) -> int:
        return first + second

    def either(self, one: int, other: int) -> int:
        return max(one, other)

    def again(self, step: int, count: int) -> int:
        return step * count


DEPTH = _Depth()


def depth(graph: Graph) -> int:
    """The number of weight layers on the longest path to any output."""
    return max((steps for found in reach(graph, DEPTH) for steps in found.values()), default=0)

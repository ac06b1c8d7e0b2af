"""Multiply-accumulates of convolutions, linear maps and matrix products, for one sample.

Norms, activations, pooling, additions and biases are not counted, which is the convention of the papers and of torch's
`FlopCounterMode` (whose FLOPs are twice this). Auxiliary heads, which only training runs, are not counted either.
"""

from __future__ import annotations

from archdsl.analyses.params import family
from archdsl.analyses.walk import Application, total
from archdsl.ir.graph import Call, Graph
from archdsl.record import value


@value
class Macs:
    """Multiply-accumulates by kind; `other` are matrix products without weights (attention)."""

    conv: int = 0
    linear: int = 0
    other: int = 0

    @property
    def total(self) -> int:
        """All multiply-accumulates."""
        return self.conv + self.linear + self.other

    @property
    def flops(self) -> int:
        """Floating-point operations: one multiplication and one addition each."""
        return 2 * self.total

    def __add__(self, more: Macs) -> Macs:
        return Macs(self.conv + more.conv, self.linear + more.linear, self.other + more.other)

    def __mul__(self, times: int) -> Macs:
        return self if times == 1 else Macs(self.conv * times, self.linear * times, self.other * times)


NOTHING = Macs()


def macs(graph: Graph) -> Macs:
    """The multiply-accumulates of a graph for one sample."""
    return total(graph, "macs", NOTHING, _own)


def macs_at(application: Application) -> Macs:
    """The multiply-accumulates of one run of an application."""
    what = application.what
    return macs(what.graph) if isinstance(what, Call) else _own(application)


def _own(application: Application) -> Macs:
    op = application.op
    count = int(op.macs(application.inputs, application.attrs)) if op is not None else 0
    if op is None or not count:
        return NOTHING
    kind = family(op)
    return Macs(**{kind if kind in ("conv", "linear") else "other": count})

"""Receptive fields: how large a square of the input one output position looks at.

Layer by layer r' = r + (k - 1) j and j' = j s, where k is the layer's extent (dilation included), s its stride and j
the product of the strides before it; parallel paths take the larger field. Nothing is clipped at the border: a field
may exceed the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from archdsl.analyses.paths import Reach, reach
from archdsl.analyses.walk import Sizes
from archdsl.ir.graph import Graph
from archdsl.ops.op import Attrs, Op

# A layer that strides more often than this in a row works on a map of one position.
_MOST_STRIDES = 64


@dataclass(frozen=True, slots=True)
class Field:
    """What one position sees of a tensor before it: a square of `extent` positions, moving by `stride` per position.

    everything: it sees the whole of it (a global pool, a flatten, an attention layer).
    """

    extent: Fraction = Fraction(1)
    stride: Fraction = Fraction(1)
    everything: bool = False

    def __str__(self) -> str:
        if self.everything:
            return "all"
        return str(self.extent if self.extent.denominator == 1 else f"{float(self.extent):.1f}")


class _Fields:
    key = "fields"
    nothing = Field()

    def step(self, op: Op, inputs: tuple[Sizes, ...], attrs: Attrs) -> Field:
        window = op.window(inputs, attrs)
        return Field(Fraction(int(window.extent)), Fraction(window.stride), window.everything)

    def then(self, first: Field, second: Field) -> Field:
        extent = first.extent + (second.extent - 1) * first.stride
        return Field(extent, first.stride * second.stride, first.everything or second.everything)

    def either(self, one: Field, other: Field) -> Field:
        everything = one.everything or other.everything
        return Field(max(one.extent, other.extent), max(one.stride, other.stride), everything)

    def again(self, step: Field, count: int) -> Field:
        """(k - 1)(1 + s + ... + s^(n-1)) + 1, in closed form."""
        s, grown = step.stride, step.extent - 1
        if s == 1:
            return Field(grown * count + 1, s, step.everything)
        if count > _MOST_STRIDES:
            return Field(step.extent, s, everything=True)
        return Field(grown * (s**count - 1) / (s - 1) + 1, s**count, step.everything)


FIELDS = _Fields()


def fields(graph: Graph) -> tuple[Field, ...]:
    """The receptive field of each output, over all inputs that reach it."""
    return tuple(widest(found) for found in reach(graph, FIELDS))


def widest(found: Reach[Field]) -> Field:
    """The field over all inputs."""
    result: Field | None = None
    for other in found.values():
        result = other if result is None else FIELDS.either(result, other)
    return result or Field()

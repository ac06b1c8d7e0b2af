"""Everything that is known of a checked network without running it, in one value."""

from __future__ import annotations

from functools import cached_property

from archdsl import deep
from archdsl.analyses.depth import depth
from archdsl.analyses.macs import Macs, macs
from archdsl.analyses.memory import Memory, memory
from archdsl.analyses.params import Params, params
from archdsl.analyses.receptive_field import Field, fields
from archdsl.analyses.walk import applications
from archdsl.ir.graph import Extern, Graph, all_graphs


class Cost:
    """The counts of one network, each found when it is first asked for: a check needs few of them."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    @cached_property
    def params(self) -> Params:
        """Parameters by kind."""
        return params(self._graph)

    @cached_property
    def macs(self) -> Macs:
        """Multiply-accumulates by kind, for one sample."""
        return macs(self._graph)

    @cached_property
    def memory(self) -> Memory:
        """Bytes of inference and of training."""
        return deep.run(lambda: memory(self._graph))

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The receptive field of each output."""
        return fields(self._graph)

    @cached_property
    def depth(self) -> int:
        """Weight layers on the longest path."""
        return depth(self._graph)

    @cached_property
    def unknown(self) -> tuple[str, ...]:
        """The names of the extern classes in it, each once; their parameters are as the text says.

        Nobody can tell their multiply-accumulates, kept tensors and fields.
        """
        found = {
            application.what.name: None
            for inner in all_graphs(self._graph)
            for application in applications(inner)
            if isinstance(application.what, Extern)
        }
        return tuple(found)


def cost(graph: Graph) -> Cost:
    """The counts of a network; each distinct block is analysed once, however often it is applied."""
    return Cost(graph)

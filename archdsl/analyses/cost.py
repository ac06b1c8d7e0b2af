"""Everything that is known of a checked network without running it, in one value."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.analyses.depth import depth
from archdsl.analyses.macs import Macs, macs
from archdsl.analyses.memory import Memory, memory
from archdsl.analyses.params import Params, params
from archdsl.analyses.receptive_field import Field, fields
from archdsl.analyses.walk import applications
from archdsl.ir.graph import Extern, Graph, all_graphs


@dataclass(frozen=True, slots=True)
class Cost:
    """The counts of one network.

    depth: weight layers on the longest path. fields: the receptive field of each output. unknown: the extern classes in
    it, whose multiply-accumulates, kept tensors and fields nobody can tell; their parameters are as the text says.
    """

    params: Params
    macs: Macs
    memory: Memory
    fields: tuple[Field, ...]
    depth: int
    unknown: tuple[str, ...]


def cost(graph: Graph) -> Cost:
    """All counts of a network; each distinct block is analysed once, however often it is applied."""
    return Cost(params(graph), macs(graph), memory(graph), fields(graph), depth(graph), externs(graph))


def externs(graph: Graph) -> tuple[str, ...]:
    """The names of the extern classes a network applies, each once."""
    found = {
        application.what.name: None
        for inner in all_graphs(graph)
        for application in applications(inner)
        if isinstance(application.what, Extern)
    }
    return tuple(found)

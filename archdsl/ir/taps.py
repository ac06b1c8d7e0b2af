"""Networks that also hand out what one of their inner layers makes."""

from __future__ import annotations

from dataclasses import replace

from archdsl.ir.graph import Graph, Wire


def layers(network: Graph) -> dict[str, Wire]:
    """The named tensors of a network that every sample has one of, inputs left out."""
    return {wire.name: wire for node in network.nodes for wire in node.outputs if wire.name and wire.batched}


def tapped(network: Graph, layer: str) -> Graph:
    """The network with one more output behind its own: the tensor called `layer`. Its weights keep their names."""
    outputs, names = (*network.outputs, layers(network)[layer]), (*network.output_names, layer)
    return replace(network, outputs=outputs, output_names=names, cache={})

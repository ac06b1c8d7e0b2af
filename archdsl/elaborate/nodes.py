"""Nodes of the graph: what every application of a primitive ends in."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from archdsl.diagnostic import Label
from archdsl.elaborate import errors
from archdsl.elaborate.values import OpLayer, Value, shape_text
from archdsl.ir.graph import Node, Prim, Wire
from archdsl.limits import ACTIVATIONS, RANK
from archdsl.ops.op import Shape
from archdsl.source import Span

if TYPE_CHECKING:
    from archdsl.elaborate.frame import Frame


def emit(
    prim: Prim, wires: tuple[Wire, ...], found: tuple[Shape, ...], shapes: tuple[Shape, ...], frame: Frame, span: Span
) -> Value:
    """Add the node of a primitive; its outputs, with what is worth knowing about them said."""
    outputs = tuple(Wire(shape, span=span, batched=bool(wires)) for shape in found)
    for wire in outputs:
        if len(wire.shape) > RANK.value:
            frame.give_up(RANK, span)
    for wire in outputs:
        if prod(wire.values) > ACTIVATIONS.value:
            frame.give_up(ACTIVATIONS, span)
    if not span.source.library:
        for note in prim.op.notes(shapes, prim.attrs):
            frame.report(errors.worth_knowing(span, note))
    add_node(Node(prim, wires, outputs, span), frame)
    return outputs[0] if len(outputs) == 1 else outputs


def add_node(node: Node, frame: Frame) -> None:
    """Append a node to the graph being built, marked with the statement it is written in."""
    frame.count_node(node.span)
    node.statement = frame.assembly.statement
    frame.assembly.nodes.append(node)


def arity_fits(layer: OpLayer, wires: tuple[Wire, ...], frame: Frame, span: Span) -> bool:
    """Whether a primitive takes that many tensors (reported where not)."""
    fewest, most = layer.op.inputs
    if len(wires) >= fewest and (most is None or len(wires) <= most):
        return True
    wanted = "one tensor" if (fewest, most) == (1, 1) else f"at least {fewest} tensors"
    wanted = f"{fewest} tensors" if fewest == most != 1 else wanted
    frame.report(errors.wrong_inputs(span, layer.op.name, wanted, len(wires)))
    return False


def made(wire: Wire) -> Label:
    """A label that says which shape a tensor has, at the place that made it."""
    assert wire.span is not None
    name = f"`{wire.name}`" if wire.name else "this"
    return Label(wire.span, f"{name} is {shape_text(wire)}")

"""Layers in a row as one node: what becomes an `nn.Sequential`. Equal copies are counted, not made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from archdsl.elaborate import errors
from archdsl.elaborate.merges import settled
from archdsl.elaborate.nodes import add_node
from archdsl.elaborate.values import (
    UNKNOWN,
    BlockLayer,
    Join,
    Layer,
    Named,
    Repeat,
    Sequence,
    Unknown,
    Value,
    layer_name,
)
from archdsl.ir.graph import Call, Chain, Node, Prim, Segment, Unit, Wire
from archdsl.limits import REPEATS
from archdsl.ops.op import Attrs
from archdsl.scalar import Scalar
from archdsl.source import Span

if TYPE_CHECKING:
    from archdsl.elaborate.frame import Frame


# ---- chains -----------------------------------------------------------------------------------------------------


def apply_chain(layers: tuple[Layer, ...], wires: tuple[Wire, ...], frame: Frame, span: Span, label: str) -> Value:
    """Layers in a row as one node."""
    if len(wires) != 1:
        frame.report(errors.wrong_inputs(span, label or "a row of layers", "one tensor", len(wires)))
        return UNKNOWN
    made = chain(layers, wires[0], frame, span)
    if isinstance(made, Unknown):
        return UNKNOWN
    segments, out = made
    if not segments:
        return out
    units = [unit for segment in segments for unit in segment.units]
    if len(units) == 1 and units[0].count == 1:
        node = units[0].node
        node.inputs, node.label = wires, node.label or label
        add_node(node, frame)
        return node.outputs[0]
    result = Wire(out.shape, span=span)
    add_node(Node(Chain(segments), wires, (result,), span, label=label), frame)
    return result


def chain(layers: Iterable[Layer], wire: Wire, frame: Frame, span: Span) -> tuple[tuple[Segment, ...], Wire] | Unknown:
    """The segments of layers in a row from `wire`, and the tensor that comes out."""
    with frame.row(span):
        return _chain(list(_flattened(layers)), wire, frame, span)


def _chain(flat: list[Layer], wire: Wire, frame: Frame, span: Span) -> tuple[tuple[Segment, ...], Wire] | Unknown:
    segments: list[Segment] = []
    for index, layer in enumerate(flat):
        place = f"unit {index + 1} of {len(flat)}" if len(flat) > 1 else ""
        made = _segment(layer, wire, frame, span, place)
        if isinstance(made, Unknown):
            return UNKNOWN
        segment, wire = made
        if segment is not None:
            _append(segments, segment)
    return tuple(segments), wire


def _append(segments: list[Segment], segment: Segment) -> None:
    """Add a segment; a single unit equal to the one before is one more copy of it."""
    last = segments[-1].units[-1] if segments else None
    first = segment.units[0]
    if last is None or len(segment.units) > 1 or segment.count.expr is not None or segments[-1].count.expr is not None:
        segments.append(segment)
    elif len(segments[-1].units) == 1 and _same(last.node, first.node):
        count = last.count + first.count
        segments[-1] = Segment((Unit(last.node, count),), Scalar(count))
    else:
        segments.append(segment)


def _same(one: Node, other: Node) -> bool:
    """Whether two units are copies of each other: same layer, same arguments, same sizes in and out."""
    if one.shared or other.shared or one.inputs[0].values != one.outputs[0].values:
        return False
    if one.inputs[0].values != other.inputs[0].values:
        return False
    a, b = one.what, other.what
    if isinstance(a, Prim) and isinstance(b, Prim):
        return a.op is b.op and a.body is None and b.body is None and _terms(a.attrs) == _terms(b.attrs)
    if isinstance(a, Call) and isinstance(b, Call):
        return a.graph is b.graph and _terms(a.args) == _terms(b.args)
    return False


def _terms(attrs: Attrs) -> list[object]:
    return [value.term if isinstance(value, Scalar) else value for value in attrs.values()]


def _flattened(layers: Iterable[Layer]) -> Iterable[Layer]:
    for layer in layers:
        if isinstance(layer, Sequence):
            yield from _flattened(layer.layers)
        elif isinstance(layer, Named) and isinstance(layer.layer, (Sequence, Repeat)):
            yield from _flattened((layer.layer,))
        else:
            yield layer


def _segment(layer: Layer, wire: Wire, frame: Frame, span: Span, place: str) -> tuple[Segment | None, Wire] | Unknown:
    if isinstance(layer, Repeat):
        return _repeated(layer, wire, frame, span)
    with placed(frame, place):
        made = _unit(layer, wire, frame, span)
    if isinstance(made, Unknown):
        return UNKNOWN
    node, out = made
    return (None, out) if node is None else (Segment((Unit(node),), Scalar(1)), out)


class placed:  # noqa: N801  reads as a phrase in a with statement
    """Adds a place ("unit 2 of 3") to what calls made inside are said to come from."""

    def __init__(self, frame: Frame, place: str) -> None:
        self.frame, self.place, self.before = frame, place, frame.place

    def __enter__(self) -> None:
        if self.place:
            self.frame.place = f"{self.before}, {self.place}" if self.before else self.place

    def __exit__(self, *_: object) -> None:
        self.frame.place = self.before


def _repeated(layer: Repeat, wire: Wire, frame: Frame, span: Span) -> tuple[Segment | None, Wire] | Unknown:
    """`layer * n`: applied once for each change of size; the copies behind a fixed size are counted, not made."""
    total = layer.count.value
    if not isinstance(total, int) or not 0 <= total <= REPEATS.value:
        frame.report(errors.bad_arithmetic(layer.span, f"a repeat is 0 to {REPEATS.value:,} times, not {total}"))
        return UNKNOWN
    units: list[Unit] = []
    done = 0
    while done < total:
        with placed(frame, f"unit {done + 1} of {total}"):
            made = _unit(layer.layer, wire, frame, span)
        if isinstance(made, Unknown):
            return UNKNOWN
        node, out = made
        if node is None:  # a layer that does nothing, however often
            return None, out
        count = total - done if out.values == wire.values else 1
        units.append(Unit(node, count))
        wire, done = out, done + count
    return (Segment(tuple(units), layer.count), wire) if units else (None, wire)


def _unit(layer: Layer, wire: Wire, frame: Frame, span: Span) -> tuple[Node | None, Wire] | Unknown:
    """One layer as one node outside the graph, reading a wire of its own."""
    source = Wire(wire.shape, "", wire.span, wire.batched)
    from archdsl.elaborate.apply import apply_block, apply_layer

    with frame.detached() as nodes:
        if isinstance(layer, BlockLayer):
            value = apply_block(layer, (source,), frame, span, closed=True)
        else:
            value = apply_layer(layer, (source,), frame, span)
        if isinstance(value, Join):
            value = settled(value, frame)
    if value is UNKNOWN:
        return UNKNOWN
    if not isinstance(value, Wire):
        count = len(value) if isinstance(value, tuple) else 0
        frame.report(errors.not_one_tensor(span, layer_name(layer), count))
        return UNKNOWN
    if not nodes:
        return None, wire
    if len(nodes) == 1:
        return nodes[0], value
    segments = tuple(Segment((Unit(node),), Scalar(1)) for node in nodes)
    return Node(Chain(segments), (source,), (value,), span), value

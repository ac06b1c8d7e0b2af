"""Layers applied to tensors: this is where nodes of the graph come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.elaborate import errors
from archdsl.elaborate.arguments import missing, op_attributes
from archdsl.elaborate.chains import apply_chain, chain
from archdsl.elaborate.merges import all_tensors, merge, settled
from archdsl.elaborate.nodes import arity_fits, emit, made
from archdsl.elaborate.values import (
    UNKNOWN,
    BlockLayer,
    Layer,
    Named,
    OpLayer,
    Repeat,
    Sequence,
    Shared,
    Unknown,
    Value,
    is_layer,
    layer_name,
    shape_text,
)
from archdsl.ir.graph import Call, Chain, Node, Prim, Wire
from archdsl.ops.op import Misfit
from archdsl.source import Span

if TYPE_CHECKING:
    from archdsl.elaborate.frame import Frame


def apply(layer: Value, inputs: Value, frame: Frame, span: Span) -> Value:
    """`inputs -> layer`: a tensor, a list of tensors where the layer gives several, or UNKNOWN after an error."""
    if layer is UNKNOWN or inputs is UNKNOWN or (isinstance(inputs, tuple) and any(v is UNKNOWN for v in inputs)):
        return UNKNOWN
    if not is_layer(layer):
        frame.report(errors.not_a_layer(span, layer))
        return UNKNOWN
    if isinstance(layer, OpLayer) and layer.op.inputs[1] != 1 and layer.op.inputs != (0, 0):
        values = inputs if isinstance(inputs, tuple) else (inputs,)
        return merge(layer.op.name, values, layer.bound, frame, span)
    wires = _wires(inputs, frame, span, layer)
    return UNKNOWN if wires is None else apply_layer(layer, wires, frame, span)


def _wires(inputs: Value, frame: Frame, span: Span, layer: Layer) -> tuple[Wire, ...] | None:
    values = inputs if isinstance(inputs, tuple) else (inputs,)
    tensors = all_tensors(values, f"`{layer_name(layer)}`", frame, span)
    return None if tensors is None else tuple(settled(tensor, frame) for tensor in tensors)


def apply_layer(layer: Layer, wires: tuple[Wire, ...], frame: Frame, span: Span) -> Value:
    """A layer of any kind on tensors that are settled."""
    if isinstance(layer, OpLayer):
        return _apply_op(layer, wires, frame, span)
    if isinstance(layer, BlockLayer):
        return apply_block(layer, wires, frame, span)
    if isinstance(layer, Named):
        return _apply_named(layer, wires, frame, span)
    if isinstance(layer, Shared):
        return _apply_shared(layer, wires, frame, span)
    if isinstance(layer, Repeat) or layer.grouped:
        label = layer.label if isinstance(layer, Sequence) else ""
        return apply_chain((layer,), wires, frame, span, label)
    return _apply_inline(layer, wires, frame, span)


def _apply_inline(layer: Sequence, wires: tuple[Wire, ...], frame: Frame, span: Span) -> Value:
    """The layers one after the other, in the graph itself."""
    value: Value = wires if len(wires) != 1 else wires[0]
    for part in layer.layers:
        value = apply(part, value, frame, span)
    return value


# ---- primitives -------------------------------------------------------------------------------------------------


def _apply_op(layer: OpLayer, wires: tuple[Wire, ...], frame: Frame, span: Span) -> Value:
    attrs = op_attributes(layer, frame, span)
    if attrs is None or not arity_fits(layer, wires, frame, span):
        return UNKNOWN
    if layer.op.name == "identity":
        return wires[0]  # nothing to run, nothing to count
    body = None
    if layer.op.wraps:
        body = _body(layer, wires, frame, span)
        if body is None:
            return UNKNOWN
    prim = Prim(layer.op, attrs, body)
    shapes = tuple(w.shape for w in wires) if body is None else tuple(w.shape for w in _chain_outputs(body, wires))
    found = layer.op.infer(shapes, attrs)
    if isinstance(found, Misfit):
        _report_misfit(layer, found, wires, frame, span)
        return UNKNOWN
    return emit(prim, wires, tuple(found), shapes, frame, span)


def _report_misfit(layer: OpLayer, misfit: Misfit, wires: tuple[Wire, ...], frame: Frame, span: Span) -> None:
    parts = tuple(made(wire) for wire in wires if wire.span is not None and wire.span.source is span.source)
    if len(wires) > 1:
        frame.report(errors.shape_mismatch(span, f"`{layer.op.name}`", misfit.reason, parts, misfit.hint))
    else:
        apart = parts and (parts[0].span.end <= span.start or parts[0].span.start > span.end)
        frame.report(errors.does_not_fit(span, layer.op.name, misfit.reason, misfit.hint, parts[0] if apart else None))


def _body(layer: OpLayer, wires: tuple[Wire, ...], frame: Frame, span: Span) -> Chain | None:
    """The layer that a wrapping primitive holds, as a chain."""
    if layer.body is None:
        frame.report(errors.missing_argument(span, layer.op.name, ("layer",)))
        return None
    made = chain((layer.body,), wires[0], frame, span)
    if isinstance(made, Unknown):
        return None
    return Chain(made[0])


def _chain_outputs(body: Chain, wires: tuple[Wire, ...]) -> tuple[Wire, ...]:
    last = None
    for unit in body.units():
        last = unit.node
    return wires if last is None else last.outputs


# ---- blocks -----------------------------------------------------------------------------------------------------


def apply_block(layer: BlockLayer, wires: tuple[Wire, ...], frame: Frame, span: Span, closed: bool = False) -> Value:
    """A block on tensors, once nothing is left open; `closed` makes its own join inside it."""
    from archdsl.elaborate.calls import call_block

    absent = missing(layer)
    if absent:
        frame.report(errors.missing_argument(span, layer.block.name.text, absent, layer.block.name.span))
        return UNKNOWN
    return call_block(layer, wires, frame, span, closed)


def _apply_named(layer: Named, wires: tuple[Wire, ...], frame: Frame, span: Span) -> Value:
    inner = layer.layer
    if isinstance(inner, (Sequence, Repeat)):
        return apply_chain((inner,), wires, frame, span, layer.label)
    before = len(frame.assembly.nodes)
    value = apply_layer(inner, wires, frame, span)
    if len(frame.assembly.nodes) == before + 1:
        frame.assembly.nodes[-1].label = layer.label
    return value


def _apply_shared(layer: Shared, wires: tuple[Wire, ...], frame: Frame, span: Span) -> Value:
    if layer.owner.assembly is not frame.assembly:
        frame.report(errors.shared_elsewhere(span, layer.key, layer.span))
        return UNKNOWN
    before = len(frame.assembly.nodes)
    if isinstance(layer.layer, (Sequence, Repeat)):
        value = apply_chain((layer.layer,), wires, frame, span, layer.key)
    else:
        value = apply_layer(layer.layer, wires, frame, span)
    if len(frame.assembly.nodes) == before + 1:
        _mark_shared(frame.assembly.nodes[-1], layer, frame, span)
    return value


def _mark_shared(node: Node, layer: Shared, frame: Frame, span: Span) -> None:
    """One set of weights: every use must need the same ones, which holds where the input sizes are the same."""
    node.shared = node.label = layer.key
    sizes = ", ".join(shape_text(wire) for wire in node.inputs)
    first, weights, made = frame.assembly.shared.setdefault(layer.key, (sizes, _weight_sizes(node), span))
    if weights != _weight_sizes(node):
        frame.report(errors.shared_sizes(span, layer.key, first, sizes, made))


def _weight_sizes(node: Node) -> object:
    """What decides the weights of a node: those of a primitive, the graph of a block, the units of a chain."""
    what = node.what
    if isinstance(what, Prim):
        shapes = tuple(w.shape for w in node.inputs)
        return tuple((w.name, tuple(int(d) for d in w.shape)) for w in what.op.weights(shapes, what.attrs))
    if isinstance(what, Call):
        return id(what.graph)
    if isinstance(what, Chain):
        return tuple((_weight_sizes(unit.node), unit.count) for unit in what.units())
    return None

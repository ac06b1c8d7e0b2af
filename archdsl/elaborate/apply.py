"""Layers applied to tensors: this is where nodes of the graph come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from archdsl.diagnostic import Label
from archdsl.elaborate import errors
from archdsl.elaborate.arguments import missing, op_attributes
from archdsl.elaborate.values import (
    UNKNOWN,
    BlockLayer,
    Join,
    Layer,
    Named,
    OpLayer,
    Repeat,
    Sequence,
    Shared,
    Unknown,
    Value,
    is_layer,
    is_tensor,
    layer_name,
    shape_text,
)
from archdsl.ir.graph import Branches, Call, Chain, Node, Prim, Segment, Unit, Wire
from archdsl.limits import ACTIVATIONS, REPEATS
from archdsl.ops import OPS
from archdsl.ops.op import Misfit
from archdsl.scalar import Scalar
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
    return UNKNOWN if wires is None else _apply(cast(Layer, layer), wires, frame, span)


def _wires(inputs: Value, frame: Frame, span: Span, layer: Value) -> tuple[Wire, ...] | None:
    values = inputs if isinstance(inputs, tuple) else (inputs,)
    for value in values:
        if not is_tensor(value):
            frame.report(errors.not_a_tensor(span, value, f"`{layer_name(layer)}`"))  # pyright: ignore[reportArgumentType]
            return None
    return tuple(settled(value, frame) for value in values)  # pyright: ignore[reportArgumentType]


def _apply(layer: Layer, wires: tuple[Wire, ...], frame: Frame, span: Span) -> Value:
    if isinstance(layer, OpLayer):
        return _apply_op(layer, wires, frame, span)
    if isinstance(layer, BlockLayer):
        return _apply_block(layer, wires, frame, span)
    if isinstance(layer, Named):
        return _apply_named(layer, wires, frame, span)
    if isinstance(layer, Shared):
        return _apply_shared(layer, wires, frame, span)
    if isinstance(layer, Repeat) or layer.grouped:
        label = layer.label if isinstance(layer, Sequence) else ""
        return _apply_chain((layer,), wires, frame, span, label)
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
    if attrs is None or not _arity_fits(layer, wires, frame, span):
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
    return _emit(prim, wires, tuple(found), shapes, frame, span)


def _emit(
    prim: Prim, wires: tuple[Wire, ...], found: tuple[tuple[object, ...], ...], shapes: object, frame: Frame, span: Span
) -> Value:
    outputs = tuple(Wire(shape, span=span, batched=bool(wires)) for shape in found)  # pyright: ignore[reportArgumentType]
    if any(_elements(wire) > ACTIVATIONS.value for wire in outputs):
        frame.give_up(ACTIVATIONS, span)
    if not span.source.library:
        for note in prim.op.notes(shapes, prim.attrs):  # pyright: ignore[reportArgumentType]
            frame.report(errors.worth_knowing(span, note))
    add_node(Node(prim, wires, outputs, span), frame)
    return outputs[0] if len(outputs) == 1 else outputs


def _elements(wire: Wire) -> int:
    total = 1
    for size in wire.values:
        total *= size
    return total


def add_node(node: Node, frame: Frame) -> None:
    """Append a node to the graph being built, marked with the statement it is written in."""
    frame.count_node(node.span)
    node.statement = frame.assembly.statement
    frame.assembly.nodes.append(node)


def _arity_fits(layer: OpLayer, wires: tuple[Wire, ...], frame: Frame, span: Span) -> bool:
    fewest, most = layer.op.inputs
    if len(wires) >= fewest and (most is None or len(wires) <= most):
        return True
    wanted = "one tensor" if (fewest, most) == (1, 1) else f"at least {fewest} tensors"
    wanted = f"{fewest} tensors" if fewest == most != 1 else wanted
    frame.report(errors.wrong_inputs(span, layer.op.name, wanted, len(wires)))
    return False


def _report_misfit(layer: OpLayer, misfit: Misfit, wires: tuple[Wire, ...], frame: Frame, span: Span) -> None:
    parts = tuple(_made(wire) for wire in wires if wire.span is not None and wire.span.source is span.source)
    if len(wires) > 1:
        frame.report(errors.shape_mismatch(span, f"`{layer.op.name}`", misfit.reason, parts, misfit.hint))
    else:
        made = parts[0] if parts and (parts[0].span.end <= span.start or parts[0].span.start > span.end) else None
        frame.report(errors.does_not_fit(span, layer.op.name, misfit.reason, misfit.hint, made))


def _made(wire: Wire) -> Label:
    assert wire.span is not None
    name = f"`{wire.name}`" if wire.name else "this"
    return Label(wire.span, f"{name} is {shape_text(wire)}")


def merge(
    name: str, values: tuple[Value, ...], attrs: dict[str, Value], frame: Frame, span: Span, title: str | None = None
) -> Value:
    """Several tensors made one: `+`, `concat(...)`, `join(...)`."""
    if any(value is UNKNOWN for value in values):
        return UNKNOWN
    for value in values:
        if not is_tensor(value):
            frame.report(errors.not_a_tensor(span, value, title or f"`{name}`"))
            return UNKNOWN
    op = OPS[name]
    layer = OpLayer(op, attrs, span)
    coerced = op_attributes(layer, frame, span)
    if coerced is None:
        return UNKNOWN
    if name == "join":
        prim = Prim(op, coerced)
        columns = tuple(wire for value in values for wire in _columns(value, prim, frame))
        return Join(prim, columns, span)
    wires = tuple(settled(value, frame) for value in values)  # pyright: ignore[reportArgumentType]
    if not _arity_fits(layer, wires, frame, span):
        return UNKNOWN
    found = op.infer(tuple(w.shape for w in wires), coerced)
    if isinstance(found, Misfit):
        parts = tuple(_made(w) for w in wires if w.span is not None and w.span.source is span.source)
        hint = found.hint or _projection(wires)
        frame.report(errors.shape_mismatch(span, title or f"`{name}`", found.reason, parts, hint))
        return UNKNOWN
    return _emit(Prim(op, coerced), wires, tuple(found), tuple(w.shape for w in wires), frame, span)


def _projection(wires: tuple[Wire, ...]) -> str | None:
    """What would make two maps meet: a projection of the larger one."""
    if len(wires) != 2 or any(len(wire.shape) != 3 for wire in wires):
        return None
    large, small = sorted(wires, key=lambda wire: -wire.values[1])
    (width, height, _), (_, tall, _) = small.values, large.values
    if tall % height:
        return None
    stride = f", stride={tall // height}" if tall != height else ""
    return f"project the larger one: `{large.name or '...'} -> conv({width}, 1{stride})`"


# ---- joins ------------------------------------------------------------------------------------------------------


def _columns(value: Value, merge: Prim | None, frame: Frame) -> tuple[Wire, ...]:
    """What a value brings into a join: its own columns where it is a join of the same kind, else itself."""
    if isinstance(value, Join) and value.result is None and (merge is None or value.merge.attrs == merge.attrs):
        value.call = None  # its columns are used one by one: the block stays open
        return value.columns
    return (settled(value, frame),)  # pyright: ignore[reportArgumentType]


def settled(value: Wire | Join, frame: Frame) -> Wire:
    """The value as one tensor; a join is made now, and once."""
    if isinstance(value, Wire):
        return value
    if value.result is None:
        value.result = _closed_call(value, frame) or _joined(value, frame)
    return value.result


def _joined(join: Join, frame: Frame) -> Wire:
    shapes = tuple(w.shape for w in join.columns)
    found = join.merge.op.infer(shapes, join.merge.attrs)
    if isinstance(found, Misfit):
        parts = tuple(_made(w) for w in join.columns if w.span is not None)
        frame.report(errors.shape_mismatch(join.span, "`join`", found.reason, parts, found.hint))
        return Wire(join.columns[0].shape, span=join.span)
    return cast(Wire, _emit(join.merge, join.columns, tuple(found), shapes, frame, join.span))


def _closed_call(join: Join, frame: Frame) -> Wire | None:
    """The block's own join made inside it, where its columns go nowhere else."""
    node = join.call
    if node is None or not isinstance(node.what, Call) or node not in frame.assembly.nodes:
        return None
    from archdsl.elaborate.bodies import close_call

    return close_call(node, frame)


# ---- blocks -----------------------------------------------------------------------------------------------------


def _apply_block(layer: BlockLayer, wires: tuple[Wire, ...], frame: Frame, span: Span, closed: bool = False) -> Value:
    from archdsl.elaborate.bodies import call_block

    absent = missing(layer)
    if absent:
        frame.report(errors.missing_argument(span, layer.block.name.text, absent, layer.block.name.span))
        return UNKNOWN
    return call_block(layer, wires, frame, span, closed)


def _apply_named(layer: Named, wires: tuple[Wire, ...], frame: Frame, span: Span) -> Value:
    inner = layer.layer
    if isinstance(inner, (Sequence, Repeat)):
        return _apply_chain((inner,), wires, frame, span, layer.label)
    before = len(frame.assembly.nodes)
    value = _apply(inner, wires, frame, span)
    if len(frame.assembly.nodes) == before + 1:
        frame.assembly.nodes[-1].label = layer.label
    return value


def _apply_shared(layer: Shared, wires: tuple[Wire, ...], frame: Frame, span: Span) -> Value:
    if layer.owner.assembly is not frame.assembly:
        frame.report(errors.shared_elsewhere(span, layer.key, layer.span))
        return UNKNOWN
    before = len(frame.assembly.nodes)
    if isinstance(layer.layer, (Sequence, Repeat)):
        value = _apply_chain((layer.layer,), wires, frame, span, layer.key)
    else:
        value = _apply(layer.layer, wires, frame, span)
    if len(frame.assembly.nodes) == before + 1:
        _mark_shared(frame.assembly.nodes[-1], layer, frame, span)
    return value


def _mark_shared(node: Node, layer: Shared, frame: Frame, span: Span) -> None:
    """One set of weights: every use must need the same ones, which holds where the input sizes are the same."""
    node.shared = node.label = layer.key
    sizes = ", ".join(shape_text(wire) for wire in node.inputs)
    first = frame.assembly.shared.setdefault(layer.key, (sizes, _weight_sizes(node)))
    if first[1] != _weight_sizes(node):
        frame.report(errors.shared_sizes(span, layer.key, f"for {first[0]}", f"other ones for {sizes}"))


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


# ---- chains -----------------------------------------------------------------------------------------------------


def _apply_chain(layers: tuple[Layer, ...], wires: tuple[Wire, ...], frame: Frame, span: Span, label: str) -> Value:
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


def chain(
    layers: Iterable[Layer], wire: Wire, frame: Frame, span: Span
) -> tuple[tuple[Segment, ...], Wire] | Unknown:
    """The segments of layers in a row from `wire`, and the tensor that comes out."""
    segments: list[Segment] = []
    flat = list(_flattened(layers))
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


def _terms(attrs: dict[str, object]) -> list[object]:
    return [value.term if isinstance(value, Scalar) else value for value in attrs.values()]


def _flattened(layers: Iterable[Layer]) -> Iterable[Layer]:
    for layer in layers:
        if isinstance(layer, Sequence):
            yield from _flattened(layer.layers)
        elif isinstance(layer, Named) and isinstance(layer.layer, (Sequence, Repeat)):
            yield from _flattened((layer.layer,))
        else:
            yield layer


def _segment(
    layer: Layer, wire: Wire, frame: Frame, span: Span, place: str
) -> tuple[Segment | None, Wire] | Unknown:
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
    if not isinstance(total, int) or total < 0 or total > REPEATS.value:
        frame.report(errors.not_whole(layer.span, f"a repeat (0 to {REPEATS.value:,})", f"the count is {total}"))
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
    source = replace(wire, name="")
    with frame.detached() as nodes:
        value = _apply_block(layer, (source,), frame, span, closed=True) if isinstance(layer, BlockLayer) else (
            _apply(layer, (source,), frame, span)
        )
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


# ---- branches ---------------------------------------------------------------------------------------------------


def branches(
    name: str, attrs: dict[str, Value], runs: list[tuple[list[Node], Value]], frame: Frame, span: Span
) -> Value:
    """A merge over a comprehension: similar chains on one tensor become one `Branches` node, anything else nodes in line.

    `runs` holds, for each item, the nodes made for it (outside the graph) and the tensor it gave.
    """
    values = tuple(value for _, value in runs)
    if any(value is UNKNOWN for value in values):
        return UNKNOWN
    chains = [_as_chain(nodes, value) for nodes, value in runs]
    source = chains[0][0] if chains and chains[0] is not None else None
    if len(runs) < 2 or source is None or name == "join" or any(c is None or c[0] is not source for c in chains):
        for nodes, _ in runs:
            frame.assembly.nodes.extend(nodes)
        return merge(name, values, attrs, frame, span)
    with frame.detached() as nodes:
        value = merge(name, values, attrs, frame, span)
    if not isinstance(value, Wire) or len(nodes) != 1 or not isinstance(nodes[0].what, Prim):
        return value
    what = Branches(tuple(c[1] for c in chains if c is not None), nodes[0].what)
    add_node(Node(what, (source,), (value,), span), frame)
    return value


def _as_chain(nodes: list[Node], value: Value) -> tuple[Wire, Chain] | None:
    """The nodes as a chain from one tensor, where they are one."""
    if not nodes or not isinstance(value, Wire) or nodes[-1].outputs != (value,):
        return None
    for before, after in zip(nodes, nodes[1:], strict=False):
        if after.inputs != before.outputs:
            return None
    if any(len(node.inputs) != 1 or len(node.outputs) != 1 or node.shared for node in nodes):
        return None
    if len(nodes) == 1 and isinstance(nodes[0].what, Chain):
        return nodes[0].inputs[0], nodes[0].what
    if any(isinstance(node.what, (Chain, Branches)) for node in nodes):
        return None
    return nodes[0].inputs[0], Chain(tuple(Segment((Unit(node),), Scalar(1)) for node in nodes))

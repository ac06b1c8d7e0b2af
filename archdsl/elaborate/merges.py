"""Several tensors made one: the merges, joins that wait for more columns, and branches side by side."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, cast

from archdsl.elaborate import errors
from archdsl.elaborate.arguments import op_attributes
from archdsl.elaborate.nodes import add_node, arity_fits, emit, made
from archdsl.elaborate.values import UNKNOWN, Join, OpLayer, Tensor, Value, is_tensor
from archdsl.ir.graph import Branches, Call, Chain, Node, Prim, Segment, Unit, Wire
from archdsl.ops import OPS
from archdsl.ops.op import Misfit
from archdsl.scalar import Scalar
from archdsl.source import Span

if TYPE_CHECKING:
    from archdsl.elaborate.frame import Frame


def merge(
    name: str, values: tuple[Value, ...], attrs: dict[str, Value], frame: Frame, span: Span, title: str | None = None
) -> Value:
    """Several tensors made one: `+`, `concat(...)`, `join(...)`."""
    if any(value is UNKNOWN for value in values):
        return UNKNOWN
    tensors = all_tensors(values, title or f"`{name}`", frame, span)
    if tensors is None:
        return UNKNOWN
    op = OPS[name]
    layer = OpLayer(op, attrs, span)
    coerced = op_attributes(layer, frame, span)
    if coerced is None:
        return UNKNOWN
    if name == "join":
        prim = Prim(op, coerced)
        columns = tuple(wire for tensor in tensors for wire in _columns(tensor, prim, frame))
        frame.check_items(len(columns), span)
        frame.step(span, len(columns))
        return Join(prim, columns, span)
    wires = tuple(settled(tensor, frame) for tensor in tensors)
    if not arity_fits(layer, wires, frame, span):
        return UNKNOWN
    found = op.infer(tuple(w.shape for w in wires), coerced)
    if isinstance(found, Misfit):
        parts = tuple(made(w) for w in wires if w.span is not None and w.span.source is span.source)
        hint = found.hint or (_reduction(wires) if name == "concat" else _projection(wires))
        frame.report(errors.shape_mismatch(span, title or f"`{name}`", found.reason, parts, hint))
        return UNKNOWN
    return emit(Prim(op, coerced), wires, tuple(found), tuple(w.shape for w in wires), frame, span)


def all_tensors(values: tuple[Value, ...], what: str, frame: Frame, span: Span) -> tuple[Tensor, ...] | None:
    """The values, each of which `what` needs to be a tensor; None where one is not (reported)."""
    tensors: list[Tensor] = []
    for value in values:
        if not is_tensor(value):
            frame.report(errors.not_a_tensor(span, value, what))
            return None
        tensors.append(value)
    return tuple(tensors)


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


def _reduction(wires: tuple[Wire, ...]) -> str | None:
    """What would let two maps be put one after the other: the larger one made smaller."""
    if len(wires) != 2 or any(len(wire.shape) != 3 for wire in wires):
        return None
    large, small = sorted(wires, key=lambda wire: -wire.values[1])
    times, rest = divmod(large.values[1], small.values[1])
    return (
        f"make the larger one smaller: `{large.name or '...'} -> max_pool({times})`" if times > 1 and not rest else None
    )


# ---- joins ------------------------------------------------------------------------------------------------------


def _columns(value: Tensor, merge: Prim, frame: Frame) -> tuple[Wire, ...]:
    """What a value brings into a join: its own columns where it is a join of the same kind, else itself."""
    if isinstance(value, Join) and value.result is None and value.merge.attrs == merge.attrs:
        value.call = None  # its columns are used one by one: the block stays open
        return value.columns
    return (settled(value, frame),)


def settled(value: Tensor, frame: Frame) -> Wire:
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
        parts = tuple(made(w) for w in join.columns if w.span is not None)
        frame.report(errors.shape_mismatch(join.span, "`join`", found.reason, parts, found.hint))
        frame.assembly.broken = True
        return Wire(join.columns[0].shape, span=join.span)
    return cast(Wire, emit(join.merge, join.columns, tuple(found), shapes, frame, join.span))


def _closed_call(join: Join, frame: Frame) -> Wire | None:
    """The block's own join made inside it, where its columns go nowhere else."""
    node = join.call
    if node is None or not isinstance(node.what, Call) or node not in frame.assembly.nodes:
        return None
    from archdsl.elaborate.calls import close_call

    return close_call(node, frame)


# ---- branches ---------------------------------------------------------------------------------------------------


def branches(
    name: str, attrs: dict[str, Value], runs: list[tuple[list[Node], Value]], frame: Frame, span: Span
) -> Value:
    """A merge over a comprehension: chains on one tensor become one `Branches` node, anything else nodes in line.

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
    for before, after in pairwise(nodes):
        if after.inputs != before.outputs:
            return None
    if any(len(node.inputs) != 1 or len(node.outputs) != 1 or node.shared for node in nodes):
        return None
    if len(nodes) == 1 and isinstance(nodes[0].what, Chain):
        return nodes[0].inputs[0], nodes[0].what
    if any(isinstance(node.what, (Chain, Branches)) for node in nodes):
        return None
    return nodes[0].inputs[0], Chain(tuple(Segment((Unit(node),), Scalar(1)) for node in nodes))

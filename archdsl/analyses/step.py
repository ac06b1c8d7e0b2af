"""The most that a training step holds at one time, in bytes of float32, where a run lies channels last.

Forwards, that is what autograd keeps of a layer and of all before it, what has a name in the network's own text, and
what the layer puts out. Backwards, it is what autograd keeps up to here, for what later layers kept is let go by then;
the gradients that come in and go out, or wait for other layers; and the workspace of the layer itself. Of a block, all
that it keeps counts while any of its layers is passed, so that the number errs towards more.

Some layers copy what they kept where the gradient lies in another order than the tensor. So both are followed: a
convolution hands on maps and gradients channels last, some layers plainly, and a gradient begins plainly laid, as it
comes from a vector. For this, layers are taken as they stand one after the other; ways that part are not told apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from archdsl.analyses.kept import Bytes, Tape, Way, size_of
from archdsl.analyses.walk import Application, applications, merged, opened, product
from archdsl.ir.graph import Branches, Call, Graph, Node, all_graphs
from archdsl.ops.op import Saved

_FLOAT = 4
# As torch does it on a CPU: whatever comes in, these put out, and give back, channels last or plainly; others hand on.
_CHANNELS_LAST = ("conv", "depthwise", "conv_transpose", "conv_table")
_PLAINLY = ("ln", "instance_norm", "softmax", "maxout", "bernoulli_mask", "reshape", "permute")
_BACK_PLAINLY = ("ln", "instance_norm", "softmax", "slice", "subsample", "crop", "reshape", "permute")
_BACK_LIKE_THE_TENSOR = ("bn", "gn", "relu", "prelu", "max_pool", "avg_pool", "adaptive_avg_pool", "reflect_pad")


def step(graph: Graph) -> Bytes:
    """Tensors, gradients and workspace; weights and their gradients are not counted."""
    for inner in all_graphs(graph):  # callees first
        inner.cache.setdefault(
            "plain after", tuple(_plain_after(applications(inner), plain) for plain in (False, True))
        )
        inner.cache.setdefault("largest", _largest(applications(inner)))
        inner.cache.setdefault("passing", max(_passing(inner), default=0))
    tape = Tape().run(graph, (Way(grad=False),) * len(graph.inputs))
    inputs = zip(graph.inputs, tape.inputs, strict=True)
    held = sum((size_of(wire) for wire, tensor in inputs if tensor.storage.saved), Bytes())
    most = named = held
    for node, passing in zip(graph.nodes, _passing(graph), strict=True):
        held, named = held + tape.kept_at(node), named + tape.kept_at(node) + _unkept(tape, node)
        most = most.most(held + Bytes(passing)).most(named + Bytes(_largest(opened(node, 1, 1, set()))))
    return most


def _unkept(tape: Tape, node: Node) -> Bytes:
    """What a name in the network's own text holds until the forward pass is over, though autograd does not keep it."""
    saved = tape.state_at(node)[1]
    outputs = zip(node.outputs, saved, strict=True)
    return sum((size_of(wire) for wire, kept in outputs if wire.name and not kept), Bytes())


def _largest(layers: Iterable[Application]) -> int:
    """The most that a layer of these puts out, or one of a block."""
    found = 0
    for layer in layers:
        if isinstance(layer.what, Call):
            found = max(found, cast("int", layer.what.graph.cache["largest"]))
        else:
            found = max(found, _FLOAT * sum(map(product, layer.outputs)))
    return found


def _passing(graph: Graph) -> list[int]:
    """For each node the gradients and the workspace while it is passed, in bytes for each sample."""
    statements = [tuple(opened(node, 1, 1, set())) for node in graph.nodes]
    lies = _plain([layer for layers in statements for layer in layers], False)
    found, plain = list[int](), True
    for layers, waiting in zip(reversed(statements), reversed(_waiting(graph)), strict=True):
        lies, own = lies[: len(lies) - len(layers)], lies[len(lies) - len(layers) :]
        widest, plain = _widest(layers, own, plain)
        found.append(waiting + widest)
    return found[::-1]


def _waiting(graph: Graph) -> list[int]:
    """For each node the gradients of other tensors, which later nodes have given and earlier ones will take."""
    made = {id(wire): (place, wire) for place, node in enumerate(graph.nodes) for wire in node.outputs}
    ends = {id(wire): len(graph.nodes) for wire in graph.outputs}
    last = {id(wire): place for place, node in enumerate(graph.nodes) for wire in node.inputs} | ends
    waiting = [_branched(node) for node in graph.nodes]
    for key, (place, wire) in made.items():
        for between in range(place + 1, last.get(key, place)):
            waiting[between] += size_of(wire).per_sample
    return waiting


def _branched(node: Node) -> int:
    """Gradients of all but one of the branches in a node."""
    if not isinstance(node.what, Branches):
        return 0
    sizes = [size_of(wire).per_sample for wire in merged(node, node.what)]
    return sum(sizes) - min(sizes, default=0)


def _widest(layers: Sequence[Application], lies: Sequence[bool], plain: bool) -> tuple[int, bool]:
    """The most that passing any one of these layers takes, and whether the gradient leaves them plainly laid.

    lies: whether each layer's tensors lie plainly; plain: whether the gradient that comes in does.
    """
    most = 0
    for layer, as_is in zip(reversed(layers), reversed(lies), strict=True):
        most = max(most, _taken(layer, plain != as_is))
        name = _name(layer)
        if name in _BACK_LIKE_THE_TENSOR:
            plain = as_is
        elif name in _BACK_PLAINLY:
            plain = True
        elif name in _CHANNELS_LAST or isinstance(layer.what, Call):
            plain = False
    return most, plain


def _taken(layer: Application, relaid: bool) -> int:
    """The gradients of what came in and of what went out, and the workspace."""
    if isinstance(layer.what, Call):
        return cast("int", layer.what.graph.cache["passing"])
    saved = layer.op.saved(layer.inputs, layer.attrs) if layer.op else Saved()
    gradients = _FLOAT * sum(map(product, layer.inputs + layer.outputs))
    return gradients + saved.workspace + (saved.relaid if relaid else 0)


def _plain(layers: Sequence[Application], plain: bool) -> list[bool]:
    """For each layer whether what comes in lies plainly."""
    found: list[bool] = []
    for layer in layers:
        found.append(plain)
        plain = _plain_after([layer], plain)
    return found


def _plain_after(layers: Sequence[Application], plain: bool) -> bool:
    """Whether what comes out of the last of these lies plainly, if what goes into the first does or not."""
    for layer in layers:
        if isinstance(layer.what, Call):
            plain = cast("tuple[bool, bool]", layer.what.graph.cache["plain after"])[plain]
        elif _name(layer) in _CHANNELS_LAST or _name(layer) in _PLAINLY:
            plain = _name(layer) in _PLAINLY
    return plain


def _name(layer: Application) -> str:
    return layer.op.name if layer.op else ""

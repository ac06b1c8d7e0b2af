"""Memory, in bytes of float32: what the layers put out, what inference needs at once, what autograd keeps.

Activations: the outputs of all layers; views cost nothing. Peak: the most that inference holds at one time when a
tensor is freed after its last use; inputs of a block are held while it runs. Kept: see `kept.py`. The network's input
counts only where autograd keeps it; weights are never activations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from archdsl.analyses.kept import Bytes, Kept, kept, kept_in, size_of, usual
from archdsl.analyses.params import Params, params
from archdsl.analyses.walk import Application, ends, is_alias, product, sleeping, total
from archdsl.ir.graph import Branches, Call, Chain, Extern, Graph, Node, Prim, Wire, all_graphs
from archdsl.ops.op import Op

FLOAT = 4
# Numbers an optimiser keeps for each parameter.
OPTIMIZER_STATE = {"sgd": 1, "sgd_plain": 0, "rmsprop": 1, "adagrad": 1, "adam": 2, "adamw": 2}


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of one network. `activations` and `peak` are for inference, `kept` is what training keeps."""

    activations: Bytes
    peak: Bytes
    kept: Bytes
    params: Params

    def training(self, batch: int, optimizer: str = "sgd") -> int:
        """Bytes a training step needs: kept tensors of the batch, parameters, gradients, the optimiser's state."""
        return self.kept.at(batch) + self.weights + self.gradients + self.state(optimizer)

    @property
    def weights(self) -> int:
        """Bytes of the parameters."""
        return FLOAT * self.params.total

    @property
    def gradients(self) -> int:
        """Bytes of the gradients of the trainable parameters."""
        return FLOAT * self.params.trainable

    def state(self, optimizer: str) -> int:
        """Bytes the optimiser keeps: one a parameter for sgd with momentum, two for adam; KeyError if unknown."""
        return FLOAT * self.params.trainable * OPTIMIZER_STATE[optimizer]


def memory(graph: Graph) -> Memory:
    """All that is known of a network's memory without running it."""
    return Memory(activations(graph), peak(graph), kept(graph).inside_of_network(graph), params(graph))


def activations(graph: Graph) -> Bytes:
    """The sum of all layers' outputs."""
    return total(graph, "activations", Bytes(), _own)


def _own(application: Application) -> Bytes:
    op, outputs = application.op, application.node.outputs
    if op is not None and (is_alias(op, application.attrs, len(application.inputs)) or _is_source(op)):
        return Bytes()
    batched = outputs[0].batched if outputs else True
    elements = FLOAT * sum(product(shape) for shape in application.outputs)
    return Bytes(elements, 0) if batched else Bytes(0, elements)


def _is_source(op: Op) -> bool:
    return op.inputs == (0, 0)


def peak(graph: Graph) -> Bytes:
    """The most that inference holds at once, the graph's inputs not counted."""
    for inner in all_graphs(graph):
        if "peak" not in inner.cache:
            kept_in(inner, usual(inner))
            inner.cache["peak"] = _peak(inner)
    return cast("Bytes", graph.cache["peak"])


def _peak(graph: Graph) -> Bytes:
    bases = _bases(graph)
    last = _last_uses(graph, bases)
    most, alive = Bytes(), {id(wire): Bytes() for wire in graph.inputs}
    asleep = set(map(id, sleeping(graph))) if graph.auxiliaries else set[int]()
    for position, node in enumerate(graph.nodes):
        if id(node) in asleep:
            continue
        held = _sum(alive.values())
        most = most.most(held + _needs(node))
        for wire in node.outputs:
            base = bases[id(wire)]
            alive.setdefault(id(base), _size_in(node, base))
        for key in [k for k in alive if last.get(k, -1) <= position]:
            del alive[key]
    return most


def _bases(graph: Graph) -> dict[int, Wire]:
    """For each wire the wire whose memory it is."""
    bases = {id(wire): wire for wire in graph.inputs}
    for node in graph.nodes:
        for k, wire in enumerate(node.outputs):
            source = _source(node, k)
            bases[id(wire)] = wire if source is None else bases.get(id(source), source)
    return bases


def _source(node: Node, k: int) -> Wire | None:
    """The input whose memory output `k` of a node is."""
    what = node.what
    if isinstance(what, Prim) and what.body is None and is_alias(what.op, what.plain, len(node.inputs)):
        return node.inputs[0] if node.inputs else None
    if isinstance(what, Call) and len(what.graph.outputs) == len(node.outputs):
        found = _summary(what.graph).outputs[k]
        return None if found.source is None else node.inputs[found.source]
    return None


def _summary(graph: Graph) -> Kept:
    return kept_in(graph, usual(graph))


def _last_uses(graph: Graph, bases: dict[int, Wire]) -> dict[int, int]:
    """For each base the position of the last node that reads it; outputs and inputs stay."""
    end = len(graph.nodes)
    last: dict[int, int] = {}
    for position, node in enumerate(graph.nodes):
        for wire in node.inputs:
            last[id(bases.get(id(wire), wire))] = position
    for wire in (*graph.outputs, *graph.inputs):
        last[id(bases.get(id(wire), wire))] = end
    return last


def _size_in(node: Node, wire: Wire) -> Bytes:
    what = node.what
    return Bytes() if isinstance(what, Prim) and _is_source(what.op) else size_of(wire)


def _needs(node: Node) -> Bytes:
    """What applying a node takes beside its inputs, its outputs included."""
    what = node.what
    if isinstance(what, Chain):
        return _chain_needs(what)
    if isinstance(what, Branches):
        return _branches_need(node, what)
    if isinstance(what, Prim) and what.body is not None:
        return _chain_needs(what.body).most(_sum(size_of(w) for w in ends(what.body, node.inputs)) + _outputs(node))
    return _plain_needs(what, node)


def _plain_needs(what: Prim | Call | Extern, node: Node) -> Bytes:
    if isinstance(what, Call):
        return cast("Bytes", what.graph.cache["peak"]).most(_outputs(node))
    return Bytes() if isinstance(what, Prim) and _source(node, 0) is not None else _outputs(node)


def _outputs(node: Node) -> Bytes:
    return _sum(_size_in(node, wire) for wire in node.outputs)


def _chain_needs(chain: Chain) -> Bytes:
    most, coming = Bytes(), Bytes()
    for unit in chain.units():
        needs = _needs(unit.node)
        out = Bytes() if _source(unit.node, 0) is not None else _outputs(unit.node)
        most = most.most(coming + needs)
        if unit.count > 1:
            most = most.most(out + needs)
        coming = coming if _source(unit.node, 0) is not None else out
    return most


def _branches_need(node: Node, what: Branches) -> Bytes:
    most, held = Bytes(), Bytes()
    for branch in what.branches:
        most = most.most(held + _chain_needs(branch))
        held += _sum(size_of(wire) for wire in ends(branch, ()))
    return most.most(held + _outputs(node))


def _sum(parts: object) -> Bytes:
    result = Bytes()
    for part in cast("list[Bytes]", parts):
        result += part
    return result

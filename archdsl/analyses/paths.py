"""What adds up along paths: one walk for every analysis that composes along a path and takes the greater of two.

An `Algebra` says what one layer contributes, how two contributions in a row compose, how parallel ones combine and what
`count` equal ones in a row come to. A graph's result is, for each output and each input that reaches it, what lies
between them; it is computed once per distinct graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar, cast

from archdsl.analyses.walk import Sizes, closing, merged, sizes
from archdsl.ir.graph import Branches, Call, Chain, Extern, Graph, Node, Prim, Unit, Wire, all_graphs
from archdsl.ops.op import Attrs, Op

T = TypeVar("T")
# For one tensor: what lies between it and each input (by index) that reaches it.
Reach = dict[int, T]


class Algebra(Protocol[T]):
    """How contributions compose along paths. `key` names the cache entry."""

    @property
    def key(self) -> str: ...
    @property
    def nothing(self) -> T: ...
    def step(self, op: Op, inputs: tuple[Sizes, ...], attrs: Attrs) -> T: ...
    def then(self, first: T, second: T) -> T: ...
    def either(self, one: T, other: T) -> T: ...
    def again(self, step: T, count: int) -> T: ...


def reach(root: Graph, algebra: Algebra[T]) -> tuple[Reach[T], ...]:
    """For each output of `root`: what lies between it and each input."""
    for graph in all_graphs(root):  # callees first, so that nothing recurses
        along(graph, algebra)
    return tuple(along(root, algebra).get(id(wire), {}) for wire in root.outputs)


def along(graph: Graph, algebra: Algebra[T]) -> dict[int, Reach[T]]:
    """For each wire of a graph, by its `id`: what lies between it and each input."""
    if algebra.key not in graph.cache:
        graph.cache[algebra.key] = _along(graph, algebra)
    return cast("dict[int, Reach[T]]", graph.cache[algebra.key])


def _along(graph: Graph, algebra: Algebra[T]) -> dict[int, Reach[T]]:
    known: dict[int, Reach[T]] = {id(wire): {i: algebra.nothing} for i, wire in enumerate(graph.inputs)}
    for node in graph.nodes:
        came = [known.get(id(wire), {}) for wire in node.inputs]
        for wire, out in zip(node.outputs, through(node, came, algebra), strict=False):
            known[id(wire)] = out
    return known


def through(node: Node, came: Sequence[Reach[T]], algebra: Algebra[T]) -> list[Reach[T]]:
    """What reaches the outputs of `node` when `came` reaches its inputs."""
    what = node.what
    if isinstance(what, Chain):
        return _in_chain(what, came, algebra)
    if isinstance(what, Branches):
        parallel = [out for branch in what.branches for out in _in_chain(branch, came, algebra)]
        return _primitive(what.merge, merged(node, what), parallel, node, algebra)
    if isinstance(what, Call):
        return _call(what, node, came, algebra)
    if isinstance(what, Extern):
        return [_together(came, algebra)] * len(node.outputs)
    if what.body is not None:
        came = _in_chain(what.body, came, algebra)
    return _primitive(what, node.inputs, came, node, algebra)


def _in_chain(chain: Chain, came: Sequence[Reach[T]], algebra: Algebra[T]) -> list[Reach[T]]:
    current = list(came)
    for unit in chain.units():
        current = through_unit(unit, current, algebra)
    return current


def through_unit(unit: Unit, came: Sequence[Reach[T]], algebra: Algebra[T]) -> list[Reach[T]]:
    """As `through`, for all copies of a unit."""
    if unit.count == 1:
        return through(unit.node, came, algebra)
    one = through(unit.node, [{0: algebra.nothing}], algebra)[0]
    step = algebra.again(one[0], unit.count)
    return [{i: algebra.then(t, step) for i, t in came[0].items()}]


def _primitive(
    prim: Prim, inputs: tuple[Wire, ...], came: Sequence[Reach[T]], node: Node, algebra: Algebra[T]
) -> list[Reach[T]]:
    step = algebra.step(prim.op, sizes(inputs), prim.plain)
    out = {i: algebra.then(t, step) for i, t in _together(came, algebra).items()}
    return [out] * len(node.outputs)


def _call(call: Call, node: Node, came: Sequence[Reach[T]], algebra: Algebra[T]) -> list[Reach[T]]:
    inside = along(call.graph, algebra)
    outs = [_joined(inside.get(id(wire), {}), came, algebra) for wire in call.graph.outputs]
    join = closing(node, call.graph)
    return outs if join is None else _primitive(join, call.graph.outputs, outs, node, algebra)


def _joined(inside: Reach[T], came: Sequence[Reach[T]], algebra: Algebra[T]) -> Reach[T]:
    """`came` up to the block's inputs, then `inside` from there on."""
    parts = [{i: algebra.then(t, step) for i, t in came[k].items()} for k, step in inside.items()]
    return _together(parts, algebra)


def _together(parts: Sequence[Reach[T]], algebra: Algebra[T]) -> Reach[T]:
    if len(parts) == 1:
        return parts[0]
    result: Reach[T] = {}
    for part in parts:
        for i, value in part.items():
            result[i] = algebra.either(result[i], value) if i in result else value
    return result

"""What every checked graph must satisfy; a violation is a mistake in the compiler, never in the text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archdsl.ir.graph import Branches, Call, Chain, Extern, Graph, Node, Prim, Wire, all_graphs
from archdsl.ops.op import Misfit


class BrokenGraph(Exception):
    """A graph that contradicts itself, with what is wrong."""


def verify(root: Graph) -> None:
    """Check `root` and every graph below it. Raises `BrokenGraph`, naming all contradictions."""
    found = [problem for graph in all_graphs(root) for problem in problems(graph)]
    if found:
        raise BrokenGraph("; ".join(found))


def problems(graph: Graph) -> Iterator[str]:
    """Everything that is wrong with one graph, blocks inside it aside."""
    known = {id(wire) for wire in graph.inputs}
    for node in graph.nodes:
        yield from (
            f"{_place(graph, node)} reads a tensor before it is made" for w in node.inputs if id(w) not in known
        )
        yield from (f"{_place(graph, node)}: {problem}" for problem in _node(node, node.inputs))
        known.update(id(wire) for wire in node.outputs)
    outputs = (*graph.outputs, *(auxiliary.wire for auxiliary in graph.auxiliaries))
    yield from (f"{graph.name} gives out a tensor that nothing makes" for w in outputs if id(w) not in known)
    if graph.open_join is None and len(graph.outputs) != len(graph.output_names):
        yield f"{graph.name} has {len(graph.outputs)} outputs and {len(graph.output_names)} names for them"


def _place(graph: Graph, node: Node) -> str:
    return f"{graph.name}.{node.statement}" if node.statement else graph.name


def _node(node: Node, came: Sequence[Wire]) -> Iterator[str]:
    what = node.what
    if isinstance(what, Prim):
        yield from _prim_node(what, node, came)
    elif isinstance(what, Call):
        yield from _call(what, node, came)
    elif isinstance(what, Chain):
        yield from _chain(what, came, node.outputs)
    elif isinstance(what, Branches):
        yield from _branches(what, node, came)
    elif not isinstance(what, Extern):  # pyright: ignore[reportUnnecessaryIsInstance]
        yield f"{type(what).__name__} is no kind of step"


def _prim_node(prim: Prim, node: Node, came: Sequence[Wire]) -> Iterator[str]:
    if prim.body is None:
        yield from _prim(prim, came, node.outputs)
        return
    ends = _ends(prim.body, came)
    yield from _chain(prim.body, came, ends)
    yield from _prim(prim, ends, node.outputs)


def _prim(prim: Prim, came: Sequence[Wire], outputs: Sequence[Wire]) -> Iterator[str]:
    found = prim.op.infer(tuple(wire.shape for wire in came), prim.attrs)
    if isinstance(found, Misfit):
        yield f"{prim.op.name} does not apply: {found.reason}"
    elif (inferred := [tuple(map(int, s)) for s in found]) != (recorded := [w.values for w in outputs]):
        yield f"{prim.op.name} gives {inferred}, recorded is {recorded}"


def _call(call: Call, node: Node, came: Sequence[Wire]) -> Iterator[str]:
    yield from _same("inputs", call.graph, [w.values for w in call.graph.inputs], [w.values for w in came])
    if call.graph.open_join is not None and len(node.outputs) == 1 != len(call.graph.outputs):
        yield from _prim(call.graph.open_join, call.graph.outputs, node.outputs)
    else:
        outputs = [w.values for w in call.graph.outputs]
        yield from _same("outputs", call.graph, outputs, [w.values for w in node.outputs])


def _same(what: str, graph: Graph, own: list[tuple[int, ...]], given: list[tuple[int, ...]]) -> Iterator[str]:
    if own != given:
        yield f"{what} of {graph.name} are {own}, its caller has {given}"


def _branches(what: Branches, node: Node, came: Sequence[Wire]) -> Iterator[str]:
    ends: list[Wire] = []
    for branch in what.branches:
        out = _ends(branch, came)
        yield from _chain(branch, came, out)
        ends += out
    yield from _prim(what.merge, ends, node.outputs)


def _ends(chain: Chain, start: Sequence[Wire]) -> Sequence[Wire]:
    units = list(chain.units())
    return units[-1].node.outputs if units else start


def _chain(chain: Chain, came: Sequence[Wire], outputs: Sequence[Wire]) -> Iterator[str]:
    for segment in chain.segments:
        if sum(unit.count for unit in segment.units) != int(segment.count):
            yield f"the units of a segment do not add up to {segment.count}"
    for unit in chain.units():
        if [w.values for w in unit.node.inputs] != [w.values for w in came]:
            yield f"a unit reads {[w.values for w in unit.node.inputs]} after {[w.values for w in came]}"
        if unit.count > 1 and [w.values for w in unit.node.outputs] != [w.values for w in unit.node.inputs]:
            yield f"{unit.count} copies of a unit that changes its shape"
        yield from _node(unit.node, unit.node.inputs)
        came = unit.node.outputs
    if [w.values for w in came] != [w.values for w in outputs]:
        yield f"a chain ends in {[w.values for w in came]}, recorded is {[w.values for w in outputs]}"

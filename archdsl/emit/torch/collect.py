"""From graphs to classes: one for each block and structure, callees first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from archdsl.emit.torch.blocks import BlockClass, choose_arguments, values_of
from archdsl.emit.torch.codes import GraphCode, Module, is_nothing
from archdsl.emit.torch.construct import GraphWriter
from archdsl.ir.graph import Branches, Call, Chain, Graph, Node, Prim


@dataclass(frozen=True, slots=True)
class Met:
    """A graph as the network meets it: where among the others, how high above the primitives, how often applied."""

    graph: Graph
    place: int
    height: int
    uses: int


def collect(network: Graph, module: Module) -> list[BlockClass]:
    """All block classes of a network, callees first. Fills `module.classes`."""
    classes: list[BlockClass] = []
    met = _met(network, module)
    for m in met:
        known = module.floats.get(m.graph.name, frozenset())
        module.floats[m.graph.name] = known | {n for n, v in values_of(m.graph).items() if not isinstance(v, int)}
    for height in sorted({m.height for m in met}):
        level = [m for m in met if m.height == height and m.graph is not network]
        classes.extend(_classes_of(level, module, len(classes)))
    return classes


def _classes_of(level: list[Met], module: Module, number: int) -> list[BlockClass]:
    """The classes of the graphs of one height; those below have theirs already."""
    found: dict[tuple[str, GraphCode], BlockClass] = {}
    for m in sorted(level, key=lambda m: m.place):
        code = GraphWriter(module, m.graph).write()
        block = found.setdefault((m.graph.name, code), BlockClass(number + len(found), m.graph.name, m.place))
        block.graphs.append(m.graph)
        block.uses += m.uses
        module.classes[id(m.graph)] = block
    for (_, code), block in found.items():
        block.applies = tuple(sorted({module.classes[id(g)].number for g, _ in applied(block.first, module)}))
        choose_arguments(block, code.symbols())
    return _in_order(found.values())


def _in_order(blocks: Iterable[BlockClass]) -> list[BlockClass]:
    """Blocks as they are met, the forms of one together, the most used first."""
    listed = list(blocks)
    first = {b.block: min(other.place for other in listed if other.block == b.block) for b in listed}
    return sorted(listed, key=lambda b: (first[b.block], -b.uses, b.place))


def _met(network: Graph, module: Module) -> list[Met]:
    """All graphs of a network in the order in which it meets them."""
    heights: dict[int, int] = {}
    uses: dict[int, int] = {}
    order: list[Graph] = []
    for graph in _callees_first(network, module):
        heights[id(graph)] = 1 + max((heights[id(c)] for c, _ in applied(graph, module)), default=0)
        order.append(graph)
    places = {id(graph): place for place, graph in enumerate(_callers_first(network, module))}
    uses[id(network)] = 1
    for graph in reversed(order):
        for callee, count in applied(graph, module):
            uses[id(callee)] = uses.get(id(callee), 0) + count * uses[id(graph)]
    return [Met(g, places[id(g)], heights[id(g)], uses[id(g)]) for g in order]


def _callees_first(network: Graph, module: Module) -> Iterator[Graph]:
    """Every graph once, after all that it applies."""
    seen = {id(network)}
    todo = [(network, applied(network, module))]
    while todo:
        graph, callees = todo[-1]
        callee = next(callees, None)
        if callee is None:
            todo.pop()
            yield graph
        elif id(callee[0]) not in seen:
            seen.add(id(callee[0]))
            todo.append((callee[0], applied(callee[0], module)))


def _callers_first(network: Graph, module: Module) -> Iterator[Graph]:
    """Every graph once, when it is first met."""
    seen: set[int] = set()
    todo = [network]
    while todo:
        graph = todo.pop()
        if id(graph) in seen:
            continue
        seen.add(id(graph))
        yield graph
        todo.extend(reversed([callee for callee, _ in applied(graph, module)]))


def applied(graph: Graph, module: Module) -> Iterator[tuple[Graph, int]]:
    """The graphs that a graph applies itself, and how often in a row."""
    for node in graph.nodes:
        yield from _applied_by(node, 1, module)


def _applied_by(node: Node, count: int, module: Module) -> Iterator[tuple[Graph, int]]:
    what = node.what
    if isinstance(what, Call) and not is_nothing(node):
        yield module.callees.of(what, node.outputs), count
    for chain in _chains(node):
        for unit in chain.units():
            yield from _applied_by(unit.node, count * unit.count, module)


def _chains(node: Node) -> tuple[Chain, ...]:
    what = node.what
    if isinstance(what, Chain):
        return (what,)
    if isinstance(what, Branches):
        return what.branches
    return (what.body,) if isinstance(what, Prim) and what.body is not None else ()

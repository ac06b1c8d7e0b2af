"""The flat view of one graph: every application of a primitive, block or extern in its own text, with its counts.

Chains, branches and wrapped layers are opened; blocks are not, since each `Graph` is analysed once and multiplied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

from archdsl.ir.graph import Branches, Call, Chain, Extern, Graph, Node, Prim, Wire, all_graphs
from archdsl.ops.op import Attrs, Op, Weight
from archdsl.record import record

Sizes = tuple[int, ...]


@record
class Application:
    """One layer as it stands in the text.

    inputs, outputs: shapes per sample; count: how often it runs; copies: how many sets of weights it has (less than
    `count` where weights are shared, 0 where an earlier application already counted them).
    """

    what: Prim | Call | Extern
    node: Node
    inputs: tuple[Sizes, ...]
    outputs: tuple[Sizes, ...]
    count: int
    copies: int

    @property
    def attrs(self) -> Attrs:
        """The attributes as plain values; empty for blocks and externs."""
        return self.what.plain if isinstance(self.what, Prim) else {}

    @property
    def op(self) -> Op | None:
        """The primitive, where it is one."""
        return self.what.op if isinstance(self.what, Prim) else None


def applications(graph: Graph) -> tuple[Application, ...]:
    """Every application in the graph's own text, in the order in which they run."""
    found = graph.cache.get("applications")
    if found is None:
        seen: set[str] = set()
        found = tuple(a for node in graph.nodes for a in opened(node, 1, 1, seen))
        graph.cache["applications"] = found
    return cast("tuple[Application, ...]", found)


def running(graph: Graph) -> tuple[Application, ...]:
    """The applications that evaluation runs: all but those that lead to auxiliary outputs only."""
    if not graph.auxiliaries:
        return applications(graph)
    found = graph.cache.get("running")
    if found is None:
        asleep, seen = set(map(id, sleeping(graph))), set[str]()
        found = tuple(a for node in graph.nodes if id(node) not in asleep for a in opened(node, 1, 1, seen))
        graph.cache["running"] = found
    return cast("tuple[Application, ...]", found)


def sleeping(graph: Graph) -> tuple[Node, ...]:
    """The nodes that reach an auxiliary output and no other, and what nobody reads of that which they make."""
    needed = _reaching(graph, graph.outputs)
    heads = _reaching(graph, tuple(auxiliary.wire for auxiliary in graph.auxiliaries)) - needed
    wires, found = set[int](), list[Node]()
    for node in graph.nodes:
        if id(node) in heads or any(id(wire) in wires for wire in node.inputs):
            found.append(node)
            wires.update(id(wire) for wire in node.outputs)
    return tuple(found)


def _reaching(graph: Graph, ends: tuple[Wire, ...]) -> set[int]:
    """The nodes, by identity, that any of the wires depends on."""
    wires, found = {id(wire) for wire in ends}, set[int]()
    for node in reversed(graph.nodes):
        if any(id(wire) in wires for wire in node.outputs):
            found.add(id(node))
            wires.update(id(wire) for wire in node.inputs)
    return found


def weights(application: Application) -> tuple[Weight, ...]:
    """The learned tensors of one copy of a primitive."""
    op = application.op
    return () if op is None else op.weights(application.inputs, application.attrs)


def numel(weight: Weight) -> int:
    """How many numbers a learned tensor holds."""
    return product(tuple(int(d) for d in weight.shape))


def product(sizes: Sizes) -> int:
    """The number of elements of a shape; 1 for a scalar."""
    result = 1
    for size in sizes:
        result *= size
    return result


def ends(chain: Chain, start: tuple[Wire, ...]) -> tuple[Wire, ...]:
    """The wires that come out of a chain which `start` goes into."""
    for segment in reversed(chain.segments):
        if segment.units:
            return segment.units[-1].node.outputs
    return start


def merged(node: Node, what: Branches) -> tuple[Wire, ...]:
    """What goes into the merge of branches."""
    return tuple(wire for branch in what.branches for wire in ends(branch, node.inputs))


def closing(node: Node, graph: Graph) -> Prim | None:
    """The join that `node` has to apply to the tensors of an open block, where it hands on a single one."""
    return graph.open_join if len(node.outputs) != len(graph.outputs) else None


_OF_ONE = ("sum", "mean", "max", "min", "join", "concat")  # merges that hand on a single tensor as it is


def is_alias(op: Op, attrs: Attrs, inputs: int) -> bool:
    """Whether the output is its input's memory: views, and layers that do nothing as they are set."""
    if op.name in ("dropout", "channel_dropout"):
        return attrs.get("p") == 0
    return op.alias or (inputs == 1 and op.name in _OF_ONE)


def opened(node: Node, count: int, copies: int, seen: set[str]) -> Iterator[Application]:
    """The applications in one node that runs `count` times with `copies` sets of weights.

    seen: the keys of shared weights counted so far; grows.
    """
    if node.shared is not None:
        copies = 0 if node.shared in seen else 1
        seen.add(node.shared)
    what = node.what
    if isinstance(what, Chain):
        yield from _in_chain(what, count, copies, seen)
    elif isinstance(what, Branches):
        for branch in what.branches:
            yield from _in_chain(branch, count, copies, seen)
        yield _application(what.merge, node, merged(node, what), node.outputs, count, copies)
    elif isinstance(what, Prim) and what.body is not None:
        yield from _in_chain(what.body, count, copies, seen)
        yield _application(what, node, ends(what.body, node.inputs), node.outputs, count, copies)
    else:
        yield from _plainly(what, node, count, copies)


def _plainly(what: Prim | Call | Extern, node: Node, count: int, copies: int) -> Iterator[Application]:
    yield _application(what, node, node.inputs, node.outputs, count, copies)
    if isinstance(what, Call) and (join := closing(node, what.graph)) is not None:
        yield _application(join, node, what.graph.outputs, node.outputs, count, copies)


def _in_chain(chain: Chain, count: int, copies: int, seen: set[str]) -> Iterator[Application]:
    for unit in chain.units():
        yield from opened(unit.node, count * unit.count, copies * unit.count, seen)


def _application(
    what: Prim | Call | Extern,
    node: Node,
    inputs: tuple[Wire, ...],
    outputs: tuple[Wire, ...],
    count: int,
    copies: int,
) -> Application:
    return Application(what, node, sizes(inputs), sizes(outputs), count, copies)


def sizes(wires: tuple[Wire, ...]) -> tuple[Sizes, ...]:
    """The shapes of wires, as plain ints."""
    if len(wires) == 1:  # nearly always
        return (wires[0].values,)
    return tuple([wire.values for wire in wires])


T = TypeVar("T")  # what can be added and multiplied: ints and the tallies of the analyses


def total(root: Graph, key: str, zero: T, own: Callable[[Application], T], *, learned: bool = False) -> T:
    """The sum of `own` over everything that evaluation of `root` runs, each distinct graph summed once.

    own: the amount of one primitive or extern. learned: sum over sets of weights instead of runs, auxiliary heads
    included.
    """
    for graph in all_graphs(root):
        if key not in graph.cache:
            graph.cache[key] = _sum(graph, key, zero, own, learned)
    return cast("T", root.cache[key])


def _sum(graph: Graph, key: str, zero: T, own: Callable[[Application], T], learned: bool) -> T:
    result: Any = zero
    for application in applications(graph) if learned else running(graph):
        what = application.what
        one: Any = what.graph.cache[key] if isinstance(what, Call) else own(application)
        if one is not zero:  # most layers add nothing
            result += one * (application.copies if learned else application.count)
    return result

"""Block classes: which graphs share one, and what its constructor takes.

A block's graphs with one structure (operations, wiring, expressions) become one class. Its constructor takes what its
text needs: input sizes first, then the block's required parameters, then the optional ones that vary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from archdsl.emit.torch.names import NOT_LOCAL, Names
from archdsl.ir.graph import Call, Graph, Node, Parameter, Prim, Wire
from archdsl.ops.op import Value
from archdsl.scalar import Expr, Number, Scalar, exact, value_of


@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter of a class. `default` is None where a call must always give it."""

    symbol: str
    name: str
    type: str
    keyword: bool
    default: Number | None = None


@dataclass(slots=True)
class BlockClass:
    """A class to be written: the graphs it stands for, in the order in which the network meets them.

    names: what each symbol of the block is in the class: itself, another symbol, or a constant.
    """

    number: int
    block: str
    place: int  # where the network first meets it
    graphs: list[Graph] = field(default_factory=list[Graph])
    arguments: tuple[Argument, ...] = ()
    names: dict[str, Expr] = field(default_factory=dict[str, Expr])
    uses: int = 0
    applies: tuple[int, ...] = ()  # the numbers of the classes inside

    @property
    def first(self) -> Graph:
        """The graph whose text is written."""
        return self.graphs[0]


def values_of(graph: Graph) -> dict[str, Number]:
    """The numbers that the graph's symbols stand for."""
    numbers = ((p.name, number_of(p.value)) for p in graph.parameters)
    return {name: number for name, number in numbers if number is not None}


def number_of(value: Value) -> Number | None:
    """A value as an exact number; None for what is not a number."""
    if isinstance(value, bool) or not isinstance(value, (int, Fraction, Scalar)):
        return None
    return exact(value_of(value))


def choose_arguments(block: BlockClass, used: frozenset[str]) -> None:
    """Decide what the constructor takes, from the symbols that its text uses in full form."""
    columns = _columns(block.graphs)
    kept: list[Parameter] = []
    names: dict[str, Expr] = {}
    for parameter in _by_rank(block.first.parameters):
        if parameter.name not in used or parameter.name not in columns:
            continue
        names[parameter.name] = _stand_in(parameter, kept, columns)
        if names[parameter.name] == parameter.name:
            kept.append(parameter)
    block.names = names
    spelled = Names(NOT_LOCAL)
    arguments = [_argument(p, spelled.local(p.name), columns[p.name]) for p in _in_order(kept)]
    # an optional parameter whose default Python cannot state is always given, and stands before those that have one
    block.arguments = tuple(sorted(arguments, key=lambda argument: argument.default is not None))


def _columns(graphs: Sequence[Graph]) -> dict[str, tuple[Number, ...]]:
    """The values of each symbol over all instances."""
    rows = [values_of(graph) for graph in graphs]
    return {name: tuple(row[name] for row in rows) for name in rows[0] if all(name in row for row in rows)}


def _by_rank(parameters: Iterable[Parameter]) -> list[Parameter]:
    """Those that stay before those that may be expressed by them."""
    return sorted(parameters, key=lambda p: ("required", "dimension", "optional").index(p.kind))


def _in_order(parameters: Iterable[Parameter]) -> list[Parameter]:
    """The order of the constructor: sizes that come in, then what the author asks for."""
    return sorted(parameters, key=lambda p: ("dimension", "required", "optional").index(p.kind))


def _stand_in(parameter: Parameter, kept: Sequence[Parameter], columns: Mapping[str, tuple[Number, ...]]) -> Expr:
    """What the class says in the place of a parameter: the parameter itself, an equal one, or its only value."""
    values = columns[parameter.name]
    if parameter.kind == "required":
        return parameter.name
    if parameter.kind == "optional" and len(set(values)) == 1:
        return values[0]
    equal = (p.name for p in kept if columns[p.name] == values and _comparable(p, parameter))
    return next(equal, parameter.name)


def _comparable(kept: Parameter, other: Parameter) -> bool:
    """Whether equal values mean the same: a height is no number of channels, whatever its value."""
    return _is_extent(kept) == _is_extent(other)


def _is_extent(parameter: Parameter) -> bool:
    return parameter.kind == "dimension" and not parameter.name.endswith("_channels")


def _argument(parameter: Parameter, name: str, values: tuple[Number, ...]) -> Argument:
    whole = all(isinstance(value, int) for value in values)
    keyword = parameter.kind == "optional"
    return Argument(parameter.name, name, "int" if whole else "float", keyword, _default(parameter, whole))


def _default(parameter: Parameter, whole: bool) -> Number | None:
    """The default as a literal; none where it depends on other parameters."""
    if parameter.kind != "optional" or (isinstance(parameter.default, Scalar) and parameter.default.expr is not None):
        return None
    default = number_of(parameter.default)
    return default if not whole or isinstance(default, int) else None


class Callees:
    """The graph that a call applies. A block that ends in an open join is closed where one tensor is wanted."""

    def __init__(self) -> None:
        self._closed: dict[int, tuple[Graph, Graph]] = {}

    def of(self, call: Call, outputs: Sequence[Wire]) -> Graph:
        """The graph that `call` applies where it gives `outputs`."""
        graph = call.graph
        if graph.open_join is None or len(graph.outputs) == len(outputs):
            return graph
        if id(graph) not in self._closed:
            self._closed[id(graph)] = (graph, _closed(graph, graph.open_join, outputs[0]))
        return self._closed[id(graph)][1]


def _closed(graph: Graph, join: Prim, like: Wire) -> Graph:
    """A block with its open join applied."""
    out = Wire(graph.outputs[0].shape, "", like.span)
    span = graph.nodes[-1].span
    node = Node(join, graph.outputs, (out,), span, statement="out")
    return Graph(
        graph.name,
        graph.kind,
        graph.parameters,
        graph.inputs,
        (*graph.nodes, node),
        (out,),
        ("out",),
        inits=graph.inits,
        decisions=(*graph.decisions, ("its columns are joined", True)),
        doc=graph.doc,
        span=graph.span,
    )

"""A checked graph as text: every graph once, callees first. Stable, for people and for tests.

Layers show what they are given beyond their defaults, as expressions over the block's parameters where there are some;
shapes are numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from archdsl.ir.graph import Branches, Call, Chain, Extern, Graph, InitRule, Node, Prim, Segment, Unit, Wire, all_graphs
from archdsl.ops.op import Value
from archdsl.scalar import Expr, Scalar
from archdsl.visible import visible


def graph_text(network: Graph) -> str:
    """The network and every block in it, as text."""
    graphs = all_graphs(network)
    names = _graph_names(graphs)
    return "\n".join("".join(f"{line}\n" for line in _Writer(graph, names).lines()) for graph in graphs)


def _graph_names(graphs: Sequence[Graph]) -> dict[int, str]:
    """Block names, numbered in the order of `graphs`: one block has a graph for each distinct call."""
    counts: dict[str, int] = {}
    names: dict[int, str] = {}
    for graph in graphs:
        counts[graph.name] = counts.get(graph.name, 0) + 1
        names[id(graph)] = (
            f"{visible(graph.name)}#{counts[graph.name]}" if graph.kind == "block" else visible(graph.name)
        )
    return names


class _Writer:
    """Writes one graph."""

    def __init__(self, graph: Graph, names: dict[int, str]) -> None:
        self._graph = graph
        self._names = names
        self._wires: dict[int, str] = {}

    def lines(self) -> Iterator[str]:
        graph = self._graph
        parameters = ", ".join(f"{visible(p.name)}={_number(p.value)}" for p in graph.parameters)
        yield f"{graph.kind} {self._names[id(graph)]}({parameters})"
        yield from (f"  if {visible(text)}: {'yes' if outcome else 'no'}" for text, outcome in graph.decisions)
        yield from (f"  input {self._define(wire)}" for wire in graph.inputs)
        for node in graph.nodes:
            yield from self._node(node)
        ends = ", ".join(self._wires[id(wire)] for wire in graph.outputs)
        yield f"  output {ends}" + (f" for {_prim(graph.open_join)}" if graph.open_join else "")
        for auxiliary in graph.auxiliaries:
            yield f"  auxiliary {self._wires[id(auxiliary.wire)]} weighs {_value(auxiliary.weight)}"
        yield from map(_init, graph.inits)

    def _define(self, wire: Wire) -> str:
        """A wire with its shape, where it first appears."""
        self._wires[id(wire)] = name = f"%{len(self._wires)}{f'.{visible(wire.name)}' if wire.name else ''}"
        return f"{name}: {_shape(wire)}"

    def _node(self, node: Node) -> Iterator[str]:
        operands = ", ".join(self._wires[id(wire)] for wire in node.inputs)
        results = ", ".join(map(self._define, node.outputs))
        head, *inner = self._what(node)
        yield f"  {results} = {head} <- {operands}{_marks(node)}"
        yield from (f"    {line}" for line in inner)

    def _what(self, node: Node) -> list[str]:
        what = node.what
        if isinstance(what, Prim):
            return [_prim(what), *(self._chain(what.body) if what.body else ())]
        if isinstance(what, Call):
            return [f"{self._names[id(what.graph)]}({_arguments(what.args)})"]
        if isinstance(what, Extern):
            head = f"extern {visible(what.name)}({_arguments(what.args)})"
            return [f"{head} of {visible(what.path)}, {what.params:,} parameters"]
        if isinstance(what, Chain):
            return ["chain", *self._chain(what)]
        return [f"branches merged by {_prim(what.merge)}", *self._branches(what)]

    def _branches(self, what: Branches) -> Iterator[str]:
        for number, branch in enumerate(what.branches, 1):
            yield f"branch {number}"
            yield from (f"  {line}" for line in self._chain(branch))

    def _chain(self, chain: Chain) -> Iterator[str]:
        for segment in chain.segments:
            yield from self._segment(segment)

    def _segment(self, segment: Segment) -> Iterator[str]:
        many = segment.count.value != 1 or segment.count.expr is not None
        if many:
            yield f"× {_value(segment.count)}"
        pad = "  " if many else ""
        for unit in segment.units:
            yield from (f"{pad}{line}" for line in self._unit(unit))

    def _unit(self, unit: Unit) -> Iterator[str]:
        head, *inner = self._what(unit.node)
        sizes = ", ".join(map(_shape, unit.node.outputs))
        yield f"{unit.count} × {head} -> {sizes}{_marks(unit.node)}"
        yield from (f"  {line}" for line in inner)


def _marks(node: Node) -> str:
    named = (("in", node.statement), ("as", node.label), ("shared", node.shared or ""))
    return "".join(f" {word} `{visible(text)}`" for word, text in named if text)


def _prim(prim: Prim) -> str:
    defaults = {p.name: p.default for p in prim.op.params}
    given = {n: v for n, v in prim.attrs.items() if _value(v) != _value(cast(Value, defaults.get(n, ())))}
    return f"{prim.op.name}({_arguments(given)})"


def _number(value: Value) -> str:
    """What a parameter stands for here."""
    return str(value) if isinstance(value, Scalar) else _value(value)


def _init(rule: InitRule) -> str:
    return f"  init {visible(rule.target)}.{visible(rule.weight)} = {rule.how}({_arguments(rule.args)})"


def _arguments(values: dict[str, Value]) -> str:
    return ", ".join(f"{visible(name)}={_value(value)}" for name, value in values.items())


def _value(value: Value) -> str:
    """A value, as the expression it came from where there is one."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool) or value is None:
        return "none" if value is None else str(value).lower()
    if isinstance(value, str):
        return f'"{visible(value)}"'
    if isinstance(value, Scalar) and value.expr is not None:
        return _expression(value.expr)
    return str(value)


def _shape(wire: Wire) -> str:
    return f"[{', '.join(map(str, wire.values))}]{'' if wire.batched else ' without batch'}"


def _expression(expr: Expr) -> str:
    if not isinstance(expr, tuple):
        return visible(str(expr))
    sign, *operands = cast("tuple[str, *tuple[Expr, ...]]", expr)
    parts = [_expression(operand) for operand in operands]
    if sign in _FUNCTIONS or len(parts) == 1:
        return f"{'-' if sign == 'neg' else sign}({', '.join(parts)})"
    wrapped = [f"({part})" if isinstance(o, tuple) else part for o, part in zip(operands, parts, strict=True)]
    return f" {sign} ".join(wrapped)


_FUNCTIONS = frozenset({"max", "min"})

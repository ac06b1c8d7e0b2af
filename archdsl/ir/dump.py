"""A checked network as text: every graph once, callees first, each node with what it takes and gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from archdsl.ir.graph import Branches, Call, Chain, Graph, Node, Prim, Unit, Wire, all_graphs
from archdsl.ops.op import Value
from archdsl.scalar import Expr, Scalar

_DEEPEST = 30  # levels of an expression that are written out


def dump(root: Graph) -> str:
    """All graphs of a network. The same network gives the same text."""
    graphs = all_graphs(root)
    names = {id(graph): f"@{number}" for number, graph in enumerate(graphs)}
    return "\n".join("\n".join(_Dump(graph, names).lines()) + "\n" for graph in graphs)


def value_text(value: Value) -> str:
    """A value as text; a traced number with its expression, `64 {4 * width}`."""
    if isinstance(value, Scalar):
        return str(value.value) if value.expr is None else f"{value.value} {{{expr_text(value.expr)}}}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, str):
        return f'"{value}"'
    return {"None": "none", "True": "true", "False": "false"}.get(str(value), str(value))


def expr_text(expr: Expr, level: int = 0) -> str:
    """An expression over the parameters of its graph, in brackets where it is inside another."""
    if not isinstance(expr, tuple):
        return f"{expr.numerator}/{expr.denominator}" if isinstance(expr, Fraction) else str(expr)
    if level == _DEEPEST:
        return "…"
    operator, *operands = expr
    parts = [expr_text(operand, level + 1) for operand in operands]
    if len(parts) == 1 or operator in ("max", "min"):
        return f"{operator}({', '.join(parts)})"
    text = f" {operator} ".join(parts)
    return f"({text})" if level else text


class _Dump:
    """One graph as lines; tensors are numbered in the order in which they are met."""

    def __init__(self, graph: Graph, names: Mapping[int, str]) -> None:
        self.graph = graph
        self.names = names
        self.wires: dict[int, str] = {}

    def lines(self) -> Iterator[str]:
        graph = self.graph
        yield f"{self.names[id(graph)]} {graph.kind} {graph.name}({_symbols(graph)})"
        yield from (f"  if {condition} is {str(outcome).lower()}" for condition, outcome in graph.decisions)
        yield from (f"  {self.wire(wire)} = input {wire.name}: {_shape(wire)}".rstrip() for wire in graph.inputs)
        for node in graph.nodes:
            yield from self.node(node, 1)
        results = zip(graph.output_names, graph.outputs, strict=False)
        yield from (f"  {name} is {self.wire(wire)}" for name, wire in results)
        yield from self.rest()

    def rest(self) -> Iterator[str]:
        graph = self.graph
        if graph.open_join is not None:
            yield f"  joined by {_prim(graph.open_join)}"
        for aux in graph.auxiliaries:
            yield f"  auxiliary {aux.name} is {self.wire(aux.wire)}, weight {value_text(aux.weight)}"
        for rule in graph.inits:
            yield f"  init {rule.target}.{rule.weight} = {rule.how}({_given(rule.args)})"

    def node(self, node: Node, level: int, count: int = 1) -> Iterator[str]:
        taken = ", ".join(map(self.wire, node.inputs))
        given = ", ".join(f"{self.wire(wire)}: {_shape(wire)}" for wire in node.outputs)
        label = f"{node.statement}: " if node.statement else ""
        shared = f", shared {node.shared}" if node.shared else ""
        times = f" × {count:,}" if count > 1 else ""
        yield f"{'  ' * level}{label}{given} = {self.what(node)}{times} <- {taken}{shared}"
        yield from self.below(node, level + 1)

    def what(self, node: Node) -> str:
        what = node.what
        if isinstance(what, Prim):
            return _prim(what)
        if isinstance(what, Call):
            return f"{self.names[id(what.graph)]} {what.graph.name}({_given(what.args)})"
        if isinstance(what, Chain):
            return "chain"
        if isinstance(what, Branches):
            return f"{len(what.branches)} branches, {_prim(what.merge)}"
        return f"extern {what.name}({_given(what.args)})"

    def below(self, node: Node, level: int) -> Iterator[str]:
        what = node.what
        if isinstance(what, Chain):
            yield from self.units(what, level)
        elif isinstance(what, Prim) and what.body is not None:
            yield from self.units(what.body, level)
        elif isinstance(what, Branches):
            for number, branch in enumerate(what.branches, 1):
                yield f"{'  ' * level}branch {number}"
                yield from self.units(branch, level + 1)

    def units(self, chain: Chain, level: int) -> Iterator[str]:
        for unit in chain.units():
            yield from self.unit(unit, level)

    def unit(self, unit: Unit, level: int) -> Iterator[str]:
        yield from self.node(unit.node, level, unit.count)

    def wire(self, wire: Wire) -> str:
        return self.wires.setdefault(id(wire), f"%{len(self.wires)}")


def _symbols(graph: Graph) -> str:
    return ", ".join(f"{p.name} = {value_text(p.value)}" for p in graph.parameters)


def _prim(prim: Prim) -> str:
    return f"{prim.op.name}({_given(prim.attrs)})" if prim.attrs else prim.op.name


def _given(values: Mapping[str, Value]) -> str:
    return ", ".join(f"{name}={value_text(value)}" for name, value in values.items())


def _shape(wire: Wire) -> str:
    sizes = f"[{', '.join(map(value_text, wire.shape))}]"
    return sizes if wire.batched else f"{sizes} without batch"

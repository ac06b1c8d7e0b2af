"""From a JSON document back to the network. What the models cannot check is checked here: places that exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TypeVar

from archdsl import schema as s
from archdsl.ir.graph import (
    Auxiliary,
    Branches,
    Call,
    Chain,
    Extern,
    Graph,
    InitRule,
    Node,
    Parameter,
    Prim,
    Segment,
    Unit,
    What,
    Wire,
)
from archdsl.ops import OPS
from archdsl.ops.op import Dim, Value
from archdsl.scalar import Expr, Scalar
from archdsl.source import Source, Span

T = TypeVar("T")


def graph_of(document: s.Document) -> Graph:
    """The network of a document; its sources have names but no text."""
    sources = tuple(Source(origin.name, "", origin.library) for origin in document.sources)
    graphs: list[Graph] = []
    for record in document.graphs:
        graphs.append(_Reader(sources, graphs, record).graph())
    return graphs[-1]


def _at(table: Sequence[T], place: int, what: str) -> T:
    if place >= len(table):
        raise s.NotANetwork(f"there is no {what} {place}")
    return table[place]


def _value(value: s.Value) -> Value:
    if isinstance(value, s.Number):
        return _scalar(value)
    if isinstance(value, s.Ratio):
        return _fraction(value)
    if isinstance(value, tuple):
        return tuple(map(_value, value))
    return value


def _fraction(value: s.Ratio) -> Fraction:
    return Fraction(value.numerator, value.denominator)


def _scalar(number: s.Number) -> Scalar:
    value = _fraction(number.value) if isinstance(number.value, s.Ratio) else number.value
    return Scalar(value, None if number.expr is None else _expression(number.expr))


def _expression(terms: Sequence[s.Term]) -> Expr:
    stack: list[Expr] = []
    for term in terms:
        if isinstance(term, s.Operation):
            if len(stack) < term.of:
                raise s.NotANetwork(f"`{term.op}` lacks a value")
            operands = stack[-term.of :]
            del stack[-term.of :]
            stack.append((term.op, *operands))
        else:
            stack.append(_fraction(term) if isinstance(term, s.Ratio) else term)
    if len(stack) != 1:
        raise s.NotANetwork("an expression is not one value")
    return stack[0]


def _values(values: Mapping[str, s.Value]) -> dict[str, Value]:
    return {name: _value(value) for name, value in values.items()}


def _count(value: s.Value) -> Scalar:
    number = _value(value)
    if not isinstance(number, Scalar):
        raise s.NotANetwork("a repeat count is not a number with its expression")
    return number


def _dimension(value: s.Value) -> Dim:
    size = _value(value)
    if isinstance(size, bool) or not isinstance(size, (int, Scalar)):
        raise s.NotANetwork("a dimension is not a number")
    return size


class _Reader:
    """One graph of a document; the graphs it calls are read already."""

    def __init__(self, sources: Sequence[Source], graphs: Sequence[Graph], record: s.GraphRecord) -> None:
        self.sources = sources
        self.graphs = graphs
        self.record = record
        self.wires = [self.wire(tensor) for tensor in record.wires]
        self.nodes: list[Node] = []

    def graph(self) -> Graph:
        record = self.record
        for step in record.nodes:
            self.nodes.append(self.node(step))
        return Graph(
            name=record.name,
            kind=record.kind,
            parameters=tuple(Parameter(p.name, _value(p.value), p.kind, _value(p.default)) for p in record.parameters),
            inputs=self.at(record.inputs),
            nodes=tuple(_at(self.nodes, place, "node") for place in record.order),
            outputs=self.at(record.outputs),
            output_names=record.output_names,
            auxiliaries=tuple(
                Auxiliary(side.name, _at(self.wires, side.wire, "wire"), _value(side.weight))
                for side in record.auxiliaries
            ),
            open_join=None if record.open_join is None else self.primitive(record.open_join),
            inits=tuple(map(self.init, record.inits)),
            decisions=tuple((decision.condition, decision.outcome) for decision in record.decisions),
            doc=record.doc,
            span=self.span_or_none(record.span),
        )

    def span(self, place: s.Place) -> Span:
        return Span(_at(self.sources, place.source, "source"), place.start, place.end)

    def span_or_none(self, place: s.Place | None) -> Span | None:
        return None if place is None else self.span(place)

    def wire(self, tensor: s.Tensor) -> Wire:
        shape = tuple(map(_dimension, tensor.shape))
        return Wire(shape, tensor.name, self.span_or_none(tensor.span), tensor.batched)

    def at(self, places: Sequence[int]) -> tuple[Wire, ...]:
        return tuple(_at(self.wires, place, "wire") for place in places)

    def init(self, rule: s.Start) -> InitRule:
        return InitRule(rule.target, rule.weight, rule.how, _values(rule.args), self.span(rule.span))

    def node(self, step: s.Step) -> Node:
        return Node(
            self.what(step.what),
            self.at(step.inputs),
            self.at(step.outputs),
            self.span(step.span),
            step.statement,
            step.label,
            step.shared,
        )

    def what(self, what: s.What) -> What:
        if isinstance(what, s.Primitive):
            return self.primitive(what)
        if isinstance(what, s.BlockCall):
            return Call(_at(self.graphs, what.graph, "graph"), _values(what.args))
        if isinstance(what, s.ChainOf):
            return self.chain(what.row)
        if isinstance(what, s.BranchesOf):
            return Branches(tuple(map(self.chain, what.rows)), self.primitive(what.merge))
        return Extern(what.name, what.path, _values(what.args), what.params)

    def primitive(self, primitive: s.Primitive) -> Prim:
        op = OPS.get(primitive.op)
        if op is None:
            raise s.NotANetwork(f"there is no primitive {primitive.op!r}")
        return Prim(op, _values(primitive.attrs), None if primitive.body is None else self.chain(primitive.body))

    def chain(self, row: s.Row) -> Chain:
        return Chain(tuple(self.segment(factor) for factor in row.segments))

    def segment(self, factor: s.Factor) -> Segment:
        units = tuple(Unit(_at(self.nodes, units.node, "node"), units.count) for units in factor.units)
        return Segment(units, _count(factor.count))

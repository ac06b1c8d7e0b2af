"""From a checked network to its JSON document: identities become places in tables."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from archdsl import schema as s
from archdsl.analyses import cost
from archdsl.ir.graph import Branches, Call, Chain, Extern, Graph, Node, Prim, Wire, all_graphs
from archdsl.ops.op import Value
from archdsl.scalar import Expr, Scalar
from archdsl.source import Source, Span


def document(graph: Graph, variant: str | None) -> s.Document:
    """The document of a network."""
    graphs = all_graphs(graph)
    writer = _Writer({id(g): i for i, g in enumerate(graphs)})
    records = tuple(_GraphWriter(writer, g).record() for g in graphs)
    return s.Document(
        network=graph.name, variant=variant, sources=tuple(writer.origins), graphs=records, totals=_totals(graph)
    )


def value_record(value: Value) -> s.Value:
    """A value as it stands in the document."""
    if isinstance(value, Scalar):
        terms = None if value.expr is None else _postfix(value.expr)
        return s.Number(value=_number(value.value), expr=terms)
    if isinstance(value, Fraction):
        return s.ratio(value)
    if isinstance(value, tuple):
        return tuple(map(value_record, value))
    return value


def _number(value: int | Fraction) -> int | s.Ratio:
    return s.ratio(value) if isinstance(value, Fraction) else value


def _postfix(expr: Expr) -> tuple[s.Term, ...]:
    """Operands before their operator, without recursion: a sum of a thousand terms is a thousand levels deep."""
    terms: list[s.Term] = []
    rest: list[Expr] = [expr]
    while rest:
        part = rest.pop()
        if isinstance(part, tuple):
            operands: tuple[Expr, ...] = part[1:]
            terms.append(s.Operation(op=part[0], of=len(operands)))
            rest.extend(operands)
        else:
            terms.append(s.ratio(part) if isinstance(part, Fraction) else part)
    return tuple(reversed(terms))


def _values(values: Mapping[str, Value]) -> dict[str, s.Value]:
    return {name: value_record(value) for name, value in values.items()}


def _totals(graph: Graph) -> dict[str, s.JsonValue]:
    counts = cost(graph)
    return {
        "parameters": counts.params.total,
        "trainable_parameters": counts.params.trainable,
        "macs": counts.macs.total,
        "flops": counts.macs.flops,
        "depth": counts.depth,
        "activation_bytes": counts.memory.activations.per_sample,
        "training_bytes": counts.memory.kept.per_sample,
        "uncounted_externs": list(counts.unknown),
    }


class _Writer:
    """The tables that all graphs share: graphs by identity, sources."""

    def __init__(self, graphs: dict[int, int]) -> None:
        self.graphs = graphs
        self.origins: list[s.Origin] = []
        self._sources: dict[int, int] = {}

    def place(self, span: Span) -> s.Place:
        return s.Place(source=self._source(span.source), start=span.start, end=span.end)

    def place_or_none(self, span: Span | None) -> s.Place | None:
        return None if span is None else self.place(span)

    def _source(self, source: Source) -> int:
        if id(source) not in self._sources:
            self._sources[id(source)] = len(self.origins)
            self.origins.append(s.Origin(name=source.name, library=source.library))
        return self._sources[id(source)]


class _GraphWriter:
    """One graph: wires and nodes get their places in the order in which they are met."""

    def __init__(self, writer: _Writer, graph: Graph) -> None:
        self.writer = writer
        self.graph = graph
        self.wires: dict[int, int] = {}
        self.tensors: list[s.Tensor] = []
        self.steps: list[s.Step] = []

    def record(self) -> s.GraphRecord:
        graph = self.graph
        inputs = self.places(graph.inputs)
        order = tuple(map(self.node, graph.nodes))
        outputs = self.places(graph.outputs)
        sides = tuple(
            s.Side(name=a.name, wire=self.wire(a.wire), weight=value_record(a.weight)) for a in graph.auxiliaries
        )
        join = None if graph.open_join is None else self.primitive(graph.open_join)
        return s.GraphRecord(
            name=graph.name,
            kind=graph.kind,  # pyright: ignore[reportArgumentType]  the model checks it
            parameters=self.symbols(),
            wires=tuple(self.tensors),
            inputs=inputs,
            nodes=tuple(self.steps),
            order=order,
            outputs=outputs,
            output_names=graph.output_names,
            auxiliaries=sides,
            open_join=join,
            inits=self.inits(),
            decisions=tuple(s.Decision(condition=text, outcome=outcome) for text, outcome in graph.decisions),
            doc=graph.doc,
            span=self.writer.place_or_none(graph.span),
        )

    def symbols(self) -> tuple[s.Symbol, ...]:
        return tuple(
            s.Symbol(
                name=p.name,
                value=value_record(p.value),
                kind=p.kind,  # pyright: ignore[reportArgumentType]
                default=value_record(p.default),
            )
            for p in self.graph.parameters
        )

    def inits(self) -> tuple[s.Start, ...]:
        return tuple(
            s.Start(
                target=rule.target,
                weight=rule.weight,
                how=rule.how,
                args=_values(rule.args),
                span=self.writer.place(rule.span),
            )
            for rule in self.graph.inits
        )

    def places(self, wires: tuple[Wire, ...]) -> tuple[int, ...]:
        return tuple(map(self.wire, wires))

    def wire(self, wire: Wire) -> int:
        if id(wire) not in self.wires:
            self.wires[id(wire)] = len(self.tensors)
            shape = tuple(map(value_record, wire.shape))
            span = self.writer.place_or_none(wire.span)
            self.tensors.append(s.Tensor(shape=shape, name=wire.name, batched=wire.batched, span=span))
        return self.wires[id(wire)]

    def node(self, node: Node) -> int:
        """The place of a node in the table; nodes inside it come before it."""
        step = s.Step(
            what=self.what(node),
            inputs=self.places(node.inputs),
            outputs=self.places(node.outputs),
            span=self.writer.place(node.span),
            statement=node.statement,
            label=node.label,
            shared=node.shared,
        )
        self.steps.append(step)
        return len(self.steps) - 1

    def what(self, node: Node) -> s.What:
        what = node.what
        if isinstance(what, Prim):
            return self.primitive(what)
        if isinstance(what, Call):
            return s.BlockCall(graph=self.writer.graphs[id(what.graph)], args=_values(what.args))
        if isinstance(what, Chain):
            return s.ChainOf(row=self.row(what))
        if isinstance(what, Branches):
            rows = tuple(map(self.row, what.branches))
            return s.BranchesOf(rows=rows, merge=self.primitive(what.merge))
        return _extern(what)

    def primitive(self, prim: Prim) -> s.Primitive:
        body = None if prim.body is None else self.row(prim.body)
        return s.Primitive(op=prim.op.name, attrs=_values(prim.attrs), body=body)

    def row(self, chain: Chain) -> s.Row:
        factors = (
            s.Factor(
                units=tuple(s.Units(node=self.node(unit.node), count=unit.count) for unit in segment.units),
                count=value_record(segment.count),
            )
            for segment in chain.segments
        )
        return s.Row(segments=tuple(factors))


def _extern(what: Extern) -> s.ExternCall:
    return s.ExternCall(name=what.name, path=what.path, args=_values(what.args), params=what.params)

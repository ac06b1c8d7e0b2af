"""Networks of a file: each with its defaults, each variant, or what the command line asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archdsl.diagnostic import Diagnostics
from archdsl.elaborate import errors
from archdsl.elaborate.arguments import Given, match
from archdsl.elaborate.bodies import Body
from archdsl.elaborate.calls import key_of
from archdsl.elaborate.evaluate import evaluate_alone
from archdsl.elaborate.frame import Assembly, Frame, Session, TooMuch
from archdsl.elaborate.functions import bind_parameters
from archdsl.elaborate.known import Known
from archdsl.elaborate.load import Module
from archdsl.elaborate.values import UNKNOWN, Value
from archdsl.ir.graph import Graph
from archdsl.scalar import Number, Scalar
from archdsl.syntax import ast


@dataclass(frozen=True)
class Built:
    """A network for one set of parameters.

    plain: these are its defaults, so its own claims are about it; as_claimed: the same of the variant and its row.
    """

    network: ast.Block
    variant: ast.Variant | None
    parameters: dict[str, object]
    graph: Graph
    plain: bool
    as_claimed: bool


@dataclass
class Networks:
    """Builds the networks of one module; equal ones once."""

    module: Module
    bag: Diagnostics
    known: Known = field(default_factory=Known)
    session: Session = field(init=False)

    def __post_init__(self) -> None:
        self.session = Session(self.bag, self.known, damaged=bool(self.module.damaged))

    def declared(self) -> list[ast.Block]:
        """The networks of the file, in order."""
        found = [d for d in self.module.file.declarations if isinstance(d, ast.Block)]
        return [block for block in found if block.keyword.text == "network"]

    def variants(self) -> list[ast.Variant]:
        """The rows of all variant tables, in order."""
        tables = [d for d in self.module.file.declarations if isinstance(d, ast.Variants)]
        return [row for table in tables for row in table.rows]

    def build(
        self,
        network: ast.Block,
        given: Mapping[str, Value],
        variant: ast.Variant | None = None,
        home: Module | None = None,
        changed: bool = False,
    ) -> Built | None:
        """The network for these arguments; None where it cannot be (reported), or where a parameter is open.

        home: the module that declares it, if not this one; changed: the variant's arguments are not all there is.
        """
        frame = Frame(self.session, home or self.module, Assembly())
        try:
            absent = bind_parameters(network.params, dict(given), frame)
            if absent:
                return None
            graph = self._graph(network, frame)
        except TooMuch:
            return None
        if graph is None:
            return None
        graph.doc = graph.doc or _doc(home or self.module)
        names = [param.name.text for param in network.params]
        parameters = {name: _plain(frame.names[name].value) for name in names}
        return Built(network, variant, parameters, graph, not given, variant is not None and not changed)

    def _graph(self, network: ast.Block, frame: Frame) -> Graph | None:
        memo = self.session.memo
        key = (network, *(key_of(frame.names[param.name.text].value) for param in network.params))
        if not self.session.remembers(key):
            memo[key] = Body(network, frame).run((), None, network.name.span)
        return memo[key]

    def of_variant(self, row: ast.Variant) -> Built | None:
        """The network of one variant."""
        found = self.called(row)
        return None if found is None else self.build(found[0], found[2], row, found[1])

    def called(self, row: ast.Variant) -> tuple[ast.Block, Module, dict[str, Value]] | None:
        """The network that a variant calls, the module it is from, and the arguments it is given."""
        call = row.call if isinstance(row.call, ast.Apply) else ast.Apply(row.call, (), row.call.span)
        found = self._network_named(call.callee)
        if found is None:
            return None
        network, home = found
        frame = Frame(self.session, self.module, Assembly())
        given: list[Given] = [(a.name, evaluate_alone(a.value, frame), a.span) for a in call.arguments]
        names = [param.name.text for param in network.params]
        bound = match(network.name.text, names, {}, given, frame, call.span)
        if bound is None or any(value is UNKNOWN for value in bound.values()):
            return None
        absent = tuple(p.name.text for p in network.params if p.default is None and p.name.text not in bound)
        if absent:
            self.bag.add(errors.missing_argument(call.span, network.name.text, absent, network.name.span))
            return None
        return network, home, bound

    def report_never_built(self) -> None:
        """Say which networks have open parameters that no variant of the file gives."""
        called = {row.call.callee.span.text if isinstance(row.call, ast.Apply) else "" for row in self.variants()}
        for network in self.declared():
            absent = tuple(param.name.text for param in network.params if param.default is None)
            if absent and network.name.text not in called:
                self.bag.add(errors.never_built(network.name.span, network.name.text, absent))

    def _network_named(self, callee: ast.Expr) -> tuple[ast.Block, Module] | None:
        """The network that a variant calls, of this file or imported."""
        name = callee.text if isinstance(callee, ast.Name) else callee.span.text
        found = self.module.names.get(name)
        if found is not None and isinstance(found[1], ast.Block) and found[1].keyword.text == "network":
            return found[1], found[0]
        if found is not None or not isinstance(callee, ast.Name):  # else `resolve` has said that the name is unknown
            self.bag.add(errors.unknown_choice(callee.span, "network", name, self.network_names()))
        return None

    def network_names(self) -> list[str]:
        """The names of all networks in sight."""
        return [
            name
            for name, (_, d) in self.module.names.items()
            if isinstance(d, ast.Block) and d.keyword.text == "network"
        ]


def _doc(module: Module) -> str:
    return module.file.doc.value if module.file.doc is not None else ""


def _plain(value: Value) -> object:
    return value.value if isinstance(value, Scalar) else value


def given_values(values: Mapping[str, Number | bool | str]) -> dict[str, Value]:
    """Plain values from outside as values of the language."""
    return {name: value if isinstance(value, (bool, str)) else Scalar(value) for name, value in values.items()}


def types_of(network: ast.Block) -> dict[str, str | None]:
    """The declared type of each parameter, None without one."""
    return {param.name.text: param.type.text if param.type else None for param in network.params}

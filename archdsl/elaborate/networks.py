"""Networks of a file: each with its defaults, each variant, or what the command line asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from archdsl.diagnostic import Diagnostics
from archdsl.elaborate import errors
from archdsl.elaborate.arguments import Given, match
from archdsl.elaborate.bodies import Body
from archdsl.elaborate.evaluate import bind_parameters, evaluate
from archdsl.elaborate.frame import Assembly, Frame, Session, TooMuch
from archdsl.elaborate.load import Module
from archdsl.elaborate.values import UNKNOWN, Value
from archdsl.ir.graph import Graph
from archdsl.scalar import Number, Scalar
from archdsl.syntax import ast


@dataclass(frozen=True)
class Built:
    """A network for one set of parameters. `plain`: these are its defaults, so its own claims are about it."""

    network: ast.Block
    variant: ast.Variant | None
    parameters: dict[str, object]
    graph: Graph
    plain: bool


@dataclass
class Networks:
    """Builds the networks of one module; equal ones once."""

    module: Module
    bag: Diagnostics
    session: Session = field(init=False)

    def __post_init__(self) -> None:
        self.session = Session(self.bag, damaged=bool(self.module.damaged))

    def declared(self) -> list[ast.Block]:
        """The networks of the file, in order."""
        found = [d for d in self.module.file.declarations if isinstance(d, ast.Block)]
        return [block for block in found if block.keyword.text == "network"]

    def variants(self) -> list[ast.Variant]:
        """The rows of all variant tables, in order."""
        tables = [d for d in self.module.file.declarations if isinstance(d, ast.Variants)]
        return [row for table in tables for row in table.rows]

    def build(self, network: ast.Block, given: Mapping[str, Value], variant: ast.Variant | None = None) -> Built | None:
        """The network for these arguments; None where it cannot be (reported), or where a parameter is open."""
        frame = Frame(self.session, self.module, Assembly())
        self.session.steps = 0
        try:
            absent = bind_parameters(network.params, dict(given), frame)
            if absent:
                return None
            body = Body(network, frame)
            graph = body.run((), None, network.name.span)
        except TooMuch:
            return None
        if graph is None:
            return None
        names = [param.name.text for param in network.params]
        parameters = {name: _plain(frame.names[name].value) for name in names}
        return Built(network, variant, parameters, graph, not given)

    def of_variant(self, row: ast.Variant) -> Built | None:
        """The network of one variant."""
        call = row.call if isinstance(row.call, ast.Apply) else ast.Apply(row.call, (), row.call.span)
        network = self._network_named(call.callee)
        if network is None:
            return None
        frame = Frame(self.session, self.module, Assembly())
        given: list[Given] = [(a.name, evaluate(a.value, frame), a.span) for a in call.arguments]
        names = [param.name.text for param in network.params]
        bound = match(network.name.text, names, {}, given, frame, call.span)
        if bound is None or any(value is UNKNOWN for value in bound.values()):
            return None
        absent = tuple(p.name.text for p in network.params if p.default is None and p.name.text not in bound)
        if absent:
            self.bag.add(errors.missing_argument(call.span, network.name.text, absent, network.name.span))
            return None
        return self.build(network, bound, row)

    def _network_named(self, callee: ast.Expr) -> ast.Block | None:
        networks = {block.name.text: block for block in self.declared()}
        if isinstance(callee, ast.Name) and callee.text in networks:
            return networks[callee.text]
        name = callee.text if isinstance(callee, ast.Name) else callee.span.text
        if name not in self.module.damaged and (name not in self.module.names or not isinstance(callee, ast.Name)):
            return None  # `resolve` has said that the name is unknown
        if name not in self.module.damaged:
            self.bag.add(errors.unknown_choice(callee.span, "network", name, networks))
        return None


def _plain(value: Value) -> object:
    return value.value if isinstance(value, Scalar) else value


def given_values(values: Mapping[str, Number | bool | str]) -> dict[str, Value]:
    """Plain values from outside as values of the language."""
    return {
        name: value if isinstance(value, (bool, str)) else Scalar(cast(Number, value)) for name, value in values.items()
    }


def types_of(network: ast.Block) -> dict[str, str | None]:
    """The declared type of each parameter, None without one."""
    return {param.name.text: param.type.text if param.type else None for param in network.params}


"""What a lint rule is, and what it is given to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from archdsl.analyses import Cost
from archdsl.diagnostic import Diagnostic, Label, Severity
from archdsl.ir.graph import Graph
from archdsl.lints.flow import Flow, flow
from archdsl.source import Span
from archdsl.syntax.ast import File


@dataclass(frozen=True, slots=True)
class Network:
    """A checked network, or one row of a `variants` table; `call` is the place of that row."""

    name: str
    graph: Graph
    cost: Cost
    variant: str | None = None

    @property
    def flow(self) -> Flow:
        """Its primitives and who reads whom."""
        return flow(self.graph)

    def parameter(self, *names: str) -> object:
        """The plain value of the first of these parameters that the network has, or None."""
        for parameter in self.graph.parameters:
            if parameter.name in names:
                return getattr(parameter.value, "value", parameter.value)
        return None


@dataclass(frozen=True, slots=True)
class Context:
    """One file, and the networks in it that could be checked."""

    file: File
    networks: tuple[Network, ...] = ()
    recipes: frozenset[str] = frozenset()  # the names of all recipes, imported ones included

    def flows(self) -> Iterator[Flow]:
        """The flow of each network; of several that are the same, once."""
        return iter({id(network.graph): network.flow for network in self.networks}.values())


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found, before it has the rule's code and severity."""

    span: Span
    title: str
    text: str = ""
    hint: str | None = None
    others: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. Warnings are likely mistakes, notes are facts worth saying; the module's docstring is its page."""

    code: str
    slug: str
    severity: Severity
    check: Callable[[Context], Iterator[Finding]]

    def diagnostics(self, context: Context) -> Iterator[Diagnostic]:
        """All findings of the rule, complete."""
        for found in self.check(context):
            primary = Label(found.span, found.text)
            title = f"{found.title} ({self.slug})"
            yield Diagnostic(self.code, self.severity, title, primary, found.others, found.notes, found.hint)

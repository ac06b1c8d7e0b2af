"""Where evaluation stands: the names in sight, the graph being built, and how one got here."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from archdsl.diagnostic import Diagnostic, Diagnostics, Label
from archdsl.elaborate.known import Key, Known
from archdsl.elaborate.values import Binding, BlockLayer, Value, weight
from archdsl.ir.graph import Auxiliary, Graph, InitRule, Node, Wire
from archdsl.limits import CALLS, ITEMS, LEVELS, NODES, ROWS, STEPS, Limit
from archdsl.record import record
from archdsl.scalar import Scalar
from archdsl.source import Span
from archdsl.syntax import ast
from archdsl.syntax.errors import over_limit

if TYPE_CHECKING:
    from archdsl.elaborate.load import Module


class TooMuch(Exception):
    """A limit was reached; elaboration of this network ends here."""


@dataclass(slots=True)
class Session:
    """What one run shares: findings, block calls already elaborated, and how much has been done."""

    bag: Diagnostics
    known: Known = field(default_factory=Known)
    memo: dict[Key, Graph | None] = field(default_factory=dict[Key, "Graph | None"])
    constants: dict[ast.Constant, Value] = field(default_factory=dict[ast.Constant, Value])
    running: set[object] = field(default_factory=set[object])  # calls and constants whose value is being found
    fractions: set[Scalar] = field(default_factory=set[Scalar])  # reported where they had to be whole
    steps: int = 0
    nodes: int = 0
    depth: int = 0
    level: int = 0
    spent: bool = False  # a limit on the file as a whole is reached: nothing more is elaborated
    damaged: bool = False  # something of the text could not be read: what is missing may have stood there

    def remembers(self, key: Key) -> bool:
        """Whether `memo` has the key, or can take it over from what is known."""
        if key not in self.memo and key in self.known.graphs:
            self.memo[key] = self.known.graphs[key]
        return key in self.memo


@dataclass(slots=True)
class Assembly:
    """A graph being built."""

    nodes: list[Node] = field(default_factory=list[Node])
    decisions: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])
    inits: list[InitRule] = field(default_factory=list[InitRule])
    auxiliaries: list[Auxiliary] = field(default_factory=list[Auxiliary])
    shared: dict[str, tuple[str, object, Span]] = field(default_factory=dict[str, tuple[str, object, Span]])
    open_calls: dict[int, tuple[BlockLayer, tuple[Wire, ...]]] = field(
        default_factory=dict[int, "tuple[BlockLayer, tuple[Wire, ...]]"]
    )
    statement: str = ""
    broken: bool = False  # a join could not be made where it was used: what stands for it is in no node
    rows: int = 0


@record
class CallSite:
    """From where a block or function was called."""

    frame: Frame
    span: Span
    name: str
    kind: str  # "block" or "fn"
    place: str  # the statement, and which unit of how many


@dataclass(eq=False, slots=True)
class Frame:
    """One scope. Inner scopes (a comprehension, a function's body) look further in `outer`."""

    session: Session
    module: Module
    assembly: Assembly
    names: dict[str, Binding] = field(default_factory=dict[str, Binding])
    outer: Frame | None = None
    site: CallSite | None = None
    place: str = ""

    def look_up(self, name: str) -> Binding | None:
        """The innermost binding of `name` in this scope and those around it."""
        frame: Frame | None = self
        while frame is not None:
            binding = frame.names.get(name)
            if binding is not None:
                return binding
            frame = frame.outer
        return None

    def inner(self, site: CallSite | None = None) -> Frame:
        """A scope inside this one, building the same graph."""
        return Frame(self.session, self.module, self.assembly, {}, self, site or self.site, self.place)

    def bind(self, name: str, value: Value, span: Span, origin: ast.Expr | None = None) -> None:
        self.names[name] = Binding(value, span, origin)

    def report(self, diagnostic: Diagnostic) -> None:
        """Add a finding, with the user's own line as the one to blame."""
        self.session.bag.add(blamed(diagnostic, self.site))

    def step(self, span: Span, count: int = 1) -> None:
        """Count evaluated expressions, or work that is as much."""
        self.session.steps += count
        if self.session.steps > STEPS.value:
            self.spend(STEPS, span)

    def count_node(self, span: Span) -> None:
        """Count one node of the graph."""
        self.session.nodes += 1
        if self.session.nodes > NODES.value:
            self.spend(NODES, span)

    def check_items(self, count: int, span: Span) -> None:
        """Refuse a list that is too long before it is made."""
        if count > ITEMS.value:
            self.give_up(ITEMS, span)

    def weigh(self, value: Value, span: Span) -> None:
        """Refuse a list or a layer of too many parts; a few lines can double one over and over."""
        count = weight(value, ITEMS.value)
        self.check_items(count, span)
        self.step(span, count)

    def give_up(self, limit: Limit, span: Span) -> None:
        """Report a limit and leave this network."""
        self.report(over_limit(limit, span))
        raise TooMuch

    def spend(self, limit: Limit, span: Span) -> None:
        """Report, once, a limit that holds for the file, and leave all of it."""
        if self.session.spent:
            raise TooMuch
        self.session.spent = True
        self.give_up(limit, span)

    def enter(self, span: Span, count: int = 0) -> None:
        """One level further in, after so many steps; whoever enters leaves by `session.level -= 1`."""
        session = self.session
        session.steps += count
        if session.steps > STEPS.value:
            self.spend(STEPS, span)
        if session.level >= LEVELS.value:
            self.give_up(LEVELS, span)
        session.level += 1

    def deeper(self, span: Span) -> _Deeper:
        """One call inside another."""
        if self.session.depth >= CALLS.value:
            self.give_up(CALLS, span)
        return _Deeper(self.session)

    @contextmanager
    def row(self, span: Span) -> Generator[None]:
        """One row of layers inside another: each doubles the work of the analyses."""
        if self.assembly.rows >= ROWS.value:
            self.give_up(ROWS, span)
        self.assembly.rows += 1
        try:
            with self.deeper(span):
                yield
        finally:
            self.assembly.rows -= 1

    @contextmanager
    def running(self, key: object) -> Generator[None]:
        """While it lasts, `key` is among the things whose value is being found."""
        self.session.running.add(key)
        try:
            yield
        finally:
            self.session.running.discard(key)

    def detached(self) -> _Detached:
        """Nodes made inside go to the list that is given, not to the graph."""
        return _Detached(self.assembly)


# Every call and every layer of a chain goes through one of these: a generator as context takes four times as long.


class _Deeper:
    def __init__(self, session: Session) -> None:
        self.session = session

    def __enter__(self) -> None:
        self.session.depth += 1

    def __exit__(self, *_: object) -> None:
        self.session.depth -= 1


class _Detached:
    def __init__(self, assembly: Assembly) -> None:
        self.assembly, self.kept = assembly, assembly.nodes

    def __enter__(self) -> list[Node]:
        self.assembly.nodes = []
        return self.assembly.nodes

    def __exit__(self, *_: object) -> None:
        self.assembly.nodes = self.kept


def blamed(diagnostic: Diagnostic, site: CallSite | None) -> Diagnostic:
    """The finding at the user's line: where it arose in the library, that place explains the line that called it."""
    notes: list[str] = []
    others = diagnostic.others
    primary = diagnostic.primary
    while site is not None:
        notes.append(_note(site))
        if primary.span.source.library and not site.span.source.library:
            others = (Label(primary.span, primary.text or "here"), *others)
            primary = Label(site.span, f"in this use of `{site.name}`")
        site = site.frame.site
    shown = notes if len(notes) <= 6 else [*notes[:3], f"... {len(notes) - 5} more calls ...", *notes[-2:]]
    return replace(diagnostic, primary=primary, others=others, notes=(*diagnostic.notes, *shown))


def _note(site: CallSite) -> str:
    line, _ = site.span.position
    place = f" ({site.place})" if site.place else ""
    return f"in {site.kind} `{site.name}`, called from {site.span.source.name}:{line}{place}"

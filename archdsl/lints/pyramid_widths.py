"""The widths of a pyramidal network are not those of the paper.

Unit j of N has D = w + α·j/N channels, rounded half up, w being the stem's width; the real number is carried, never
the rounded one. Rounding down loses 32,976 parameters at α = 48, and 39,850 where floats are added up and fall short
of whole numbers; carrying rounded widths loses the fraction every time, until at α = 48 nothing grows at all;
Python's own `round` goes to the even number at an exact half (α = 27: 14 widths differ).

Wrong:

    fn width(j) = floor(16 + alpha * j / (3*n))

Right:

    fn width(j) = round(16 + alpha * j / (3*n))

Silence it with `# allow: pyramid-widths` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import floor

from archdsl.analyses.walk import applications
from archdsl.diagnostic import Severity
from archdsl.ir.graph import Call, Graph
from archdsl.lints.rule import Context, Finding, Rule
from archdsl.scalar import Scalar
from archdsl.source import Span

_HALF = Fraction(1, 2)
_MOST = 10_000  # units; rows of more are no pyramid


def check(context: Context) -> Iterator[Finding]:
    """Networks with a parameter `alpha` whose chain of pyramidal units has other widths."""
    for network in context.networks:
        alpha = network.parameter("alpha")
        counts: dict[int, int] = {}
        units = list(_units(network.graph, counts)) if _count(network.graph, counts) <= _MOST else []
        stem = next((s.outputs[0][0] for s in network.flow.input.readers if s.name == "conv"), None)
        if isinstance(alpha, (int, Fraction)) and not isinstance(alpha, bool) and stem and units:
            exact = [stem + Fraction(alpha) * j / len(units) for j in range(1, len(units) + 1)]
            yield from _compared([width for _, width, _ in units], exact, units[-1][2])


def _compared(widths: list[int], exact: list[Fraction], span: Span) -> Iterator[Finding]:
    right = [floor(d + _HALF) for d in exact]
    if widths == right:
        return
    wrong = [j for j, (a, b) in enumerate(zip(widths, right, strict=True)) if a != b]
    title = f"{len(wrong)} of {len(widths)} widths are not w + α·j/N rounded half up"
    j = wrong[-1]
    yield Finding(span, title, f"unit {j + 1} has {widths[j]}, should have {right[j]}", hint=_reason(widths, exact))


def _reason(widths: list[int], exact: list[Fraction]) -> str:
    if widths == [floor(d) for d in exact]:
        return "they are rounded down: use `round`"
    if widths == [round(d) for d in exact]:
        return "exact halves go to the even number: use `round`, which goes up"
    return "carry the real number through all stages, and round each width by itself"


def _count(graph: Graph, known: dict[int, int]) -> int:
    """How many pyramidal units run in a graph; each graph is looked into once."""
    if id(graph) not in known:
        calls = [(a.what.graph, a.count) for a in applications(graph) if isinstance(a.what, Call)]
        known[id(graph)] = sum(count if _width(g) is not None else count * _count(g, known) for g, count in calls)
    return known[id(graph)]


def _width(graph: Graph) -> int | None:
    """The width of a pyramidal unit; None for any other block."""
    width = next((p.value for p in graph.parameters if p.name == "width"), None)
    return int(width) if graph.name.startswith("pyramid") and isinstance(width, (int, Scalar)) else None


def _units(graph: Graph, counts: dict[int, int]) -> Iterator[tuple[Graph, int, Span]]:
    """The pyramidal units of a network in the order in which they run, with their widths; stages are opened."""
    for application in applications(graph):
        what = application.what
        if not isinstance(what, Call):
            continue
        width = _width(what.graph)
        for _ in range(application.count):
            if width is not None:
                yield what.graph, width, application.node.span
            elif counts[id(what.graph)]:
                yield from _units(what.graph, counts)
            else:
                break


RULE = Rule("L128", "pyramid-widths", Severity.WARNING, check)

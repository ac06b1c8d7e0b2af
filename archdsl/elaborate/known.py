"""What a run over several files keeps from one to the next, so that what they have in common is done once."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from archdsl.diagnostic import Diagnostics
from archdsl.ir.graph import Graph
from archdsl.source import Source
from archdsl.syntax.parser import Parsed, parse

K = TypeVar("K")
V = TypeVar("V")
# A block or network, its arguments, the sizes that go in: what elaborates equally has an equal key.
Key = tuple[object, ...]
_MOST_TEXTS = 200
_MOST_GRAPHS = 20_000


@dataclass(slots=True)
class Known:
    """Texts read and blocks elaborated so far. Only what gave no finding is kept: each file needs all of its own."""

    parsed: dict[tuple[str, str], Parsed] = field(default_factory=dict[tuple[str, str], Parsed])
    graphs: dict[Key, Graph] = field(default_factory=dict[Key, Graph])

    def parse(self, source: Source, bag: Diagnostics) -> Parsed | None:
        """The tree of a text, read at most once under its name; None where it could not be read at all."""
        key = (source.name, source.text)
        if key in self.parsed:
            return self.parsed[key]
        found = Diagnostics()
        parsed = parse(source, found)
        for finding in found:
            bag.add(finding)
        if parsed is not None and not len(found):
            _make_room(self.parsed, _MOST_TEXTS)
            self.parsed[key] = parsed
        return parsed

    def keep(self, graphs: Mapping[Key, Graph | None]) -> None:
        """Graphs of a file in which nothing was found."""
        _make_room(self.graphs, _MOST_GRAPHS)
        self.graphs.update((key, graph) for key, graph in graphs.items() if graph is not None)


def _make_room(memo: dict[K, V], most: int) -> None:
    """Forget everything where there is too much: memory stays bounded, and the same files give the same run."""
    if len(memo) >= most:
        memo.clear()
        gc.collect()  # graphs and their flows hold each other

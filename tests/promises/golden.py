"""The golden corpus: what archdsl makes of a few hundred programs, kept so that no change is silent.

The programs are kept as texts in `tests/golden/*.txt`, in groups; each with the digests of everything that is printed of
it, and for the small ones of the language the graph and the diagnostics in full, so that a difference can be read.
"""

from __future__ import annotations

import hashlib
import random
import re
from functools import cache
from pathlib import Path

from archdsl import pipeline, render
from archdsl.ir.dump import dump
from archdsl.source import Source
from archdsl.summary import summary
from promises.corpus import LIBRARY, SMALL, SPECS, trimmed
from promises.feed import read_corpus

FOLDER = Path(__file__).parents[1] / "golden"
_HEAD = re.compile(r"^=== (.+)$", re.M)
KINDS = ("diagnostics", "graph", "code", "summary")


def printed(name: str, text: str) -> dict[str, str]:
    """Everything that is printed of a program."""
    checked, modules = pipeline.compile(Source(f"specs/{name}", text), reader=read_corpus)
    graphs = [f"{n.variant or n.name}\n{dump(n.graph)}" for n in checked.networks]
    tables = [summary(n.graph, n.cost) for n in checked.networks]
    return {
        "diagnostics": render.text(checked.diagnostics),
        "graph": "\n".join(graphs),
        "code": "".join(modules.values()),
        "summary": "\n".join(tables),
    }


def digests(found: dict[str, str]) -> str:
    """One line of digests, eight bytes each; a dash for nothing."""
    return " ".join(f"{kind}={_digest(found[kind])}" for kind in KINDS)


def _digest(words: str) -> str:
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:16] if words else "-"


@cache
def stored() -> dict[str, dict[str, str]]:
    """The programs that are kept as texts, by group and name."""
    groups: dict[str, dict[str, str]] = {}
    for path in sorted(FOLDER.glob("programs-*.txt")):
        pieces = _HEAD.split(path.read_text(encoding="utf-8"))[1:]
        groups[path.stem] = {n: t.lstrip("\n") for n, t in zip(pieces[::2], pieces[1::2], strict=True)}
    return groups


def corpus() -> dict[str, str]:
    """All programs: the specs with one variant each, the library, one for each construct, and the kept ones."""
    texts = {name: trimmed(text) for name, text in SPECS.items()} | LIBRARY
    texts |= {f"small/{name}": text for name, text in SMALL.items()}
    for group, programs in stored().items():
        texts |= {f"{group}/{name}": text for name, text in programs.items()}
    return texts


def chosen(seed: str, count: int) -> list[str]:
    """Programs for the corpus: generated ones, and mutants with a mistake or two; short, all different."""
    from promises.generator import program
    from promises.mutator import mutant

    found: dict[str, str] = {}
    rng = random.Random(seed)
    while len(found) < count:
        text = program(rng) if rng.random() < 0.6 else mutant(rng)
        plain = text.isprintable() or all(c == "\n" or c.isprintable() for c in text)
        key = digests(printed("a.arch", text))
        if plain and len(text) < 900 and "===" not in text and key not in found:
            found[key] = text.strip("\n") + "\n"
    return list(found.values())


def write_programs(seed: str = "golden", groups: int = 4, count: int = 40) -> None:
    """Choose the kept programs anew. Not done by `--update`: the corpus is to stay."""
    for group in range(groups):
        texts = chosen(f"{seed}/{group}", count)
        pieces = [f"=== {number:02d}\n{text}" for number, text in enumerate(texts)]
        (FOLDER / f"programs-{group}.txt").write_text("\n".join(pieces), encoding="utf-8")

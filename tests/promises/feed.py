"""One text through everything a command does with it, and what must hold whatever the text says."""

from __future__ import annotations

import ast
import json
import time
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from archdsl import limits, pipeline, render
from archdsl.diagnostic import Diagnostic
from archdsl.elaborate.load import beside
from archdsl.ir.dump import dump
from archdsl.source import Source
from archdsl.summary import summary
from archdsl.syntax.ast import ExternDecl
from promises.corpus import FILES
from promises.pycode import escapes

# Cc but LF, Cf, Cs, line and paragraph separators: nothing of this may reach a terminal.
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


class Broken(Exception):
    """A promise that a text has broken; the message says which and how."""


@dataclass(frozen=True)
class Fed:
    """What came of one text: the compiler's result, the modules, the CPU seconds of an answer, and of all there is."""

    checked: pipeline.Checked
    modules: dict[str, str]
    seconds: float
    every: float


def read_corpus(source: Source, path: str) -> Source | str:
    """Relative imports see the corpus and nothing else, so that runs do not depend on the disk."""

    def read(name: str) -> Source:
        text = FILES.get(name.rpartition("/")[2])
        if text is None:
            raise FileNotFoundError(2, "no such file")
        return Source(name, text)

    return beside(source, path, read)


def feed(text: str, name: str = "specs/fuzz.arch") -> Fed:
    """Compile and render a text; `Broken` or whatever escapes from archdsl where a promise does not hold."""
    began = time.process_time()
    source = Source(name, text)
    checked = pipeline.check(source, reader=read_corpus)
    found = list(checked.diagnostics)
    texts = [render.text(found)]
    seconds = time.process_time() - began
    modules = _modules(checked)
    texts += [render.github(found)]
    document = json.loads(render.as_json(found))
    for network in checked.networks[:1]:
        texts += [summary(network.graph, network.cost), dump(network.graph)]
    every = time.process_time() - began
    _check_diagnostics(found)
    _check_output(texts[0], texts[1:])
    if len(document["diagnostics"]) > limits.DIAGNOSTICS.value:
        raise Broken(f"R03: {len(document['diagnostics'])} diagnostics in the JSON form")
    for module in modules.values():
        _check_module(module, _externs(checked))
    return Fed(checked, modules, seconds, every)


def _modules(checked: pipeline.Checked) -> dict[str, str]:
    """As `pipeline.compile`: the module of the first network of a file without errors."""
    if checked.diagnostics.has_errors or not checked.networks:
        return {}
    return {pipeline.module_name(checked.source): pipeline.emit(checked, checked.networks[0])}


def _check_diagnostics(found: Iterable[Diagnostic]) -> None:
    """R07: place, cause, and a page for the code."""
    for d in found:
        for label in (d.primary, *d.others):
            size = len(label.span.source.text)
            if not 0 <= label.span.start <= label.span.end <= size:
                raise Broken(f"R07: {d.code} points to {label.span.start}..{label.span.end} of {size} characters")
        if not d.title.strip():
            raise Broken(f"R07: {d.code} has no title")
        if d.code not in _codes():
            raise Broken(f"R07: {d.code} has no page")


@cache
def _codes() -> frozenset[str]:
    from archdsl import explain

    return frozenset(page.code for page in explain.pages())


def _check_output(plain: str, others: list[str]) -> None:
    """R08: nothing invisible leaves archdsl; R03: no message without bound."""
    for text in (plain, *others):
        if text.isascii() and text.replace("\n", "").isprintable():
            continue
        for char in set(text) - {"\n"}:
            if unicodedata.category(char) in _HIDDEN:
                raise Broken(f"R08: U+{ord(char):04X} reaches the output")
    if len(plain) > (limits.DIAGNOSTICS.value + 1) * 16 * limits.MESSAGE.value:
        raise Broken(f"R03: {len(plain):,} characters of messages")


def _externs(checked: pipeline.Checked) -> frozenset[str]:
    """The Python modules that the text names on purpose."""
    declarations = checked.file.declarations if checked.file is not None else ()
    return frozenset(d.path.value.partition(":")[0] for d in declarations if isinstance(d, ExternDecl))


def _check_module(module: str, externs: frozenset[str]) -> None:
    """R16: the module is Python, and nothing but what a generated module may hold."""
    try:
        tree = ast.parse(module)
    except (SyntaxError, ValueError) as error:
        raise Broken(f"R16: the module is not Python: {error}") from error
    wrong = escapes(tree, externs)
    if wrong:
        raise Broken(f"R16: the module holds {wrong}")

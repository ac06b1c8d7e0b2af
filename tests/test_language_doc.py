"""The language page: every example is run, every table is held against what it lists.

`arch` is a whole file, `arch body` the statements of a network with an input `image`, `arch file=NAME` a file that
later examples import. With `error=CODE` the example gives exactly that error; without, neither errors nor warnings.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from casefiles import Section, sections

from archdsl import pipeline
from archdsl.diagnostic import Severity
from archdsl.elaborate.load import standard_module, standard_names
from archdsl.elaborate.metrics import METRICS, QUOTED
from archdsl.inits import INITS
from archdsl.limits import LIMITS
from archdsl.pipeline import Checked
from archdsl.recipe.records import CHOICES, Recipe
from archdsl.render import text
from archdsl.source import Source
from archdsl.syntax.lexer import keywords

PATH = Path(__file__).parent.parent / "docs" / "language.md"
PAGE = PATH.read_text(encoding="utf-8")
SECTIONS = sections(PAGE)
EXAMPLES = [section for section in SECTIONS if section.name == "arch"]
FILES = {name: section.body for section in EXAMPLES if (name := section.option("file"))}


def _whole(section: Section) -> str:
    """The example as a file: a body gets a network around it, and an output where it has none."""
    if "body" not in section.words:
        return section.body
    body = "".join(f"    {line}" for line in section.body.splitlines(keepends=True))
    output = "" if "output" in section.body else "    output = x -> global_avg_pool -> linear(10)\n"
    if output and "x" not in re.findall(r"^(\w+) *=", section.body, re.MULTILINE):
        output = output.replace("x ->", "image ->")
    return f"network Example() {{\n    input image: [3, 32, 32]\n{body}{output}}}\n"


def _checked(section: Section) -> Checked:
    def beside(source: Source, path: str) -> Source | str:
        return Source(path, FILES[path]) if path in FILES else "No such file or directory"

    return pipeline.check(Source("example.arch", _whole(section)), reader=beside)


def _place(section: Section) -> str:
    return f"line-{section.line}"


@pytest.mark.parametrize("section", EXAMPLES, ids=_place)
def test_an_example_holds(section: Section) -> None:
    checked = _checked(section)
    found = [d for d in checked.diagnostics if d.severity is not Severity.NOTE]
    wanted = section.option("error")
    assert [d.code for d in found] == ([wanted] if wanted else []), text(found)


@pytest.mark.parametrize("section", [s for s in EXAMPLES if not s.option("error")], ids=_place)
def test_an_example_compiles(section: Section) -> None:
    checked = _checked(section)
    for network in checked.networks[:1]:
        assert network.graph.name in pipeline.emit(checked, network)


def test_the_message_shown_is_the_one_given() -> None:
    wrong = next(section for section in EXAMPLES if section.option("error") == "T203")
    shown = next(section for section in SECTIONS if section.name == "text")
    message = text(_checked(wrong).diagnostics).replace("example.arch", "wrong.arch")
    assert message.startswith(shown.body)


def test_reserved_words() -> None:
    listed = PAGE.partition("These words cannot be names:")[2].partition("The grammar")[0]
    assert re.findall(r"`(\w+)`", listed) == sorted(keywords())


def _table(heading: str) -> tuple[str, ...]:
    """The rows of the first table behind a heading, its two heads left out."""
    lines = PAGE.partition(f"\n{heading}\n")[2].splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("| "))
    return tuple(itertools.takewhile(lambda line: line.startswith("|"), lines[first:]))[2:]


def _library_rows() -> tuple[str, ...]:
    modules = [module for name in standard_names() if (module := standard_module(name)) is not None]
    listed = [", ".join(f"`{name}`" for name in module.declared()) for module in modules]
    return tuple(f"| `{module.source.name}` | {names} |" for module, names in zip(modules, listed, strict=True))


TABLES = {
    "## Limits": lambda: tuple(f"| {limit.name} | {limit} | {limit.doc} |" for limit in LIMITS),
    "### The standard library": _library_rows,
}


@pytest.mark.parametrize("heading", sorted(TABLES))
def test_tables(heading: str, update: bool) -> None:
    """Limits and library are listed as they are; `--update` writes the rows again."""
    old, new = _table(heading), TABLES[heading]()
    if update and old != new:
        page = PATH.read_text(encoding="utf-8")
        PATH.write_text(page.replace("\n".join(old), "\n".join(new)), encoding="utf-8", newline="\n")
        return
    assert old == new, "if that is right: pytest tests/test_language_doc.py --update"


def test_rules_of_initialisation() -> None:
    assert set(" ".join(INITS).split()) <= set(PAGE.partition("Rules: `")[2].partition("`")[0].split())


def test_what_can_be_claimed() -> None:
    claims = PAGE.partition("## Claims")[2].partition("## Recipes")[0]
    assert all(f"`{name}`" in claims for name in METRICS)
    assert " ".join(QUOTED) in claims


@pytest.mark.parametrize("setting", sorted(Recipe.model_fields))
def test_settings_of_recipes(setting: str) -> None:
    recipes = PAGE.partition("## Recipes")[2].partition("## Imports")[0]
    row = next(line for line in recipes.splitlines() if line.startswith("| ") and f"`{setting}`" in line.split("|")[1])
    assert all(re.search(rf"\b{choice}\b", row.split("|")[2]) for choice in CHOICES.get(setting, ()))

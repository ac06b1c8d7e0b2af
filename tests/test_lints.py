"""Lint rules: each has a page and a case, says what the case shows, and is silent on the right text.

A case in `lint_cases/` has fenced sections: `arch` with the mistake, `diagnostics` with the whole message, then one `arch`
or several without the mistake. `pytest --update` writes the messages again.
"""

from __future__ import annotations

import inspect
import re
import time
from pathlib import Path

import pytest
from casefiles import replaced, sections

from archdsl import pipeline
from archdsl.diagnostic import Diagnostic, Severity
from archdsl.lints import RULES, slugs
from archdsl.lints.flow import flow
from archdsl.lints.rule import Rule
from archdsl.render import one
from archdsl.source import Source

FOLDER = Path(__file__).parent / "lint_cases"
SPECS = sorted((Path(__file__).parent.parent / "specs").glob("*.arch"))
CORRECT = sorted((FOLDER / "correct").glob("*.arch"))


def lint(text: str) -> list[Diagnostic]:
    """Everything found in a text, which must be free of errors."""
    found = list(pipeline.check(Source("net.arch", text)).diagnostics)
    assert not [d for d in found if d.severity is Severity.ERROR], "".join(map(one, found))
    return found


def warnings(found: list[Diagnostic]) -> str:
    return "".join(one(d) for d in found if d.severity is Severity.WARNING)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.slug)
def test_case(rule: Rule, update: bool) -> None:
    path = FOLDER / f"{rule.slug}.md"
    text = path.read_text(encoding="utf-8")
    wrong, said, *right = sections(text)
    found = [d for d in lint(wrong.body) if d.code == rule.code]
    assert found, f"{rule.slug} finds nothing in its own case"
    message = "\n".join(map(one, found))
    if update and message != said.body:
        path.write_text(replaced(text, {"diagnostics": message}), encoding="utf-8")
    else:
        assert said.body == message
    assert right
    for section in right:
        after = lint(section.body)
        assert not [d for d in after if d.code == rule.code]
        assert not warnings(after)


def test_every_case_has_a_rule() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} == {rule.slug for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.slug)
def test_page(rule: Rule) -> None:
    """The page says what, why, wrong, right and how to silence."""
    page = inspect.getdoc(inspect.getmodule(rule.check)) or ""
    assert re.search(r"^(Wrong|Noted):$", page, re.MULTILINE)
    assert re.search(r"^(Right|Otherwise)(, for ResNet)?:$", page, re.MULTILINE)
    assert f"# allow: {rule.slug}" in page or "cannot be silenced" in page
    assert ("Noted:" in page) == (rule.severity is Severity.NOTE)


def test_codes_and_slugs_are_unique_and_in_order() -> None:
    assert [rule.code for rule in RULES] == sorted({rule.code for rule in RULES})
    assert len({rule.slug for rule in RULES}) == len(RULES) >= 20


@pytest.mark.parametrize("path", [*SPECS, *CORRECT], ids=lambda path: path.stem)
def test_correct_networks_are_left_alone(path: Path) -> None:
    found = list(pipeline.check(Source(str(path), path.read_text(encoding="utf-8"))).diagnostics)
    assert not [d for d in found if d.severity is Severity.ERROR], "".join(map(one, found))
    assert warnings(found) == ""


def test_a_comment_silences_its_line_and_the_next() -> None:
    case = sections((FOLDER / "dead-bias.md").read_text(encoding="utf-8"))[0].body
    line = next(line for line in case.splitlines() if "bias=true" in line)
    beside = case.replace(line, f"{line}  # allow: dead-bias")
    above = case.replace(line, f"    # allow: dead-bias\n{line}")
    far = case.replace(line, f"    # allow: dead-bias\n\n    {line}")
    assert warnings(lint(beside)) == warnings(lint(above)) == ""
    assert {d.code for d in lint(far) if d.severity is Severity.WARNING} == {"L101", "L901"}


def test_no_rule_can_be_misspelt_in_silence() -> None:
    found = lint(
        sections((FOLDER / "unused-allow.md").read_text(encoding="utf-8"))[0].body.replace("dead-bias", "dead-bia")
    )
    assert [(d.title, d.hint) for d in found if d.code == "L901"] == [
        ("no rule is called `dead-bia` (unused-allow)", "did you mean `dead-bias`?")
    ]
    assert "unused-allow" not in slugs()


def test_findings_inside_the_library_blame_the_users_line() -> None:
    text = """import std.residual { basic }

network Net() {
    expect params = 5_034
    input image: [16, 8, 8]
    a = image -> relu -> relu -> basic(16) -> relu
    output: [10] = a -> global_avg_pool -> linear(10)
}
"""
    found = [d for d in lint(text.replace("5_034", "4_842")) if d.code == "L107"]
    assert len(found) == 2
    assert all(d.primary.span.source.name == "net.arch" for d in found)


def test_rules_take_no_longer_for_a_million_units() -> None:
    text = """import std.residual { basic }

network Net(n = 1000000) {
    input image: [3, 32, 32]
    output: [10] = image -> conv(16, 3) -> bn -> relu -> basic(16) * n -> global_avg_pool -> linear(10)
}
"""
    checked = pipeline.check(Source("net.arch", text))
    start = time.process_time()
    checked.networks[0].graph.cache.pop("flow")
    assert len(flow(checked.networks[0].graph).steps) < 40
    assert time.process_time() - start < 0.01

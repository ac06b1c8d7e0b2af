"""Golden cases: one Markdown file shows a text and what archdsl has to say on it.

A case has prose and fenced sections. `arch` is the input; `arch file=NAME` is another file beside it, `arch
param.NAME=VALUE` gives a parameter as the command line would, `arch escaped` holds `\\u{...}` for characters that
cannot be seen, `arch encoding=NAME` is written in another encoding. The others are the output, and `pytest --update`
writes them again: `diagnostics`, `graph`, `torch`, `summary`.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from casefiles import Section, may_update, replaced, sections

from archdsl import pipeline
from archdsl.codes import is_coded
from archdsl.explain import MODULES
from archdsl.inputs import NotText, read
from archdsl.ir.dump import dump
from archdsl.pipeline import Checked, Request
from archdsl.render import one, text
from archdsl.source import Source
from archdsl.summary import summary

FOLDER = Path(__file__).parent / "cases"
CASES = sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.glob("*/*.md"))
TYPICAL = (
    "misspelt-layer",
    "unequal-add",
    "map-smaller-than-kernel",
    "undefined-parameter",
    "missing-bracket",
    "wrong-argument-type",
)

OUTPUTS: dict[str, Callable[[Checked], str]] = {
    "diagnostics": lambda checked: text(checked.diagnostics) or "no findings\n",
    "graph": lambda checked: dump(checked.networks[0].graph),
    "torch": lambda checked: pipeline.emit(checked, checked.networks[0]),
    "summary": lambda checked: summary(checked.networks[0].graph, checked.networks[0].cost),
}


def _input(section: Section) -> str:
    if "escaped" not in section.words:
        return section.body
    return re.sub(r"\\u\{([0-9a-f]+)\}", lambda match: chr(int(match[1], 16)), section.body)


def _check(found: list[Section], folder: Path) -> Checked:
    """Check the first `arch` section, with the others as files beside it."""
    inputs = [section for section in found if section.name == "arch"]
    files = {section.option("file") or "net.arch": _input(section) for section in inputs}
    main = inputs[0]
    encoding = main.option("encoding")
    if encoding is not None:
        path = folder / "net.arch"
        path.write_bytes(main.body.encode(encoding))
        read(str(path))

    def beside(source: Source, path: str) -> Source | str:
        return Source(path, files[path]) if path in files else f"cannot read {path}: No such file or directory"

    request = Request(parameters=main.options("param"), variant=main.option("variant"))
    return pipeline.check(Source("net.arch", files["net.arch"]), request, beside)


def _outputs(found: list[Section], folder: Path) -> dict[str, str]:
    wanted = [section.name for section in found if section.name in OUTPUTS]
    try:
        checked = _check(found, folder)
    except NotText as refused:
        found_text = re.sub(r"\S*net\.arch", "net.arch", one(refused.diagnostic))
        return {"diagnostics": found_text}
    return {name: OUTPUTS[name](checked) for name in wanted}


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, update: bool, tmp_path: Path) -> None:
    path = FOLDER / f"{name}.md"
    case = path.read_text(encoding="utf-8")
    found = sections(case)
    bodies = _outputs(found, tmp_path)
    assert bodies, f"{name} shows nothing: give it an empty `diagnostics` section"
    now = replaced(case, bodies)
    if update and now != case:
        path.write_text(now, encoding="utf-8", newline="\n")
        return
    assert now == case, f"{name} differs; if that is right: pytest tests/test_cases.py --update"


def test_nothing_is_written_in_ci() -> None:
    assert may_update({})
    assert not may_update({"CI": "true"})


def test_the_typical_mistakes_have_cases() -> None:
    assert {f"mistakes/{name}" for name in TYPICAL} <= set(CASES)
    assert sum(name.startswith("mistakes/") for name in CASES) >= len(TYPICAL) + 20


def _shown_codes() -> set[str]:
    shown: set[str] = set()
    for name in CASES:
        body = "".join(s.body for s in sections((FOLDER / f"{name}.md").read_text("utf-8")) if s.name == "diagnostics")
        shown |= set(re.findall(r"^\w+\[(\w+)\]", body, re.MULTILINE))
    return shown


CODED = {make.code: make for module in MODULES for make in vars(import_module(module)).values() if is_coded(make)}


@pytest.mark.parametrize("code", sorted(CODED))
def test_every_code_has_a_page_and_a_case(code: str) -> None:
    page = inspect.getdoc(CODED[code]) or ""
    assert page.partition("\n")[0].endswith("."), "a page begins with a sentence"
    assert re.search(r"\bWrong\b", page), "a page shows what is wrong"
    assert re.search(r"\bRight\b", page), "a page shows what is right"
    assert code in _shown_codes(), f"no case in tests/cases shows {code}"


def test_slugs_are_distinct() -> None:
    slugs = [make.slug for make in CODED.values()]
    assert len(set(slugs)) == len(slugs)


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("mistakes/")])
def test_a_mistake_is_found_once(name: str) -> None:
    """One mistake gives one finding, unless the case is about several."""
    case = (FOLDER / f"{name}.md").read_text("utf-8")
    body = next(s.body for s in sections(case) if s.name == "diagnostics")
    assert len(re.findall(r"^error\[", body, re.MULTILINE)) == 1 or "several mistakes" in case


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("showcase/")])
def test_a_showcase_runs(name: str, tmp_path: Path) -> None:
    """Networks newer than the language, without Python: the module runs, forward and backward, and counts right."""
    import torch

    checked = _check(sections((FOLDER / f"{name}.md").read_text("utf-8")), tmp_path)
    assert not checked.diagnostics.has_errors
    network = checked.networks[0]
    module = types.ModuleType("generated")
    exec(pipeline.emit(checked, network), module.__dict__)
    model = getattr(module, network.graph.name)()
    assert sum(p.numel() for p in model.parameters()) == network.cost.params.total
    torch.manual_seed(0)
    results = model(*(torch.randn(2, *wire.values) for wire in network.graph.inputs))
    results = results if isinstance(results, tuple) else (results,)
    wanted = [wire.values for wire in network.graph.outputs]
    wanted += [auxiliary.wire.values for auxiliary in network.graph.auxiliaries]
    assert [tuple(result.shape[1:]) for result in results] == wanted
    torch.stack([result.square().mean() for result in results]).sum().backward()
    assert all(p.grad is not None for p in model.parameters())

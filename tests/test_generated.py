"""`generated/` holds, byte for byte, what the specs compile to; and it is text a careful person would have written."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from zoo import ROOT

from archdsl import Source
from archdsl.pipeline import compile as compile_spec

SPECS = sorted((ROOT / "specs").glob("*.arch"))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_generated_is_what_the_spec_compiles_to(path: object) -> None:
    source = Source(f"specs/{path.name}", path.read_text(encoding="utf-8"))  # type: ignore[attr-defined]
    _, texts = compile_spec(source)
    (name, text), *rest = texts.items()
    assert not rest
    assert (ROOT / "generated" / name).read_text(encoding="utf-8") == text, "run `make update`"


def test_nothing_else_is_there() -> None:
    stems = {path.stem.replace("-", "_") for path in SPECS}
    assert {path.stem for path in (ROOT / "generated").glob("*.py")} == stems


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=["lint", "format"])
def test_ruff_has_nothing_to_say(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "generated"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", sorted((ROOT / "generated").glob("*.py")), ids=lambda path: path.stem)
def test_torch_is_the_only_import(path: object) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))  # type: ignore[attr-defined]
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= {"torch", "collections", "math", "__future__"}

"""The shape of the program: imports point one way, torch stays at the edge, files and functions stay short."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "archdsl"

# Lowest first. A module may import what stands in lower rows, and its own row only where the row is one package.
ROWS = (
    ("record",),
    ("visible", "scalar", "source", "deep"),
    ("fsio", "diagnostic", "suggest", "synonyms", "limits"),
    ("codes", "ice"),
    ("syntax", "ops", "recipe"),
    ("inits", "inputs", "ir"),
    ("elaborate",),
    ("analyses",),
    ("lints", "emit", "render", "schema", "schema_read", "schema_write", "summary", "summary_json", "show"),
    ("config",),
    ("pipeline",),
    ("spec", "verify", "console", "explain", "report"),
    ("__init__",),
    ("train",),
    ("training",),
    ("commands", "run_commands"),
    ("export_commands", "sweep"),
    ("cli_bench", "cli_export", "cli_runs", "cli_sweep"),
    ("cli",),
    ("__main__",),
)
# Pairs of one row that belong together.
TOGETHER = {("schema", "schema_read"), ("schema", "schema_write"), ("summary", "summary_json")}
TORCH = ("train", "verify", "spec")
# Files that are lists of like things.
TABLES = {
    "archdsl/elaborate/errors.py",
    "archdsl/emit/torch/helpers.py",
    "archdsl/emit/torch/ops.py",
    "archdsl/recipe/records.py",
    "archdsl/syntax/ast.py",
}
LONGEST_FILE, LONGEST_FUNCTION, MEDIAN_FUNCTION = 400, 40, 8

MODULES = sorted(PACKAGE.rglob("*.py"))


def part(path: Path) -> str:
    """The first name below the package: `syntax` for archdsl/syntax/lexer.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Modules that are imported anywhere in a file, also inside functions; not those for type checkers only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"archdsl.{alias.name}" for alias in node.names] if node.module == "archdsl" else [node.module]
            yield from ((name, node.lineno) for name in names)


def without_typing_blocks(tree: ast.Module) -> ast.Module:
    tree.body = [n for n in tree.body if not (isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")]
    return tree


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def row_of(name: str) -> int:
    return next((number for number, row in enumerate(ROWS) if name in row), len(ROWS))


def test_every_module_has_its_row() -> None:
    assert {part(path) for path in MODULES} - {name for row in ROWS for name in row} == set()


def upward(path: Path) -> Iterator[str]:
    here = part(path)
    for name, line in imports(without_typing_blocks(parsed(path))):
        pieces = name.split(".")
        if pieces[0] != "archdsl" or len(pieces) == 1 or pieces[1] == here or pieces[1] not in sum(ROWS, ()):
            continue
        there = pieces[1]
        if row_of(there) >= row_of(here) and tuple(sorted((here, there))) not in TOGETHER:
            yield f"{path.relative_to(ROOT)}:{line}: {here} imports {there}"


def test_imports_point_down() -> None:
    assert [fault for path in MODULES for fault in upward(path)] == []


def test_torch_is_imported_only_at_the_edge() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in MODULES
        if part(path) not in TORCH
        for name, line in imports(parsed(path))
        if name.split(".")[0] in ("torch", "torchinfo", "torchvision", "numpy", "safetensors")
    ]
    assert found == []


def functions() -> Iterator[tuple[str, int]]:
    for path in MODULES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", body_lines(node)


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a body, its docstring not counted."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_functions_are_short() -> None:
    lengths = dict(functions())
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}
    assert median(lengths.values()) <= MEDIAN_FUNCTION


def test_files_are_short() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text(encoding="utf-8").splitlines()) for p in MODULES}
    assert {n: length for n, length in lengths.items() if length > LONGEST_FILE and n not in TABLES} == {}


def test_public_names_have_docstrings() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in MODULES
        for node in parsed(path).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and ast.get_docstring(node) is None
    ]
    assert bare == []


def test_modules_say_what_they_are_for() -> None:
    silent = [str(p.relative_to(ROOT)) for p in MODULES if p.stat().st_size and not ast.get_docstring(parsed(p))]
    assert silent == []


DANGEROUS = {"eval", "exec", "pickle.load", "pickle.loads", "yaml.load", "os.system", "torch.load"}
# To run a generated module is what these are for.
NEEDED = {("archdsl/verify.py", "exec"), ("archdsl/spec.py", "exec")}


def test_no_dangerous_calls() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)[:80]}"
        for path in MODULES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and is_dangerous(node)
        if (str(path.relative_to(ROOT)), ast.unparse(node.func)) not in NEEDED
    ]
    assert found == []


def is_dangerous(call: ast.Call) -> bool:
    flags = {k.arg: ast.unparse(k.value) for k in call.keywords}
    if flags.get("shell") == "True" or flags.get("cache") == "True":
        return True
    return ast.unparse(call.func) in DANGEROUS and flags.get("weights_only") != "True"


LOADED = """
import sys
from archdsl import cli
sys.argv = ["archdsl", *sys.argv[1:]]
try:
    cli.main()
finally:
    heavy = {"torch", "numpy", "pydantic", "jinja2", "rich", "networkx", "sympy"} & set(sys.modules)
    print("loaded:", *sorted(heavy), file=sys.stderr)
"""


def loaded_by(*arguments: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return set(run.stderr.rpartition("loaded:")[2].split())


def test_lint_loads_nothing_heavy() -> None:
    assert loaded_by("lint", "specs/resnet-1202.arch") == set()


@pytest.mark.parametrize("arguments", [("summary",), ("show", "--stage", "graph"), ("show", "--stage", "json")])
def test_no_reading_command_loads_torch(arguments: tuple[str, ...]) -> None:
    assert not {"torch", "numpy"} & loaded_by(*arguments, "specs/resnet-20.arch")


def test_compile_does_not_load_torch(tmp_path: Path) -> None:
    assert not {"torch", "numpy"} & loaded_by("compile", "specs/resnet-20.arch", "-o", str(tmp_path))


def test_style() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--output-format", "concise", "."],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert run.returncode == 0, run.stdout

"""R03: a text over a limit is refused in less than 0.2 s, with the limit's name and place; one at the limit is not.

Every row of `archdsl.limits` is met below, at and above its value (promised: 16 limits), with the exact message; the
limits on files with inputs that no text editor makes: 10 MB, a sparse 1 GB, `/dev/zero`, a pipe, a directory, nothing.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from archdsl import limits, render
from archdsl.config import overrides
from archdsl.diagnostic import Diagnostic, Label, Severity
from archdsl.elaborate import frame
from archdsl.fsio import FileTrouble, TooLarge
from archdsl.inputs import Misuse, found, read
from archdsl.limits import LIMITS, Limit
from archdsl.pipeline import Request, check
from archdsl.schema import NotANetwork, from_json
from archdsl.source import Source, Span
from promises import pace

pytestmark = pytest.mark.promised("R03", of="tests of limits and files")


def _net(body: str, shape: str = "[1, 1, 1]", head: str = "") -> str:
    return f"{head}network N() {{\n    input x: {shape}\n    {body}\n    output = x -> relu\n}}\n"


class Case(NamedTuple):
    """How a text reaches a limit: `text(n)` takes n of its units. `place` is where n = value + 1 is refused."""

    limit: Limit
    text: Callable[[int], str]
    place: tuple[int, int]
    title: str = ""
    code: str = "M101"
    span: str | None = None


COUNT = 12  # for limits whose own value takes seconds to reach: they are set to this first


CASES = [
    Case(limits.SOURCE, lambda n: "#" + "x" * (n - 1), (1, 262145)),
    Case(limits.SOURCE, lambda n: "#" * (n % 2) + "é" * (n // 2) if n % 2 else "#x" + "é" * (n // 2 - 1), (1, 131073)),
    Case(limits.TOKENS, lambda n: "\n" * n, (50001, 1)),
    Case(limits.DEPTH, lambda n: "a = " + "(" * n + "1" + ")" * n, (1, 69)),
    Case(limits.DEPTH, lambda n: "a = " + "[" * n + "1" + "]" * n, (1, 69)),
    Case(limits.DEPTH, lambda n: "block b() { " + "if true { " * (n - 1) + "\n" + "} " * n, (1, 651)),
    Case(limits.NESTING, lambda n: "a = " + "not " * (n - 2) + "true", (1, 2001)),
    Case(limits.NESTING, lambda n: "a = " + "-" * (n - 2) + "1", (1, 504)),
    Case(limits.NAME, lambda n: "a" * n + " = 1", (1, 1)),
    Case(limits.DIGITS, lambda n: "a = " + "1" * n, (1, 5)),
    Case(limits.DIGITS, lambda n: "a = 0." + "1" * (n - 1), (1, 5)),
    Case(limits.SIZE, lambda n: _net("y = x", f"[{n}]"), (2, 15)),
    Case(
        limits.SIZE,
        lambda n: _net(f"y = x -> conv({n}, 1)"),
        (3, 19),
        "`conv`: `width` takes a whole number of at least 1, got 2147483648",
        "E312",
    ),
    Case(
        limits.NUMBER,
        lambda n: _net(f"k = 2^64 * 2^64 * 2^64 * 2^{n - 193}"),
        (3, 9),
        "this number has more than 256 bits",
        "E306",
    ),
    Case(limits.EXPONENT, lambda n: _net(f"k = 3^{n}"), (3, 9), "an exponent is at most 64, not 65", "E306"),
    Case(limits.CALLS, lambda n: _net(f"k = f({n - 1})", head="fn f(d) = 1 if d == 0 else f(d - 1)\n"), (1, 28)),
    Case(limits.ROWS, lambda n: _net("y = x -> " + "(" * n + "relu" + " * 2 -> tanh)" * n), (3, 14)),
    Case(limits.ITEMS, lambda n: _net(f"k = 1..{n}"), (3, 9)),
    Case(limits.ITEMS, lambda n: _net("k = a + a", head="a = 1..5000\n") if n == 10_000 else _more(n), (4, 9)),
    Case(
        limits.REPEATS,
        lambda n: _net(f"y = x -> relu * {n}"),
        (3, 14),
        "a repeat is 0 to 10,000,000 times, not 10000001",
        "E306",
    ),
    Case(limits.RANK, lambda n: _net("y = x", "[" + ", ".join("1" * n) + "]"), (2, 14)),
    Case(limits.RANK, lambda n: _net("y = learned([" + ", ".join("1" * n) + "])"), (3, 9)),
    Case(
        limits.PARAMETERS,
        lambda n: _net(f"y = x -> linear({2**28 + n - 2**48}, bias=false)", "[1048576]"),
        (1, 9),
    ),
    Case(limits.ACTIVATIONS, lambda n: _net("y = x -> relu", f"[{n // 2**20 + n % 2}, 1048576]"), (3, 14)),
]  # fmt: skip


def _more(count: int) -> str:
    """A list of that many items, made of two."""
    return _net(f"k = a + (1..{count - 5000})", head="a = 1..5000\n")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.limit.name)
def test_below_and_at_the_limit_nothing_is_said(case: Case) -> None:
    for size in (case.limit.value - 1, case.limit.value):
        text = case.text(size)
        assert not _refusals(text), f"{size} of {case.limit}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.limit.name)
def test_above_the_limit_a_text_is_refused(case: Case) -> None:
    text = case.text(case.limit.value + 1)
    began = time.process_time()
    refusals = _refusals(text)
    assert time.process_time() - began < 0.2 * pace.slowness()
    assert len(refusals) == 1
    unit = "" if case.limit.unit == "at most" else f" {case.limit.unit}"
    assert refusals[0].title == (case.title or f"{case.limit.name}: at most {case.limit.value:,}{unit}")
    assert refusals[0].code == case.code
    assert refusals[0].primary.span.position == case.place


def _refusals(text: str) -> list[Diagnostic]:
    return [d for d in check(Source("a.arch", text)).diagnostics if d.severity is Severity.ERROR]


# ---- limits that take too long to reach: set lower ---------------------------------------------------------------

# Each text takes exactly n: steps, levels, nodes.
LOWERED = {
    "STEPS": (lambda n: _net("k = [" + ", ".join("1" * ((n - 7) // 2)) + "]"), 107),
    "NODES": (lambda n: _net("y = x" + " -> relu -> tanh" * ((n - 1) // 2)), 101),
    "LEVELS": (lambda n: _net("k = " + "(" * (n - 1) + "1" + ")" * (n - 1)), 50),
}


@pytest.mark.parametrize("name", LOWERED)
def test_limits_on_elaboration(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limit: Limit = getattr(limits, name)
    text, size = LOWERED[name]
    taken = next(n for n in range(size * 2) if not _refused(text(size), name, limit, n, monkeypatch))
    at, below = (_refused(text(size), name, limit, n, monkeypatch) for n in (taken, taken - 1))
    assert not at
    assert [d.title for d in below] == [f"{limit.name}: at most {taken - 1:,} {limit.unit}"]
    assert below[0].primary.span.position[0] in (3, 4)


def _refused(text: str, name: str, limit: Limit, value: int, monkeypatch: pytest.MonkeyPatch) -> list[Diagnostic]:
    monkeypatch.setattr(frame, name, Limit(limit.name, value, limit.unit, limit.doc))
    return _refusals(text)


def test_files() -> None:
    """A chain of imports; the limit counts the files that are imported."""

    def imported(count: int) -> list[Diagnostic]:
        def reader(source: Source, path: str) -> Source:
            number = int(path[1:-5])
            more = f'import "f{number + 1}.arch" {{ a }}\n' if number < count else ""
            return Source(path, more.replace("{ a }", f"{{ b{number + 1} as c }}") + f"b{number} = 1\n")

        found = check(Source("a.arch", 'import "f1.arch" { b1 }\n'), Request(), reader).diagnostics
        return [d for d in found if d.code == "M101"]

    assert not imported(limits.FILES.value)
    (refusal,) = imported(limits.FILES.value + 1)
    assert refusal.title == "files: at most 64 files"


# ---- limits around the compiler ----------------------------------------------------------------------------------


def test_diagnostics() -> None:
    source = Source("a.arch", "x" * 200)
    every = [Diagnostic("N201", Severity.ERROR, f"t{i}", Label(Span(source, i, i + 1))) for i in range(101)]
    assert "more\n" not in render.text(every[:100])
    assert "and 1 more\n" in render.text(every)
    assert render.text(every).count("error[") == 100


@pytest.mark.parametrize(("size", "clipped"), [(2047, False), (2048, False), (2049, True)])
def test_message(size: int, clipped: bool) -> None:
    shown = render.one(Diagnostic("N201", Severity.ERROR, "m" * size, Label(Span(Source("a", "x"), 0, 1))))
    assert shown.count("m") == min(size, 2048 - clipped)
    assert ("…" in shown) == clipped


def test_overrides() -> None:
    given = [f"p{i}=1" for i in range(65)]
    assert len(overrides(given[:63])) == 63
    assert len(overrides(given[:64])) == 64
    with pytest.raises(Misuse, match="at most 64 parameters"):
        overrides(given)


def test_paths() -> None:
    names = [f"f{i}.arch" for i in range(limits.PATHS.value + 1)]
    assert len(found(names[:-2])) == limits.PATHS.value - 1
    assert len(found(names[:-1])) == limits.PATHS.value
    with pytest.raises(TooLarge, match="10,000 files"):
        found(names)


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_json(more: int) -> None:
    with pytest.raises(NotANetwork) as refused:
        from_json("x" * (limits.JSON.value + more))
    assert ("16,777,216 bytes" in str(refused.value)) == (more > 0)


def test_every_limit_is_met() -> None:
    here = {case.limit.name for case in CASES} | {getattr(limits, name).name for name in LOWERED}
    here |= {"files", "diagnostics", "message", "overrides", "paths", "json"}
    assert {limit.name for limit in LIMITS} == here
    assert len(LIMITS) >= 16


# ---- files -------------------------------------------------------------------------------------------------------


def _large(path: Path) -> None:
    path.write_bytes(b"# large\n" * (10 * 1024 * 1024 // 8))


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


def _empty_pipe(path: Path) -> None:
    os.mkfifo(path)
    threading.Thread(target=_write, args=(path,), daemon=True).start()


def _write(path: Path) -> None:
    with path.open("wb") as pipe, pytest.MonkeyPatch.context():
        try:
            while True:
                pipe.write(b"#" * 4096)
        except BrokenPipeError:
            pass


FILES: dict[str, Callable[[Path], object]] = {
    "10 MB": _large,
    "1 GB of holes": _sparse,
    "/dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "a pipe without an end": _empty_pipe,
    "a directory": Path.mkdir,
    "nothing": lambda path: None,
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_none_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.arch"
    FILES[kind](path)
    began = time.process_time()
    with pytest.raises(FileTrouble) as refused:
        read(str(path))
    assert time.process_time() - began < 0.2 * pace.slowness()
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)

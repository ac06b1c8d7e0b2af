"""R04: depth is bounded in the text, not by the interpreter.

Every bracket 63, 64, 65 and 10^6 deep, and every way to nest without brackets, from a stack that is already 800 frames
deep and from a thread with a stack of 256 KiB. No RecursionError, no crash; findings are the same everywhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from archdsl import deep, limits
from archdsl.limits import DEPTH
from archdsl.syntax import lexer
from promises.bombs import net
from promises.feed import feed

pytestmark = pytest.mark.promised("R04", of="tests of depth")

Feeder = Callable[[str], list[str]]


def _codes(text: str) -> list[str]:
    return [d.code for d in feed(text).checked.diagnostics]


def _from_deep(text: str, frames: int = 800) -> list[str]:
    """Called from a stack that has only some 150 of its 1,000 frames left."""
    here, frame = 0, sys._getframe()
    while frame is not None:
        here, frame = here + 1, frame.f_back
    return _further(text, max(0, frames - here))


def _further(text: str, frames: int) -> list[str]:
    return _codes(text) if frames <= 0 else _further(text, frames - 1)


def _from_thread(text: str) -> list[str]:
    found: list[list[str]] = []
    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=lambda: found.append(_codes(text)))
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    return found[0]


FROM: dict[str, Feeder] = {"plain": _codes, "800 frames": _from_deep, "256 KiB": _from_thread}
BRACKETS: dict[str, Callable[[int], str]] = {
    "round": lambda n: "a = " + "(" * n + "1" + ")" * n,
    "square": lambda n: "a = " + "[" * n + "1" + "]" * n,
    "curly": lambda n: "block b() { " + "if true { " * (n - 1) + "\n" + "} " * n,
    "calls": lambda n: "a = " + "floor(" * n + "1" + ")" * n,
    "only opened": lambda n: "a = " + "([" * (n // 2) + "(" * (n % 2),
}


@pytest.mark.parametrize("start", FROM)
@pytest.mark.parametrize("kind", BRACKETS)
def test_brackets(kind: str, start: str) -> None:
    for depth in (DEPTH.value - 1, DEPTH.value):
        assert "M101" not in FROM[start](BRACKETS[kind](depth)), depth
    for depth in (DEPTH.value + 1, 10_000, 25_000):
        assert "M101" in FROM[start](BRACKETS[kind](depth)), depth


@pytest.mark.parametrize("opener", "([{")
def test_a_million_brackets(opener: str) -> None:
    assert _codes("a = " + opener * 1_000_000) == ["M101"]


_DEEP = 600  # over the bound on nesting
WITHOUT: dict[str, str] = {
    "minus": "a = " + "-" * _DEEP + "1",
    "not": "a = " + "not " * _DEEP + "true",
    "power": "a = " + "1^" * _DEEP + "1",
    "choice": "a = " + "1 if false else " * _DEEP + "2",
    "call": "a = f" + "()" * _DEEP,
    "index": "a = [1]" + "[0]" * _DEEP,
    "attribute": "a = x" + ".shape" * _DEEP,
    "else if": net(" else ".join(f"if n == {i} {{\n y{i} = x\n }}" for i in range(_DEEP))),
}
# What nests only when it is evaluated: each passes the bounds on its text.
EVALUATED: dict[str, str] = {
    "brackets in calls": net("k = f(60)", head="fn f(d) = 1 if d == 0 else " + "(" * 60 + "f(d - 1)" + ")" * 60 + "\n"),
    "arguments in calls": net(
        "k = f(60)", head="fn f(d) = 1 if d == 0 else " + "max(" * 59 + "f(d - 1)" + ")" * 59 + "\n"
    ),
    "sums over lists in calls": net(
        "k = f(60)", head="fn f(d) = 1 if d == 0 else " + "sum(" * 29 + "f(d - 1)" + " for i in [1])" * 29 + "\n"
    ),
    "minus in calls": net("k = f(60)", head="fn f(d) = 1 if d == 0 else " + "-" * 400 + "f(d - 1)\n"),
    "else if in blocks": net(
        "y = x -> b(60)",
        head="block b(d) {\nif d == 0 {\nout = in\n} else "
        + "".join(f"if d == {-i} {{\nout = in\n}} else " for i in range(1, 200))
        + "{\nout = in -> b(d - 1) -> relu\n}\n}\n",
    ),
    "layers in layers": net("l = fold(f, relu, 1..9000)\n    y = x -> l", head="fn f(a, i) = a -> tanh\n"),
    "layers in named layers": net("l = fold(f, relu, 1..400)\n    y = x -> l", head="fn f(a, i) = a -> tanh\n"),
    "rows in rows": net("l = fold(f, relu, 1..400)\n    y = x -> l", head="fn f(a, i) = (a -> tanh) * 2\n"),
    "blocks in blocks": net(
        "l = fold(f, relu, 1..400)\n    y = x -> l", head="block b(l) { out = in -> l -> tanh }\nfn f(a, i) = b(a)\n"
    ),
    "wrapped layers": net(
        "l = fold(f, relu, 1..400)\n    y = x -> l", head="fn f(a, i) = stochastic_depth(a, keep=1/2)\n"
    ),
    "lists in lists": net(
        "l = fold(f, [1], 1..400)\n    require l == l\n    y = x -> conv(l, 1)", head="fn f(a, i) = [a]\n"
    ),
    "symbols in symbols": net(
        "y = x -> b(40)", head="block b(d) { out = in if d == 0 else (in -> conv(in.channels + d, 1) -> b(d - 1)) }\n"
    ),
    "sums of tensors": net("y = fold(f, x, 1..500)", head="fn f(a, i) = a + (a -> relu)\n"),
    "joins of joins": net("y = fold(f, x, 1..300) -> relu", head="fn f(a, i) = join(a, a -> relu)\n"),
}


@pytest.mark.parametrize("start", FROM)
@pytest.mark.parametrize("kind", WITHOUT)
def test_nesting_without_brackets_is_refused(kind: str, start: str) -> None:
    assert "M101" in FROM[start](WITHOUT[kind])


@pytest.mark.parametrize("start", FROM)
@pytest.mark.parametrize("kind", EVALUATED)
def test_nesting_that_only_evaluation_sees(kind: str, start: str) -> None:
    assert isinstance(FROM[start](EVALUATED[kind]), list)


@pytest.mark.parametrize("stage", ["tokens", "ast", "graph", "json"])
def test_the_command_line_shows_what_is_as_deep_as_it_may_be(stage: str, tmp_path: Path) -> None:
    deepest = "(" * 60 + "-" * 400 + "1" + ")" * 60
    rows = "fn f(a, i) = (a -> tanh) * 2\n"
    (tmp_path / "a.arch").write_text(rows + net(f"k = {deepest}\n    l = fold(f, relu, 1..7)\n    y = x -> l", "y"))
    done = subprocess.run(
        [sys.executable, "-m", "archdsl", "show", "a.arch", "--stage", stage],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_run_inside_a_run_does_not_wait_for_ever() -> None:
    assert deep.run(lambda: deep.run(lambda: 3)) == 3


def test_a_lexer_that_counts_wrongly_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: without the bound on brackets the texts above are read to their end, or break."""
    monkeypatch.setattr(lexer, "DEPTH", limits.Limit("depth", 10**9, "levels", ""))
    assert "M101" not in _codes(BRACKETS["round"](DEPTH.value + 1))

"""R01: no input text ends in a Python traceback; R02: each is answered in bounded time and memory.

Mutants of the corpus, words of the grammar, generated programs and noise go through reading, checking, the counts, the
lint rules, the code generator and every form of output, each shard in a process with 1 GiB of address space and a
watch for hangs; no failure, and an answer takes less than 1 CPU second. `make test` feeds 12,000 and `make prove`
300,000, which is what their time allows: an input goes through everything that a command can do with it, 7 ms of CPU.
More are fed with `ARCHDSL_SOAK=4`, others with `ARCHDSL_SEED=2`. A failing text is kept in `tests/crashes`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from soak import SEED, Tally, shards

from archdsl import pipeline
from archdsl.limits import Limit
from archdsl.syntax import parser
from promises import saved, shard
from promises.feed import Broken, feed

CI = 6, 2_000  # shards, inputs in each


@pytest.mark.parametrize("number", range(CI[0]))
def test_no_input_ends_in_a_traceback(number: int, tmp_path: Path) -> None:
    _feed(f"ci/{SEED}/{number}", CI[1], tmp_path, Tally())


@pytest.mark.prove
@pytest.mark.promised("R01, R02, R16", of="texts")
@pytest.mark.parametrize(("first", "count"), shards(300_000, 5_000))
def test_no_input_of_many_ends_in_a_traceback(first: int, count: int, tmp_path: Path, soak: Tally) -> None:
    _feed(f"soak/{SEED}/{first // 5_000}", count, tmp_path, soak)


def _feed(seed: str, count: int, folder: Path, tally: Tally) -> None:
    report = shard.run(seed, count, folder)
    tally.seed, tally.cases, tally.worst, tally.p99 = SEED, report.count, report.worst, report.p99
    print(f"seed {seed!r}: {report}")
    for failure in report.failures:
        saved.keep(failure.partition("\n")[2])
    assert not report.failures, "\n\n".join(report.failures[:5])
    assert report.count == count
    assert 0.02 < report.valid / count < 0.5, f"{report.valid} of {count} inputs were programs: the mutator is off"


@pytest.mark.parametrize("path", saved.kept(), ids=lambda path: path.stem)
def test_what_once_failed_stays_right(path: Path) -> None:
    feed(saved.read(path))


# ---- the harness itself must bite -------------------------------------------------------------------------------


def test_an_exception_in_the_compiler_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = pipeline.check

    def broken(source: object, *rest: object, **more: object) -> object:
        if "relu" in source.text:  # type: ignore[attr-defined]
            raise KeyError("relu")
        return real(source, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "check", broken)
    with (tmp_path / "mark").open("w+b") as mark:
        report = shard.work("control", 30, mark.fileno())
    assert report.failures
    assert all("KeyError" in failure for failure in report.failures)


def test_a_parser_without_its_bound_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = "a = " + "-" * 30_000 + "1"
    feed(deep)
    monkeypatch.setattr(parser, "NESTING", Limit("nesting", 10**9, "levels", ""))
    with pytest.raises(RecursionError):
        feed(deep)


def test_a_process_that_dies_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "no number")  # the interpreter refuses to start
    report = shard.run("control", 1, tmp_path)
    assert "ended the process" in report.failures[0]


def test_a_module_with_a_call_it_may_not_hold_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "emit", lambda checked, network: "import os\nos.system('true')\n")
    with pytest.raises(Broken, match="R16"):
        feed("network N() {\n    input x: [1, 4, 4]\n    output = x -> relu\n}\n")

"""What `make prove` measures: each long proof says what it did, and a table is made of it.

A pytest plugin and a command. With `--soak` a line for each test that counts for a promise goes to
`reports/soak-<commit>.jsonl` as it ends; `python tests/soak.py` makes `reports/soak-<commit>.json` of the lines, and
prints a table for `docs/evidence.md`. `reports/` is not in git, the table is. `ARCHDSL_SOAK=0.02` takes a fiftieth of
all cases, for a rehearsal; `ARCHDSL_SEED` draws others.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")
ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "reports"
SCALE = float(os.environ.get("ARCHDSL_SOAK", "1"))
SEED = os.environ.get("ARCHDSL_SEED", "1")


def scaled(count: int) -> int:
    """So many cases, or the share of them that a rehearsal takes; at least one."""
    return max(1, round(count * SCALE))


def shards(count: int, size: int) -> list[tuple[int, int]]:
    """`scaled(count)` cases in pieces for the workers: the first of each, and how many."""
    total = scaled(count)
    return [(first, min(size, total - first)) for first in range(0, total, size)]


def share(cases: Sequence[T]) -> Sequence[T]:
    """All of a list of cases, or every so many for a rehearsal."""
    return cases[:: max(1, round(1 / SCALE))]


@dataclass
class Tally:
    """What a proof did. `worst` and `p99` are CPU seconds of single cases, where they are timed."""

    cases: int = 0
    seed: str = ""
    worst: float = 0.0
    p99: float = 0.0

    @contextmanager
    def case(self) -> Iterator[None]:
        """One case: counted when it is over, and timed."""
        began = time.process_time()
        yield
        self.cases += 1
        self.worst = max(self.worst, time.process_time() - began)


# ---- while the proofs run ----------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="write what the proofs did to reports/")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "promised(name, of=...): a proof that counts for a promise, and what it counts")
    if config.getoption("--soak") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Writer(_path("jsonl")))


@pytest.fixture
def soak(record_property) -> Iterator[Tally]:
    """The tally of a test with the mark `promised`."""
    tally = Tally()
    yield tally
    record_property("soak", asdict(tally))
    gc.collect()  # a run of short checks keeps the collector from it, and proofs make many modules


def pytest_runtest_setup(item: pytest.Item) -> None:
    mark = item.get_closest_marker("promised")
    if mark is not None:
        item.user_properties.append(("promised", {"promise": mark.args[0], "of": mark.kwargs.get("of", "tests")}))


class _Writer:
    """Collects the three reports of a test, and writes a line after the last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.open: dict[str, dict[str, object]] = {}
        path.parent.mkdir(exist_ok=True)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        line = self.open.setdefault(report.nodeid, {"failed": False, "wall": 0.0, "skipped": False})
        line["failed"] |= report.failed
        line["skipped"] |= report.skipped
        line["wall"] += report.duration
        if report.when == "teardown":
            self._write(self.open.pop(report.nodeid), report)

    def _write(self, line: dict[str, object], report: pytest.TestReport) -> None:
        told = dict(report.user_properties)
        if "promised" in told:
            line = {"test": report.nodeid, **told["promised"], **line, **told.get("soak", {"cases": 1}), "scale": SCALE}
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def _path(kind: str) -> Path:
    """`reports/soak-<commit>.<kind>`, where nothing but the commit ran; else the name says that there were changes."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    changed = "-changed" if _git("status", "--porcelain", "--untracked-files=no") else ""
    return FOLDER / f"soak-{commit}{changed}.{kind}"


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


# ---- when they are over ------------------------------------------------------------------------------------------


def rows(lines: Iterable[dict]) -> list[dict]:
    """One row for each promise and what is counted; of a test that ran twice the last time counts."""
    last = {line["test"]: line for line in lines}
    found: dict[tuple[str, str], dict] = {}
    for line in last.values():
        key = line["promise"], line["of"]
        row = found.setdefault(key, {"promise": key[0], "of": key[1], "cases": 0, "failures": 0, "skipped": 0})
        row["cases"] += line["cases"]
        row["failures"] += line["failed"]
        row["skipped"] += line["skipped"]
        row["seed"] = line.get("seed") or row.get("seed", "")
        for name in ("worst", "p99"):
            row[name] = max(row.get(name, 0), line.get(name, 0))
        row["wall"] = row.get("wall", 0) + line["wall"]
        row["scale"] = line["scale"]
    return sorted(found.values(), key=lambda row: (row["promise"], row["of"]))


def table(found: list[dict]) -> str:
    """The rows in Markdown. Times in seconds: CPU for one case, wall for all, added up over the workers."""
    head = "| promise | cases | failures | seed | p99 | worst case | wall |\n|---|---:|---:|---|---:|---:|---:|\n"
    return head + "".join(
        f"| {row['promise']} {row['of']} | {row['cases']:,} | {_failures(row)} | {row['seed']} | {_seconds(row['p99'])} | "
        f"{_seconds(row['worst'])} | {row['wall']:,.0f} |\n"
        for row in found
    )


def _failures(row: dict) -> str:
    return f"{row['failures']}" + (f", {row['skipped']} skipped" if row["skipped"] else "")


def _seconds(value: float) -> str:
    return f"{value:.3f}" if value else ""


def main() -> None:
    """Read the lines of this commit (or of the file named), write the JSON beside them, print the table."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else _path("jsonl")
    if not path.exists():
        sys.exit(f"there is no {path}: run `make prove` first")
    found = rows(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    about = {"commit": path.stem.removeprefix("soak-"), "python": platform.python_version(), "cores": os.cpu_count()}
    path.with_suffix(".json").write_text(json.dumps({**about, "rows": found}, indent=1) + "\n", encoding="utf-8")
    print(table(found), end="")


if __name__ == "__main__":
    main()

"""The table of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from archdsl.train.progress import duration
from archdsl.train.stored import Stored

_HEAD = ("run", "network", "data", "epochs", "test error", "lowest", "paper", "time", "state")


Waiting = Mapping[Path, str]
"""Folders whose run came to no plan, with the names of their networks."""


def entries(runs: Sequence[Stored], root: Path, waiting: Waiting | None = None) -> list[dict[str, object]]:
    """The fields of each run for a machine, by folder; errors are shares, times seconds."""
    lines = {run.path: _entry(run, root) for run in runs}
    lines |= {path: _not_started(path, name, root) for path, name in (waiting or {}).items()}
    return [lines[path] for path in sorted(lines)]


def text(runs: Sequence[Stored], root: Path, waiting: Waiting | None = None) -> str:
    """Aligned columns, or that there are none."""
    if not runs and not waiting:
        return f"no runs below {root}\n"
    lines = [_HEAD, *(_cells(entry) for entry in entries(runs, root, waiting))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(_aligned(line, widths) + "\n" for line in lines)


def _entry(run: Stored, root: Path) -> dict[str, object]:
    rows = run.rows
    return {
        "run": _name(run.path, root),
        "network": run.network.name,
        "data": run.plan.data,
        "seed": run.recipe.seed,
        "epochs": rows[-1].epoch if rows else 0,
        "of_epochs": run.plan.epochs,
        "test_error": rows[-1].test_error if rows else None,
        "lowest_test_error": min(row.test_error for row in rows) if rows else None,
        "paper": run.claim,
        "parameters": run.network.parameters,
        "seconds": sum(row.seconds for row in rows),
        "started": True,
        "finished": run.finished,
    }


def _not_started(path: Path, name: str, root: Path) -> dict[str, object]:
    unknown = ("data", "seed", "of_epochs", "test_error", "lowest_test_error", "paper", "parameters")
    known = {"run": _name(path, root), "network": name, "epochs": 0, "seconds": 0.0}
    return {**known, **dict.fromkeys(unknown), "started": False, "finished": False}


def _name(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path != root else path.resolve().name


def _cells(entry: dict[str, object]) -> tuple[str, ...]:
    started = bool(entry["started"])
    return (
        str(entry["run"]),
        str(entry["network"]),
        str(entry["data"] or "-"),
        f"{entry['epochs']}/{entry['of_epochs']}" if started else "-",
        _percent(entry["test_error"]),
        _percent(entry["lowest_test_error"]),
        _percent(entry["paper"]),
        duration(float(str(entry["seconds"]))),
        "finished" if entry["finished"] else "unfinished" if started else "not started",
    )


def _percent(value: object) -> str:
    return f"{value:.2%}" if isinstance(value, float) else "-"


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    """Names to the left, numbers to the right."""
    left = {0, 1, 2, len(line) - 1}
    cells = [
        cell.ljust(w) if n in left else cell.rjust(w) for n, (cell, w) in enumerate(zip(line, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()

"""What a sweep found: a row for each variant and setting, mean and standard deviation over its seeds."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from archdsl.sweep.plan import Plan, Run
from archdsl.train import stored
from archdsl.train.stored import Stored
from archdsl.train.trouble import TrainTrouble

_NOTE = (
    "mean ± sample standard deviation over finished runs. test error: after the last epoch; lowest: of the best epoch,"
    "\nwhich the test images chose. paper: what the file reports.\n"
)


@dataclass(frozen=True)
class Entry:
    """One variant with one setting; errors are shares, a value for each finished run in the order of the seeds."""

    variant: str
    changes: tuple[str, ...]
    planned: int
    seeds: tuple[int, ...]
    test_error: tuple[float, ...]
    lowest_test_error: tuple[float, ...]
    paper: float | None


def finished(out: Path, run: Run) -> Stored | None:
    """The run as it is in its folder, if it came to its end. One that is damaged did not: `train` will say so."""
    try:
        found = stored.load(out / run.name)
    except TrainTrouble:
        return None
    return found if found.finished and found.rows else None


def entries(plan: Plan, out: Path) -> list[Entry]:
    """The rows, in the order of the plan."""
    stem = Path(plan.spec).stem
    groups = groupby(plan.runs, lambda run: (run.variant or stem, run.changes))
    return [_entry(variant, changes, out, list(runs)) for (variant, changes), runs in groups]


def _entry(variant: str, changes: tuple[str, ...], out: Path, runs: Sequence[Run]) -> Entry:
    found = [one for run in runs if (one := finished(out, run)) is not None]
    return Entry(
        variant,
        changes,
        planned=len(runs),
        seeds=tuple(run.recipe.seed for run in found),
        test_error=tuple(run.rows[-1].test_error for run in found),
        lowest_test_error=tuple(min(row.test_error for row in run.rows) for run in found),
        paper=next((run.claim for run in found), None),
    )


def mean(values: Sequence[float]) -> float | None:
    """Their mean; None of none."""
    return statistics.fmean(values) if values else None


def deviation(values: Sequence[float]) -> float | None:
    """The sample standard deviation, by n − 1; one value has none."""
    return statistics.stdev(values) if len(values) > 1 else None


# ---- forms ------------------------------------------------------------------------------------------------------


def _lines(rows: Sequence[Entry]) -> list[list[str]]:
    columns = [
        ("variant", [row.variant for row in rows]),
        ("set", [", ".join(row.changes) for row in rows]),
        ("runs", [f"{len(row.seeds)}/{row.planned}" for row in rows]),
        ("test error", [_spread(row.test_error) for row in rows]),
        ("lowest", [_spread(row.lowest_test_error) for row in rows]),
        ("paper", ["" if row.paper is None else f"{row.paper:.2%}" for row in rows]),
    ]
    columns = [(title, cells) for title, cells in columns if any(cells)]
    return [[title for title, _ in columns], *map(list, zip(*(cells for _, cells in columns), strict=True))]


def _spread(values: Sequence[float]) -> str:
    """`8.31% ± 0.12%`, `8.31%` of one run, `-` of none."""
    middle, spread = mean(values), deviation(values)
    if middle is None:
        return "-"
    return f"{middle:.2%}" + ("" if spread is None else f" ± {spread:.2%}")


def as_text(rows: Sequence[Entry]) -> str:
    """Aligned columns for a terminal."""
    lines = _lines(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "".join(line.rstrip() + "\n" for line in padded) + "\n" + _NOTE


def as_markdown(rows: Sequence[Entry]) -> str:
    """A table for a README."""
    head, *body = ([cell.replace("|", "\\|") for cell in line] for line in _lines(rows))
    return "".join(f"| {' | '.join(line)} |\n" for line in [head, ["---"] * len(head), *body])


def as_csv(rows: Sequence[Entry]) -> str:
    """Comma-separated values; shares that read back exactly."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["variant", "set", "runs", "planned", "test_error", "std", "lowest", "lowest_std", "paper"])
    for row in rows:
        errors = [f(values) for values in (row.test_error, row.lowest_test_error) for f in (mean, deviation)]
        writer.writerow([row.variant, " ".join(row.changes), len(row.seeds), row.planned, *errors, row.paper])
    return out.getvalue()


def as_json(rows: Sequence[Entry]) -> str:
    """Every field of every row, with means and deviations."""
    return json.dumps([_fields(row) for row in rows], indent=2, ensure_ascii=False) + "\n"


def _fields(row: Entry) -> dict[str, object]:
    more = {"test_error": row.test_error, "lowest_test_error": row.lowest_test_error}
    spread = {name: {"mean": mean(v), "std": deviation(v), "values": list(v)} for name, v in more.items()}
    return {**asdict(row), **spread}


FORMS: dict[str, Callable[[Sequence[Entry]], str]] = {
    "text": as_text,
    "markdown": as_markdown,
    "csv": as_csv,
    "json": as_json,
}

"""Errors over epochs, drawn as the papers do: training dashed, test solid."""

# matplotlib annotates only part of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from archdsl.train import verdict
from archdsl.train.figures.style import COLOURS, GREY, drawing, png
from archdsl.train.progress import Row
from archdsl.train.schedule import Clock, learning_rate, plateau_drops, watched_errors
from archdsl.train.stored import Stored, labels

_DASHED, _DOTTED = (0, (4, 2)), (0, (1, 1.5))
_FEW = 15  # epochs up to which each is marked by a dot
_STEPS = 500  # whose rates are drawn at most
_MARKS = ("o", "s", "^", "D", "v")


def one(run: Stored) -> bytes:
    """Errors of one run in percent, beside the paper's, and the learning rate below them."""
    with drawing(7.2, 5.0) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        _errors(upper, run, COLOURS[1], COLOURS[0])
        _claim(upper, run)
        upper.set_title(run.title)
        upper.legend(loc="best")
        _learning_rate(lower, run)
        _finish([upper], [run])
        lower.set_xlabel("epoch")
        figure.align_ylabels()
        return png(figure)


def several(runs: Sequence[Stored]) -> bytes:
    """Errors of several runs over each other, a colour for each; more than seven differ by their marks, too."""
    with drawing(7.2, 4.6) as figure:
        axes = figure.subplots()
        handles = [
            _one_of_many(axes, run, label, n) for n, (run, label) in enumerate(zip(runs, labels(runs), strict=True))
        ]
        dashed = Line2D([], [], color=GREY, linestyle=_DASHED, label="training")
        solid = Line2D([], [], color=GREY, label="test")
        axes.legend(handles=[*handles, dashed, solid], loc="best")
        axes.set_xlabel("epoch")
        axes.set_title(" and ".join(dict.fromkeys(run.plan.data for run in runs)))
        _finish([axes], runs)
        return png(figure)


def _errors(axes: Axes, run: Stored, training: str, test: str) -> None:
    epochs = [row.epoch for row in run.rows]
    mark: dict[str, Any] = {"marker": "o", "markersize": 3.5} if len(epochs) <= _FEW else {}
    axes.plot(epochs, _percent(run.rows, "train_error"), color=training, linestyle=_DASHED, label="training", **mark)
    if run.plan.validation:
        held = _percent(run.rows, "validation_error")
        axes.plot(epochs, held, color=COLOURS[2], linewidth=1.1, label="validation", **mark)
    axes.plot(epochs, _percent(run.rows, "test_error"), color=test, label=_result(run), **mark)


def _result(run: Stored) -> str:
    last = run.rows[-1]
    best = "" if verdict.best(run.rows) is last else f" ({verdict.named_best(run.rows)})"
    return f"{run.judged}, {last.test_error:.2%} at the end{best}"


def _claim(axes: Axes, run: Stored) -> None:
    if run.claim is not None and not run.config.overfit_batch:
        axes.axhline(run.claim * 100, color=GREY, linestyle=_DOTTED, label=f"test, paper: {run.claim:.2%}")


def _learning_rate(axes: Axes, run: Stored) -> None:
    epochs, rates = _rates(run)
    axes.step(epochs, rates, where="post", color=GREY, linewidth=1.2)
    axes.set_ylabel("learning rate")
    axes.set_ylim(bottom=0)
    axes.grid(visible=True)


def _rates(run: Stored) -> tuple[list[float], list[float]]:
    """The rate of each step, or of `_STEPS` of them, by the epochs before it; the errors of epoch 1 are drawn at 1.

    When a warm-up that waits for an error was over is not in the metrics: of it there is one rate an epoch.
    """
    rows, by_epoch = run.rows, run.plan.steps_per_epoch
    if run.recipe.warmup is not None and run.recipe.warmup.until_error is not None:
        return [0.0, *(float(row.epoch) for row in rows)], [rows[0].lr, *(row.lr for row in rows[1:]), rows[-1].lr]
    end = rows[-1].step
    clock = Clock(by_epoch, run.plan.steps, run.recipe.length(by_epoch))
    watched = watched_errors(run.recipe, rows)
    drops = [plateau_drops(run.recipe, clock, watched[:epoch]) for epoch in range(len(rows) + 1)]
    steps = [*range(0, end, -(-end // _STEPS)), end - 1]
    rates = [learning_rate(run.recipe, clock, step, None, drops[step // by_epoch]) for step in steps]
    return [*(step / by_epoch for step in steps), end / by_epoch], [*rates, rates[-1]]


def _one_of_many(axes: Axes, run: Stored, name: str, number: int) -> Line2D:
    colour, mark = COLOURS[number % len(COLOURS)], _MARKS[number // len(COLOURS) % len(_MARKS)]
    epochs = [row.epoch for row in run.rows]
    every = max(len(epochs) // 8, 1)
    marked = number >= len(COLOURS) or len(epochs) < 2
    marks: dict[str, Any] = {"marker": mark, "markersize": 3.5, "markevery": every} if marked else {}
    axes.plot(epochs, _percent(run.rows, "train_error"), color=colour, linestyle=_DASHED, linewidth=1.0, **marks)
    label = f"{name}: {run.rows[-1].test_error:.2%}"
    return axes.plot(epochs, _percent(run.rows, "test_error"), color=colour, label=label, **marks)[0]


def _percent(rows: Sequence[Row], column: str) -> list[float]:
    values = [getattr(row, column) for row in rows]
    return [float("nan") if value is None else value * 100 for value in values]


def _finish(plots: Sequence[Axes], runs: Sequence[Stored]) -> None:
    for axes in plots:
        axes.set_ylabel("error (%)")
        axes.set_ylim(0, _top(runs))
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(visible=True)


def _top(runs: Sequence[Stored]) -> float:
    """The largest error in percent once a twentieth of the run is over: what the first epochs do hides the rest."""
    shown = [row for run in runs for row in run.rows if row.epoch > run.rows[-1].epoch / 20]
    highest = max(max(row.train_error, row.test_error, row.validation_error or 0) for row in shown)
    claims = [run.claim for run in runs if len(runs) == 1 and run.claim is not None]
    return min(108 * max([highest, *claims, 0.005]), 105)

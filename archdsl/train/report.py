"""`report.md`: what a run came to, beside what the paper says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from archdsl.recipe import Recipe
from archdsl.recipe.records import Record
from archdsl.train import verdict
from archdsl.train.overview import call, megabytes
from archdsl.train.progress import Row, counted, duration
from archdsl.train.stored import Stored

CURVES, CONFUSION, ERRORS = "curves.png", "confusion.png", "errors.png"
_PAIRS = 8  # of classes that were taken for each other
_CLASSES = 12  # with the highest errors

Counts = NDArray[np.int64]


def report(run: Stored, counts: Counts, environments: Sequence[Mapping[str, object]]) -> str:
    """The page. counts [true, predicted]: the confusion of the test images after the last epoch."""
    parts = [
        f"# {run.title}",
        _verdict(run),
        _result(run),
        f"![errors over epochs]({CURVES})",
        "## Where it errs",
        _pairs(counts, run.plan.classes, run.judged),
        _classes(counts, run.plan.classes),
        f"![confusion matrix]({CONFUSION})",
        f"![the surest wrong answers]({ERRORS})",
        "## How it was trained",
        _recipe(run.recipe),
        _where(environments),
        f"`archdsl eval {run.path}` measures the {run.judged} error again.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _verdict(run: Stored) -> str:
    """One paragraph: the result, the paper's, and why the two may not be compared."""
    last = run.rows[-1]
    error = f"{run.judged.capitalize()} error **{last.test_error:.2%}**"
    text = f"{error} after {_epochs(last)}, seed {run.recipe.seed}, one run."
    if early := verdict.early(run.recipe, run.rows, run.plan.epochs):
        text += f" It {early}."
    if run.config.overfit_batch:
        said = verdict.by_heart(run.rows)
        return f"{text} {said[0].upper()}{said[1:]}."
    if run.claim is not None:
        text += f" The paper says {run.claim:.2%}: {_difference(last.test_error - run.claim)}."
    changes = [*_of_network(run.network.chosen.parameters), *_changes(run)]
    whose = "recipe" if run.claim is None else "paper's training"
    return text + (f" Not the whole of the {whose}: {'; '.join(changes)}." if changes else "")


def _difference(share: float) -> str:
    points = abs(share) * 100
    if points < 0.005:
        return "the same"
    return f"this run is {points:.2f} points {'above' if share > 0 else 'below'} it"


def _of_network(parameters: Mapping[str, str]) -> Iterator[str]:
    if parameters:
        yield f"the network has {', '.join(f'`-p {name}={value}`' for name, value in parameters.items())}"


def _changes(run: Stored) -> Iterator[str]:
    config = run.config
    if config.changes:
        yield f"the recipe was changed: {', '.join(f'`{change}`' for change in config.changes)}"
    if config.epochs is not None:
        yield f"its schedule was fitted to {counted(config.epochs, 'epoch')}"
    if config.micro_batch is not None:
        yield f"batch norm saw at most {counted(config.micro_batch, 'image')} at once (`--micro-batch`)"
    if config.limit is not None:
        yield f"only the first {counted(config.limit, 'image')} were used"
    if config.dry_run:
        yield f"a dry run of {counted(run.plan.steps, 'step')}"
    if config.unofficial:
        yield "the data files were not checked"


def _result(run: Stored) -> str:
    last, paper = run.rows[-1], "" if run.claim is None else f"{run.claim:.2%}"
    lines = [
        (f"{run.judged} error", f"{last.test_error:.2%}", "" if run.config.overfit_batch else paper),
        _best(run),
        ("validation error", "" if last.validation_error is None else f"{last.validation_error:.2%}", ""),
        (_training(run.recipe), f"{last.train_error:.2%}", ""),
        ("parameters", "" if run.network.parameters is None else f"{run.network.parameters:,}", ""),
        ("multiply-accumulates an image", "" if run.network.macs is None else f"{run.network.macs:,}", ""),
        ("memory of a step, predicted", "" if run.plan.memory is None else megabytes(run.plan.memory), ""),
        ("time", f"{duration(sum(row.seconds for row in run.rows))} for {_epochs(last)}", ""),
    ]
    return _table(("", "this run", "paper"), [line for line in lines if line[1]])


def _best(run: Stored) -> tuple[str, str, str]:
    """The epoch of `--checkpoint best`, and which images chose it."""
    row = verdict.best(run.rows)
    chosen = f"the {run.judged} images chose it" if row.validation_error is None else "the validation images chose it"
    return f"{run.judged} error of the best epoch, {row.epoch}: {chosen}", f"{row.test_error:.2%}", ""


def _training(recipe: Recipe) -> str:
    """Not the error that the last weights would have: it is counted while they move."""
    return f"training error, {'of augmented images, ' if recipe.augment else ''}as met while learning"


def _epochs(row: Row) -> str:
    return f"{counted(row.epoch, 'epoch')} ({counted(row.step, 'step')})"


def _pairs(counts: Counts, classes: Sequence[str], judged: str) -> str:
    """The classes that are taken for each other most, in either direction."""
    off = counts - np.diag(np.diag(counts))
    both = np.triu(off + off.T)
    order = np.argsort(-both, axis=None, kind="stable")[:_PAIRS]
    found = [(int(n) // len(classes), int(n) % len(classes)) for n in order if both.flat[n]]
    lines = [(f"{classes[a]} and {classes[b]}", str(both[a, b]), str(off[a, b]), str(off[b, a])) for a, b in found]
    head = ("taken for each other", "images", "first for second", "second for first")
    return _table(head, lines) if lines else f"No {judged} image was taken for another class."


def _classes(counts: Counts, classes: Sequence[str]) -> str:
    total = counts.sum(1)
    errors = (total - np.diag(counts)) / np.maximum(total, 1)
    order = np.argsort(-errors, kind="stable")[:_CLASSES]
    lines = [(classes[int(n)], f"{errors[n]:.1%}", f"{total[n]:,}") for n in order]
    return _table(("class", "error", "images"), lines)


def _recipe(recipe: Recipe) -> str:
    given = {name: getattr(recipe, name) for name in type(recipe).model_fields}
    return _table(("recipe", ""), [(name, _said(value)) for name, value in given.items() if value not in (None, ())])


def _where(parts: Sequence[Mapping[str, object]]) -> str:
    """A column for each part of the run that had another environment."""
    names = [name for name in parts[-1] if name != "after_step"]
    head = [f"after step {part['after_step']}" if part["after_step"] else "" for part in parts]
    return _table(("where", *head), [(name, *(_said(part.get(name, "")) for part in parts)) for name in names])


def _said(value: object) -> str:
    if isinstance(value, Record):
        return f"`{call(value, whole=True)}`"
    if isinstance(value, list | tuple):
        return ", ".join(map(_said, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---", *("---:" if len(head) > 2 else "---" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in (head, rule, *lines))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")

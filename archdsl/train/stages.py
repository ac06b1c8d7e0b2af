"""Recipes that are trained in several runs: a teacher first, then each stage with the weights of the one before.

Every part is a run like any other, with a folder, checkpoints and metrics of its own: the run folder itself is that of
the last stage, and the parts before it lie inside. So a resumed recipe ends in the same bits as an undisturbed one
because each of its runs does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from archdsl.recipe.records import Distill, Hint
from archdsl.train import checkpoint, folder
from archdsl.train.job import Guide, Job, TrainConfig
from archdsl.train.progress import Row
from archdsl.train.trouble import Misfit, TrainTrouble

TEACHER = "teacher"
One = Callable[[TrainConfig, Job, Console], Sequence[Row]]
"""Trains a single run."""


def train(config: TrainConfig, job: Job, console: Console, one: One) -> Sequence[Row]:
    """Train all parts of a recipe that are not finished, each by `one`; returns the metrics of the last."""
    if job.teacher is None and config.teacher is not None:
        raise Misfit("--teacher: the recipe has no teacher")
    if job.teacher is None and not job.recipe.stages:
        return one(config, job, console)
    out = folder.choose(config, job.name)
    if not config.resume and next(_begun(out), None):
        raise TrainTrouble(f"{out} already holds a part of a run: add --resume to go on with it")
    *before, last = parts(job, out, config.teacher)
    for place, part in before:
        _say(console, f"--- {part.name}")
        one(_inside(config, part, place), part, console)
    if before:
        _say(console, f"--- {last[1].name}")
    return one(config.model_copy(update={"out": out, "teacher": None}), last[1], console)


def parts(job: Job, out: Path, teacher: Path | None) -> list[tuple[Path, Job]]:
    """The runs of a recipe in order, each with its folder; `teacher` is that of a trained one."""
    found: list[tuple[Path, Job]] = []
    if job.teacher is not None and teacher is None:
        found.append((out / TEACHER, replace(job.teacher, name=f"{job.name}: teacher")))
    weights = teacher or out / TEACHER
    stages = len(job.recipe.stages)
    for number in range(stages):
        place = out if number == stages - 1 else out / f"stage-{number + 1}"
        start = out / f"stage-{number}" if number else None
        part = replace(job, name=f"{job.name}: stage {number + 1} of {stages}", recipe=job.recipe.of_stage(number))
        found.append((place, replace(_guided(part, weights), start=start)))
    return found if stages else [*found, (out, _guided(job, weights))]


def _guided(job: Job, weights: Path) -> Job:
    """The job of one stage, with what its loss asks of the teacher."""
    loss, teacher = job.recipe.loss, job.teacher
    if teacher is None or not isinstance(loss, Hint | Distill):
        return replace(job, teacher=None)
    if isinstance(loss, Distill):
        return replace(job, teacher=None, guide=Guide(teacher, weights))
    mine, theirs = job.tapped[loss.layer], teacher.tapped[loss.of]
    guide = Guide(replace(teacher, module=theirs.module), weights, (mine.size, theirs.size))
    recipe = job.recipe.model_copy(update={"early_stop": None})  # its errors say nothing: the output is not trained
    return replace(job, teacher=None, module=mine.module, guide=guide, recipe=recipe)


def _inside(config: TrainConfig, part: Job, place: Path) -> TrainConfig:
    """The options of a part in a folder of its own. Of a hint there is nothing to report: its output is not trained."""
    resume = config.resume and any(checkpoint.finished(place))
    report = config.report and not isinstance(part.recipe.loss, Hint)
    return config.model_copy(update={"out": place, "resume": resume, "report": report, "teacher": None})


def _begun(out: Path) -> Iterator[Path]:
    """Checkpoints of parts that lie inside the folder."""
    for place in [*sorted(out.glob("stage-*")), out / TEACHER]:
        yield from checkpoint.finished(place)


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)

"""What is wrong with settings that are each right by themselves: one needs another, or has no use beside it."""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.recipe.problem import Path, Problem
from archdsl.recipe.records import Crop, Distill, Hint, Loss, Plateau, Recipe, ResizedCrop, Schedule, Stage, TenCrop


def conflicts(recipe: Recipe) -> Iterator[Problem]:
    """All settings of a recipe that do not go together with the others."""
    yield from _lengths(recipe)
    yield from _teaching(recipe)
    for path, schedule in _schedules(recipe):
        if isinstance(schedule, Plateau) and schedule.of == "validation" and not recipe.validation:
            yield Problem(
                path,
                "the rate is to fall by the error on images that are held back, and none are",
                'add `validation = 5000`, or say `of="train"`',
            )
    if isinstance(recipe.evaluate, TenCrop) and not any(isinstance(a, Crop | ResizedCrop) for a in recipe.augment):
        yield Problem(
            ("evaluate",), "ten crops need the size of one", "add `crop(224)` or `resized_crop(224)` to `augment`"
        )


def _lengths(recipe: Recipe) -> Iterator[Problem]:
    used = not recipe.stages or (recipe.teacher is not None and recipe.teacher_recipe is None)
    for name in ("epochs", "iterations"):
        if getattr(recipe, name) is not None and not used and all(_has_length(s) for s in recipe.stages):
            yield Problem((name,), f"`{name}` has no use: every stage has a length of its own")
    for number, stage in enumerate(recipe.stages):
        if stage.epochs is not None and stage.iterations is not None:
            yield Problem(("stages", number), "give `epochs` or `iterations`, not both")


def _has_length(stage: Stage) -> bool:
    return stage.epochs is not None or stage.iterations is not None


def _teaching(recipe: Recipe) -> Iterator[Problem]:
    all_ = list(losses(recipe))
    taught = [(path, loss) for path, loss in all_ if isinstance(loss, Hint | Distill)]
    if recipe.teacher is None:
        for path, loss in taught:
            yield Problem(path, f"{loss.kind} needs a teacher", "add a network as the `teacher` of the recipe")
    elif not taught:
        yield Problem(("teacher",), "the teacher has no use: no loss is `hint` or `distill`")
    if recipe.teacher_recipe is not None and recipe.teacher is None:
        yield Problem(("teacher_recipe",), "`teacher_recipe` has no use without a `teacher`")
    path, last = all_[-1]
    if isinstance(last, Hint):
        yield Problem(path, "a hint trains no output: it is for a stage before the last one")


def losses(recipe: Recipe) -> Iterator[tuple[Path, Loss]]:
    """The loss of each stage, or the recipe's where it has none."""
    for number, stage in enumerate(recipe.stages):
        yield (("loss",), recipe.loss) if stage.loss is None else (("stages", number, "loss"), stage.loss)
    if not recipe.stages:
        yield ("loss",), recipe.loss


def _schedules(recipe: Recipe) -> Iterator[tuple[Path, Schedule]]:
    yield ("schedule",), recipe.schedule
    for number, stage in enumerate(recipe.stages):
        if stage.schedule is not None:
            yield ("stages", number, "schedule"), stage.schedule

"""The teacher of a recipe: another network, built, and held against the network that learns from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.elaborate.networks import Built, Networks
from archdsl.ir.graph import Graph
from archdsl.ir.taps import layers
from archdsl.suggest import nearest
from archdsl.syntax import ast

if TYPE_CHECKING:
    from archdsl.recipe import Problem, Recipe
    from archdsl.recipe.records import Hint


@dataclass(frozen=True)
class Teacher:
    """A network to learn from, and how it is trained where no trained one is at hand."""

    network: Built
    recipe: Recipe


def built(call: ast.Expr, networks: Networks) -> Built | None:
    """The network of a call such as `Maxout(classes=100)`; None where it cannot be (reported)."""
    row = ast.Variant(ast.Name("teacher", call.span), call, (), call.span)
    found = networks.called(row)
    return None if found is None else networks.build(found[0], found[2], row, found[1])


def plain(recipe: Recipe) -> Recipe:
    """The recipe without what it learns from a teacher: how the teacher is trained where nothing else is said."""
    from archdsl.recipe.records import CrossEntropy, Distill, Hint

    loss = CrossEntropy() if isinstance(recipe.loss, Distill | Hint) else recipe.loss
    return recipe.model_copy(update={"loss": loss, "stages": (), "teacher": None, "teacher_recipe": None})


def unfit_recipe(own: Recipe, recipe: Recipe) -> Iterator[Problem]:
    """Why a teacher cannot be trained by `recipe` for the one that learns by `own`."""
    from archdsl.recipe import Problem

    path = ("teacher_recipe",)
    if recipe.teacher is not None or recipe.stages:
        yield Problem(path, "a teacher's recipe has no teacher and no stages itself")
    elif (recipe.normalize, recipe.resize) != (own.normalize, own.resize):
        mine, theirs = (" ".join(record.kind for record in r.normalize) or "nothing" for r in (own, recipe))
        yield Problem(
            path,
            "the teacher would be trained on other images than it is shown here",
            f"the same `normalize` and `resize` in both: {theirs} there, {mine} here",
        )


def misfits(recipe: Recipe, teacher: Graph, student: Graph) -> Iterator[Problem]:
    """Why `student` cannot learn from `teacher` as the recipe says."""
    from archdsl.recipe import Problem
    from archdsl.recipe.consistency import losses
    from archdsl.recipe.records import Distill, Hint

    if _input(teacher) != _input(student):
        yield Problem(
            ("teacher",), f"{teacher.name} reads {_shown(_input(teacher))}, {student.name} {_shown(_input(student))}"
        )
    for path, loss in losses(recipe):
        if isinstance(loss, Hint):
            yield from _hint_misfits(loss, path, teacher, student)
        elif isinstance(loss, Distill) and _output(teacher) != _output(student):
            given = f"{teacher.name} gives {_shown(_output(teacher))}, {student.name} {_shown(_output(student))}"
            yield Problem(path, f"the answers of the teacher have another size: {given}")


def _hint_misfits(loss: Hint, path: tuple[str | int, ...], teacher: Graph, student: Graph) -> Iterator[Problem]:
    from archdsl.recipe import Problem

    absent = [*_absent(loss.layer, (*path, "layer"), student), *_absent(loss.of, (*path, "of"), teacher)]
    yield from absent
    if absent:
        return
    mine, theirs = layers(student)[loss.layer].values, layers(teacher)[loss.of].values
    if len(mine) != len(theirs) or len(mine) not in (1, 3):
        yield Problem(path, f"{_shown(mine)} and {_shown(theirs)} are not two maps or two vectors")
    elif any(m < t for m, t in zip(mine[1:], theirs[1:], strict=True)):
        message = f"a regressor makes maps smaller: {_shown(mine)} cannot become {_shown(theirs)}"
        yield Problem(path, message, "an earlier layer of the network, or a later one of the teacher")


def _absent(name: str, path: tuple[str | int, ...], graph: Graph) -> Iterator[Problem]:
    from archdsl.recipe import Problem

    known = list(layers(graph))
    if name not in known:
        close = nearest(name, known)
        hint = f"did you mean `{close}`?" if close else f"it has {', '.join(known)}"
        yield Problem(path, f"no layer of {graph.name} is called {name!a}", hint)


def _input(graph: Graph) -> tuple[int, ...]:
    return graph.inputs[0].values


def _output(graph: Graph) -> tuple[int, ...]:
    return graph.outputs[0].values


def _shown(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"

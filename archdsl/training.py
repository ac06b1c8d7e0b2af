"""From a checked file and the flags of `archdsl train` to the job that the trainer takes. No torch in here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from archdsl.analyses.layers import TooManyLayers
from archdsl.analyses.step import answer, step
from archdsl.analyses.walk import total
from archdsl.inputs import STDIN, Misuse
from archdsl.ir.taps import tapped
from archdsl.recipe import Recipe, override
from archdsl.recipe.records import CrossEntropy, Hint
from archdsl.scalar import Scalar
from archdsl.suggest import nearest
from archdsl.syntax import ast
from archdsl.train.bench.asked import Asked
from archdsl.train.job import Chosen, Job, StepMemory, Tapped, TrainConfig
from archdsl.train.refused import refusal
from archdsl.visible import visible

if TYPE_CHECKING:
    from archdsl.elaborate.teachers import Teacher
    from archdsl.pipeline import Checked, CheckedNetwork

_FLOAT = 4  # bytes
_SMALL = 3 << 20  # bytes of what is too small to be counted: pages that are not full, buffers of files
_LAYER = 6 << 10  # bytes of a layer's objects, found by trial: with less, Shake-Shake's estimate is no bound
_PATHS = ("data_dir", "out", "teacher")


def config(options: Mapping[str, object]) -> TrainConfig:
    """The flags, checked; those that were not given keep their defaults. Raises `Misuse`."""
    given = {name: value for name, value in options.items() if value is not None}
    _refuse_idle(given)
    given |= {name: _path(name, str(given[name])) for name in _PATHS if name in given}
    try:
        return TrainConfig.model_validate(given)
    except ValidationError as error:
        raise Misuse(refusal(TrainConfig, error)) from None


def _path(name: str, text: str) -> Path:
    """It is written into the run folder, as text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Misuse(f"--{name.replace('_', '-')}: expected a path in UTF-8, found {visible(text)}") from None
    return Path(text)


def _refuse_idle(given: Mapping[str, object]) -> None:
    """How long to wait for what there is not. What a run folder keeps of its options has these times in any case."""
    if "worker_timeout" in given and (given.get("data") != "folder" or given.get("workers") == 0):
        raise Misuse("--worker-timeout is for the workers of --data folder, and there are none")
    if "timeout" in given and os.environ.get("WORLD_SIZE", "1") == "1":
        raise Misuse("--timeout is for several ranks, such as torchrun starts, and there is one")


def asked(options: Mapping[str, object]) -> Asked:
    """The flags of `bench`, likewise."""
    try:
        return Asked.model_validate({name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        raise Misuse(refusal(Asked, error)) from None


def alone(recipe: Recipe) -> Recipe:
    """The recipe without a teacher, whose answers take time of their own."""
    plain = {"teacher": None, "teacher_recipe": None, "stages": (), "loss": CrossEntropy()}
    return recipe.model_copy(update=plain)


def chosen_recipe(checked: Checked, name: str | None, changes: Sequence[str]) -> Recipe:
    """The recipe of that name, the file's first, or the default one, with the changes of `--set`."""
    recipe = _named(checked, name)
    for change in changes:
        recipe = _changed(recipe, change)
    return recipe


def job(
    path: str,
    checked: Checked,
    network: CheckedNetwork,
    module: str,
    recipe: Recipe,
    parameters: Mapping[str, str] | None = None,
    named: str | None = None,
) -> Job:
    """What the trainer needs to know of a compiled network. A run is called as its file is.

    parameters, named: those that were given on the command line, and the recipe that was named there.
    """
    chosen = Chosen(network.variant, dict(parameters or {}), named)
    teacher = _teacher(checked, network, recipe)
    return Job(
        name=network.name if path == STDIN else Path(path).stem,
        spec=checked.source.text,
        sources=_sources(checked),
        chosen=chosen,
        module=module,
        network=network.name,
        recipe=recipe,
        auxiliary_weights=tuple(_weight(aux.weight) for aux in network.graph.auxiliaries),
        parameters=network.cost.params.total,
        macs=network.cost.macs.total,
        uncounted=network.cost.unknown,
        image=network.graph.inputs[0].values,
        memory=_memory(network, recipe, teacher),
        claims=dict(_claims(checked, network, chosen.parameters)),
        tapped=_tapped(checked, network, [hint.layer for hint in _hints(recipe)] if teacher else []),
        teacher=teacher and _teaching(checked, teacher, recipe),
    )


def _teacher(checked: Checked, network: CheckedNetwork, recipe: Recipe) -> Teacher | None:
    """The teacher of the recipe, which may be changed by now; it must still suit the network."""
    from archdsl.elaborate.teachers import misfits

    if recipe.teacher is None:
        return None
    wanted = recipe.teacher, recipe.teacher_recipe
    found = [r.teacher for r in checked.recipes if r.recipe and (r.recipe.teacher, r.recipe.teacher_recipe) == wanted]
    if not found or found[0] is None:
        raise Misuse("--set: a teacher is a network that a recipe of the file names")
    for problem in misfits(recipe, found[0].network.graph, network.graph):
        raise Misuse(f"{network.variant or network.name}: {problem.message}")
    return found[0]


def _teaching(checked: Checked, teacher: Teacher, recipe: Recipe) -> Job:
    """How the teacher is trained, and its modules for the hints that are taken from it."""
    from archdsl.analyses.cost import cost
    from archdsl.pipeline import CheckedNetwork, emit

    built = teacher.network
    network = CheckedNetwork(built.network.name.text, None, built.parameters, built.graph, cost(built.graph))
    return Job(
        name="teacher",
        spec=checked.source.text,
        module=emit(checked, network),
        network=network.name,
        recipe=teacher.recipe,
        auxiliary_weights=tuple(_weight(aux.weight) for aux in network.graph.auxiliaries),
        parameters=network.cost.params.total,
        macs=network.cost.macs.total,
        image=network.graph.inputs[0].values,
        memory=_memory(network, teacher.recipe),
        tapped=_tapped(checked, network, [hint.of for hint in _hints(recipe)]),
    )


def _tapped(checked: Checked, network: CheckedNetwork, names: Sequence[str]) -> dict[str, Tapped]:
    """For each layer the module that also gives its output."""
    from archdsl.pipeline import emit

    graphs = {name: tapped(network.graph, name) for name in names}
    return {
        name: Tapped(emit(checked, replace(network, graph=graph)), graph.outputs[-1].values)
        for name, graph in graphs.items()
    }


def _hints(recipe: Recipe) -> list[Hint]:
    losses = (stage.loss for stage in recipe.stages)
    return [loss for loss in losses if isinstance(loss, Hint)]


def _named(checked: Checked, name: str | None) -> Recipe:
    found = {recipe.name: recipe.recipe for recipe in checked.recipes}
    if name is None:
        return next(iter(found.values()), None) or Recipe()
    recipe = found.get(name)
    if recipe is None:
        close = nearest(name, found)
        hint = f"did you mean {close}?" if close else f"there is {', '.join(found)}" if found else "the file has none"
        raise Misuse(f"--recipe: there is no recipe {name!r}; {hint}")
    return recipe


def _changed(recipe: Recipe, change: str) -> Recipe:
    key, sign, text = change.partition("=")
    if not sign:
        raise Misuse(f"--set takes KEY=VALUE, such as --set optimizer.lr=0.05, not {change[:80]!r}")
    changed, problems = override(recipe, key.strip().removeprefix("recipe."), text.strip())
    if changed is None:
        first = problems[0]
        raise Misuse(f"--set {key}: {first.message}" + (f"; {first.hint}" if first.hint else ""))
    return changed


def _memory(network: CheckedNetwork, recipe: Recipe, teacher: Teacher | None = None) -> StepMemory | None:
    """A bound, or nothing for more layers than can be gone through in the time that people wait for a plan.

    A teacher is there with its weights, and answers while all is held that the step keeps.
    """
    memory, optimizer = network.cost.memory, recipe.optimizer
    try:
        asked, taught = _answering(teacher) if teacher else (0, 0)
        per_image = step(network.graph) + asked
    except TooManyLayers:
        return None
    plain = optimizer.kind == "sgd" and not optimizer.momentum
    state = memory.state("sgd_plain" if plain else optimizer.kind) + (memory.weights if recipe.ema else 0)
    layers = total(network.graph, "layers", 0, lambda _: 1)
    return StepMemory(
        per_image=per_image + per_image // 50,  # what is measured differs by a hundredth from run to run
        fixed=memory.weights + memory.gradients + memory.kept.per_batch + state + _SMALL + layers * _LAYER + taught,
        # a file is laid out, made bytes, and made one: thrice its size, beside the bytes of the file before
        saving=max(3 * memory.weights, memory.weights + 3 * state) + _SMALL,
    )


def _answering(teacher: Teacher) -> tuple[int, int]:
    """What a teacher holds of each image while it answers, and its weights. Raises `TooManyLayers`."""
    from archdsl.analyses.memory import memory

    graph = teacher.network.graph
    return answer(graph), memory(graph).weights


def _sources(checked: Checked) -> dict[str, str]:
    """Nothing for a file that stands alone."""
    files = (checked.source, *checked.imported)
    if len(files) == 1:
        return {}
    paths = [os.path.abspath(file.name) for file in files]
    root = os.path.commonpath([os.path.dirname(path) for path in paths])
    return {Path(path).relative_to(root).as_posix(): file.text for path, file in zip(paths, files, strict=True)}


def _weight(value: object) -> float:
    return float(value) if isinstance(value, int | Fraction | Scalar) else 1.0


def _claims(checked: Checked, network: CheckedNetwork, parameters: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    """The test errors that the paper reports for this network, by data set; none where its parameters were changed.

    The number of classes may be: the paper's network has another on each data set.
    """
    if set(parameters) - set(network.classes):
        return
    for claim in _all_claims(checked.file, network):
        if claim.metric.text == "error" and claim.subject and isinstance(claim.value, ast.Number):
            yield claim.subject.text, float(claim.value.value)


def _all_claims(file: ast.File | None, network: CheckedNetwork) -> Iterator[ast.Claim]:
    for declaration in file.declarations if file else ():
        if isinstance(declaration, ast.Variants):
            yield from (claim for row in declaration.rows if row.name.text == network.variant for claim in row.claims)
        elif isinstance(declaration, ast.Block) and declaration.name.text == network.name and not network.variant:
            yield from (claim for part in declaration.body if isinstance(part, ast.Claims) for claim in part.claims)

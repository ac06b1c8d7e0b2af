"""The front door: one call trains one network into one folder and says how it ended by an exit code."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from torch import nn

from archdsl.fsio import FileTrouble, lock
from archdsl.recipe import Recipe
from archdsl.recipe.records import Crop, ResizedCrop
from archdsl.train import (
    chance,
    checkpoint,
    device,
    distributed,
    folder,
    memory,
    network,
    outcome,
    stages,
    stored,
    teaching,
    verdict,
    view,
)
from archdsl.train.data import Images, load
from archdsl.train.data.download import fetch_set
from archdsl.train.data.request import request
from archdsl.train.device import Device, Hardware
from archdsl.train.distributed import Team
from archdsl.train.identity import Identity, differences, identity
from archdsl.train.job import Job, TrainConfig
from archdsl.train.loop import Plan, Trainer
from archdsl.train.normalize import to_float
from archdsl.train.overview import describe, idle
from archdsl.train.progress import Row, reporter
from archdsl.train.provisional import provisional
from archdsl.train.randomness import key
from archdsl.train.schedule import Clock, clock
from archdsl.train.signals import watched
from archdsl.train.stored import Stored
from archdsl.train.synced_norm import synced
from archdsl.train.trouble import Misfit, Stopped, TrainTrouble

_OVERFIT_STEPS = 100
_LOCK = "run.lock"


def run(config: TrainConfig, job: Job, console: Console | None = None) -> int:
    """Train `job` as `config` says; everything that goes wrong ends in one line on the console and an exit code.

    0 trained · 1 network, recipe and data do not fit · 3 a file or data set is unusable · 75 stopped by a signal,
    everything saved · 76 a number was not finite · 77 a rank was lost · 4 out of memory.
    """
    console = console or Console()
    try:
        with distributed.assembled(config):
            stages.train(distributed.as_rank(config), job, console, train)
    except TrainTrouble as trouble:
        _say(console, f"{distributed.speaker()}{'' if isinstance(trouble, Stopped) else 'error: '}{trouble}")
        return trouble.exit_code
    except FileTrouble as trouble:
        _say(console, f"{distributed.speaker()}error: {trouble}")
        return TrainTrouble.exit_code
    return 0


def train(config: TrainConfig, job: Job, console: Console, hardware: Hardware | None = None) -> Sequence[Row]:
    """The same for one stage, raising what goes wrong; returns the metrics, one row an epoch."""
    out = folder.choose(config, job.name)
    team = distributed.present()
    with watched() as flag, _held(out, team):
        flag.at_once = team.size == 1  # several end together, after a step
        where = device.choose(config, hardware or Hardware.found())
        device.apply(where, config.deterministic)
        images = images_for(config, job, console)
        recipe = _recipe(config, job.recipe)
        known = identity(config, job, recipe, images, teaching.digest(job))
        team.alike(known)
        step = _step_to_go_on_from(out, known, team, console) if config.resume else ""
        if step and (done := _finished(int(step), out)):
            return _again(done, config, images, where, team, console)
        team.from_leader(lambda: folder.open_(out, job, recipe, config))
        team.opened()
        chance.seed_all(recipe.seed)
        model = network.build(out / folder.MODEL, job)
        network.check_evaluation(model, recipe)
        teaching.begin(model, job)
        where = _tried(model, images, job, where)
        plan = _plan(config, job, recipe, images, where, out, known)
        judged = verdict.judged(plan.overfit)
        shown = reporter(console if team.leads else Console(quiet=True), plan.clock.total, plan.batch, judged)
        for text in (describe(plan, model, job), *idle(plan, config, team.size)):
            shown.note(text)
        with memory.watched(where.device, _at_once(plan, team), job.memory):
            trainer = Trainer(plan, _shared(model, plan, team), shown, flag, team)
            if team.leads:
                folder.write_normalization(out, trainer.normalize.steps)
                folder.write_plan(plan, job, int(step or 0))  # last: from here on there is a run
            if step:
                _go_on(trainer, step)
            rows = trainer.train()
        for text in _result(out, recipe, rows, plan.clock.epochs, plan.overfit, job.claims.get(images.name)):
            shown.note(text)
        if config.report and team.leads:
            outcome.write(out, images, where)
        if plan.overfit:
            verdict.refuse_unlearnt(recipe, rows)
        return rows


def images_for(config: TrainConfig, job: Job, console: Console) -> Images:
    """The data set, or the part of it that the options leave. Raises DataTrouble, or Misfit where nothing is left."""
    recipe = job.recipe
    if config.download and config.data_dir is not None:
        fetch_set(config.data, config.data_dir, lambda text: _say(console, text))
    with memory.reading(config.data):
        images = load(config.data, request(config, job))
    if config.overfit_batch:
        batch = images.train.part(0, recipe.batch)
        images = replace(images, train=batch, test=batch, epochs=_OVERFIT_STEPS)
    if config.dry_run:
        images = images.limited(2 * recipe.batch + recipe.validation)
    if config.limit:
        images = images.limited(config.limit)
    if len(images.train) <= recipe.validation:
        raise Misfit(f"recipe: validation = {recipe.validation} leaves no image to train on")
    return images


def _recipe(config: TrainConfig, recipe: Recipe) -> Recipe:
    if not config.overfit_batch:
        return recipe
    windows = tuple(record for record in recipe.augment if isinstance(record, Crop | ResizedCrop))
    return recipe.model_copy(update={"augment": windows, "validation": 0, "early_stop": None})


def _plan(
    config: TrainConfig, job: Job, recipe: Recipe, images: Images, where: Device, out: Path, known: Identity
) -> Plan:
    return Plan(
        recipe=recipe,
        images=images,
        device=where,
        clock=_clock(config, recipe, images),
        out=out,
        identity=known,
        auxiliary_weights=job.auxiliary_weights,
        guide=job.guide,
        keep=config.keep,
        save_steps=config.save_steps,
        micro_batch=config.micro_batch,
        sync_batch_norm=config.sync_batch_norm,
        overfit=config.overfit_batch,
    )


def _clock(config: TrainConfig, recipe: Recipe, images: Images) -> Clock:
    count = len(images.train) - recipe.validation
    steps = count // recipe.batch if recipe.drop_last else -(-count // recipe.batch)
    if steps == 0:
        raise Misfit(f"{count} images do not fill a batch of {recipe.batch}, and the recipe drops the last one")
    return clock(recipe, steps, 1 if config.dry_run else config.epochs or images.epochs)


def _tried(model: nn.Module, images: Images, job: Job, where: Device) -> Device:
    """Try the network on two images, forward and backward; fall back to fp32 where bf16 has no kernel."""
    try:
        with memory.watched(where.device, 2, job.memory):
            try:
                _try(model, images, job, where)
            except RuntimeError as error:
                if where.precision is torch.float32 or memory.is_out_of_memory(error):
                    raise
                where = where.full_precision(_first_line(error))
                _try(model, images, job, where)
    except RuntimeError as error:
        raise Misfit(f"{job.network} does not take {images.name}'s images: {_first_line(error)}") from None
    return where


def _try(model: nn.Module, images: Images, job: Job, where: Device) -> None:
    view.check_window(job.recipe, *images.shape[1:], images.name)
    trial = network.moved(copy.deepcopy(model), where).train()
    pixels, _ = next(images.train.part(0, 2).to(where.device).in_order(2))
    seen = view.tried(to_float(pixels), job.recipe)
    view.check_size(job.network, job.image, tuple(seen.shape[1:]), job.recipe, images.name)
    with chance.forked(), where.autocast():
        results = network.outputs(trial, seen)
    sum(result.float().sum() for result in results).backward()  # pyright: ignore[reportAttributeAccessIssue]
    auxiliaries = len(results) - (2 if job.guide is not None and job.guide.sizes is not None else 1)
    if auxiliaries != len(job.auxiliary_weights):
        raise Misfit(
            f"{job.network} has {auxiliaries} auxiliary outputs, but {len(job.auxiliary_weights)} have a weight"
        )
    if results[0].shape[1:] != (len(images.classes),):
        found = " × ".join(map(str, results[0].shape[1:]))
        raise Misfit(f"{job.network} gives {found} outputs, but {images.name} has {len(images.classes)} classes")


@contextmanager
def _held(out: Path, team: Team) -> Generator[None]:
    """The run folder, for this run alone; the leader makes it and holds it for all ranks.

    What is refused before there is a plan leaves no folder behind that was not there.
    """
    if not team.leads:
        yield
        return
    with provisional(out, (*folder.BEFORE, _LOCK), stored.PLAN), lock(out / _LOCK):
        yield


def _shared(model: nn.Module, plan: Plan, team: Team) -> nn.Module:
    """The network as a rank has it: the weights of all, chance of its own."""
    if team.size > max(plan.recipe.batch // 2, 1):
        raise Misfit(f"a batch of {plan.recipe.batch} cannot be shared by {team.size} ranks: each needs two images")
    if team.rank:
        chance.seed_all(key(plan.recipe.seed, team.rank))
    return synced(model) if team.size > 1 and plan.sync_batch_norm else model


def _at_once(plan: Plan, team: Team) -> int:
    """The most images that a rank has in memory as part of a step."""
    return min(plan.at_once, -(-plan.recipe.batch // team.size))


def _step_to_go_on_from(out: Path, known: Identity, team: Team, console: Console) -> str:
    """That of the newest whole checkpoint, empty where none was finished. `TrainTrouble` where it is of another run."""
    step = team.from_leader(lambda: _newest(out, known, lambda text: _say(console, text)))
    if not step and team.leads:
        _say(console, "no checkpoint was finished: starting from the beginning")
    return step


def _newest(out: Path, known: Identity, note: Callable[[str], None]) -> str:
    try:
        saved = checkpoint.recovered(out, note)
    except checkpoint.Damaged as damage:
        raise TrainTrouble(f"{out}: no checkpoint is whole: {damage}") from None
    if saved is None:
        return ""
    if another := differences(saved.state.get("identity"), known):
        raise TrainTrouble(f"{out} holds another run, and nothing was done: {another}")
    return str(saved.step)


def _finished(step: int, out: Path) -> Stored | None:
    """The run, where it came to its end at this step."""
    if not (stored.is_run(out) and stored.started(out)):
        return None
    done = stored.load(out)
    return done if done.finished and done.rows[-1].step == step else None


def _again(
    done: Stored, config: TrainConfig, images: Images, where: Device, team: Team, console: Console
) -> Sequence[Row]:
    """What a finished run came to. Only a report that is missing is made."""
    epochs, overfit = done.plan.epochs, done.config.overfit_batch
    if team.leads:
        _say(console, f"{done.path} is finished: nothing was left to do")
        for text in _result(done.path, done.recipe, done.rows, epochs, overfit, done.claim):
            _say(console, text)
        if config.report and not (done.path / stored.REPORT).exists():
            outcome.write(done.path, images, where)
    if overfit:
        verdict.refuse_unlearnt(done.recipe, done.rows)
    return done.rows


def _go_on(trainer: Trainer, step: str) -> None:
    out, note = trainer.plan.out, trainer.reporter.note
    try:
        trainer.restore(checkpoint.load(checkpoint.directory(out, int(step))))
    except checkpoint.Damaged as damage:  # the leader has just read it
        raise TrainTrouble(f"{damage}; all ranks need to see the same run folder") from None
    if not (trainer.device.reads_are_free or torch.are_deterministic_algorithms_enabled()):
        note("not bit for bit: without --deterministic a GPU adds in another order each time")
    note(f"going on after step {step}")


def _result(
    out: Path, recipe: Recipe, rows: Sequence[Row], epochs: int, overfit: bool, claim: float | None
) -> Iterator[str]:
    """What there is to say at the end, whatever becomes of the pictures; `epochs` are those of the whole run."""
    if early := verdict.early(recipe, rows, epochs):
        yield early
    yield f"{verdict.conclusion(recipe, rows, overfit, claim)}; {out}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)

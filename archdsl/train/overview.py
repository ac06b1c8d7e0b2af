"""The plan of a run, as it is printed before the first step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import nn

from archdsl.recipe.records import Record
from archdsl.train.job import Job, TrainConfig
from archdsl.train.progress import counted

if TYPE_CHECKING:
    from archdsl.train.loop import Plan


def describe(plan: Plan, model: nn.Module, job: Job) -> str:
    """Network, data, recipe, schedule, predicted memory, device and folder, a line each."""
    lines = [
        _network(model, job),
        f"data      {_data(plan)}",
        f"recipe    {_recipe(plan)}",
        f"schedule  {_schedule(plan)}",
        *_memory(plan, job),
        *(f"          not counted beyond its parameters: extern {name}" for name in job.uncounted),
        f"device    {plan.device}",
        f"          {'; '.join(plan.device.reasons)}",
        *_paper(plan, job),
        f"run       {plan.out}",
    ]
    return "\n".join(lines)


def idle(plan: Plan, config: TrainConfig, ranks: int) -> Iterator[str]:
    """What was asked for and changes nothing here, a line for each."""
    share = -(-plan.batch // ranks)
    if plan.sync_batch_norm and ranks == 1:
        yield "--sync-batch-norm: there is one rank, and nothing to share"
    if config.deterministic and plan.device.device.type == "cpu":
        yield "--deterministic: the algorithms of a CPU give the same bits each time as it is"
    if plan.micro_batch is not None and plan.micro_batch >= share:
        yield f"--micro-batch {plan.micro_batch}: a step has {counted(share, 'image')}, taken at once as it is"


def _network(model: nn.Module, job: Job) -> str:
    parameters = sum(p.numel() for p in model.parameters())
    cost = "" if job.macs is None else f", {job.macs:,} multiply-accumulates an image"
    return f"{job.chosen.said(job.name)}: {job.network}, {parameters:,} parameters{cost}"


def _data(plan: Plan) -> str:
    images, held = plan.images, plan.recipe.validation
    validation = f", {held:,} to validate" if held else ""
    parts = f"{len(images.train) - held:,} to train{validation}, {len(images.test):,} to test"
    if plan.overfit:
        parts = f"one batch of {counted(len(images.train), 'image')}, to be learnt by heart"
    size = "×".join(map(str, images.shape))
    return f"{images.name}: {parts}, {len(images.classes)} classes, {size}"


def _recipe(plan: Plan) -> str:
    recipe, total = plan.recipe, plan.clock.total
    epochs = plan.clock.epochs
    return (
        f"{recipe.optimizer.kind} lr {recipe.optimizer.lr:g}, {recipe.schedule.kind}, batch {recipe.batch}, "
        f"{counted(total, 'step')} ({counted(epochs, 'epoch')})"
    )


def _schedule(plan: Plan) -> str:
    warmup = f", after {call(plan.recipe.warmup)}" if plan.recipe.warmup else ""
    return call(plan.recipe.schedule) + warmup


def _memory(plan: Plan, job: Job) -> list[str]:
    if job.memory is None:
        return ["memory    not predicted for so many layers"]
    images = counted(plan.at_once, "image")
    return [f"memory    {megabytes(job.memory.at(plan.at_once))} predicted for a step of {images}, in fp32"]


def _paper(plan: Plan, job: Job) -> list[str]:
    claim = job.claims.get(plan.images.name)
    return [] if claim is None else [f"paper     {claim:.2%} test error"]


def call(record: Record, whole: bool = False) -> str:
    """A record as the language writes it: `steps(at=[82, 123], gamma=0.1)`; without the defaults, or `whole`."""
    given = record.model_dump(exclude_defaults=not whole, exclude_none=True, exclude={"kind"})
    arguments = ", ".join(f"{name}={_value(value)}" for name, value in given.items())
    name = getattr(record, "kind", type(record).__name__.lower())
    return f"{name}({arguments})" if arguments else name


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def megabytes(count: int) -> str:
    """`198 MB`, or `3.4 GB`."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"

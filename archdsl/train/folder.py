"""The run folder: what was trained, with what, where, and how it went."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import safetensors.torch
import torch

from archdsl.fsio import make_directory, write_atomic, write_inside
from archdsl.recipe import Recipe
from archdsl.train import checkpoint, stored
from archdsl.train.device import Device
from archdsl.train.job import Job, TrainConfig
from archdsl.train.normalize import Step, constants
from archdsl.train.progress import Row
from archdsl.train.stored import (
    CONFIG,
    ENVIRONMENT,
    METRICS,
    MODEL,
    NETWORK,
    NORMALIZATION,
    PLAN,
    RECIPE,
    SPEC,
)
from archdsl.train.tensorboard import FILE, events
from archdsl.train.trouble import TrainTrouble

if TYPE_CHECKING:
    from archdsl.train.loop import Plan

BEFORE = (SPEC, MODEL, RECIPE, CONFIG, NETWORK, NORMALIZATION, ENVIRONMENT)
"""What is written before the plan."""


def choose(config: TrainConfig, name: str) -> Path:
    """The folder asked for, or the next free `runs/<name>-<number>`."""
    if config.out is None:
        return next(p for n in range(1, 10**6) if not (p := Path("runs") / f"{name}-{n}").exists())
    if not config.resume and any(checkpoint.finished(config.out)):
        raise TrainTrouble(f"{config.out} already holds a run: add --resume to go on with it, or choose another folder")
    return config.out


def open_(out: Path, job: Job, recipe: Recipe, config: TrainConfig) -> None:
    """Write what was asked for."""
    make_directory(out)
    write_atomic(out / SPEC, job.spec.encode())
    write_atomic(out / MODEL, job.module.encode())
    write_atomic(out / RECIPE, (recipe.model_dump_json(indent=2) + "\n").encode())
    write_atomic(out / CONFIG, (config.model_dump_json(indent=2) + "\n").encode())
    write_atomic(out / NETWORK, _json(asdict(_network(job))))


def _network(job: Job) -> stored.Network:
    return stored.Network(
        name=job.name,
        network=job.network,
        image=job.image,
        arguments=dict(job.arguments),
        parameters=job.parameters,
        macs=job.macs,
        claims=dict(job.claims),
        chosen=job.chosen,
    )


def write_plan(plan: Plan, job: Job, after_step: int) -> None:
    """Write what came of it: the data set, the length of the run, the device and its precision.

    after_step: 0 where the run begins, else that of the checkpoint from which it goes on.
    """
    images, held = plan.images, plan.recipe.validation
    known = stored.Plan(
        data=images.name,
        classes=images.classes,
        shape=images.shape,
        margin=images.margin,
        train=len(images.train) - held,
        validation=held,
        test=len(images.test),
        steps=plan.clock.total,
        steps_per_epoch=plan.clock.steps_per_epoch,
        device=plan.device.device.type,
        precision=plan.device.precision_name,
        threads=plan.device.threads,
        memory=None if job.memory is None else job.memory.at(plan.at_once),
    )
    write_atomic(plan.out / ENVIRONMENT, _json(_environments(plan, after_step)))
    for name, text in job.sources.items():
        write_inside(plan.out, f"{stored.SOURCES}/{name}", text.encode())
    write_atomic(plan.out / PLAN, _json(asdict(known)))


def _environments(plan: Plan, after_step: int) -> list[dict[str, object]]:
    """One for each part of the run that had another than the part before it."""
    earlier = [part for part in stored.environments(plan.out) if part["after_step"] < after_step]
    now = {"after_step": after_step, **environment(plan.device)}
    same = bool(earlier) and {**earlier[-1], "after_step": after_step} == now
    return earlier if same else [*earlier, now]


def write_normalization(out: Path, steps: Sequence[Step]) -> None:
    """Write what normalisation was fitted to, so that a picture can be judged without the training images."""
    tensors = {name: tensor.cpu().contiguous() for name, tensor in constants(steps).items()}
    write_atomic(out / NORMALIZATION, safetensors.torch.save(tensors))


def environment(device: Device) -> dict[str, object]:
    """What numbers may depend on besides the run's own files."""
    return {
        "archdsl": _version("archdsl"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "device": str(device),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": device.threads,
        "decisions": list(device.reasons),
    }


def write_metrics(out: Path, rows: Sequence[Row]) -> None:
    """All rows so far, as CSV, in which numbers read back exactly, and as TensorBoard events."""
    names = [field.name for field in fields(Row)]
    lines = [",".join("" if v is None else repr(v) for v in asdict(row).values()) for row in rows]
    write_atomic(out / METRICS, "\n".join([",".join(names), *lines, ""]).encode())
    write_atomic(out / FILE, events(rows))


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"

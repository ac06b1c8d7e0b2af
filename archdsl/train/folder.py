"""The run folder: what was trained, with what, where, and how it went."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from archdsl.fsio import make_directory, write_atomic
from archdsl.recipe import Recipe
from archdsl.train import checkpoint
from archdsl.train.device import Device
from archdsl.train.job import Job, TrainConfig
from archdsl.train.progress import Row
from archdsl.train.trouble import TrainTrouble

SPEC = "spec.arch"
MODEL = "model.py"
METRICS = "metrics.csv"


def choose(config: TrainConfig, name: str) -> Path:
    """The folder asked for, or the next free `runs/<name>-<number>`."""
    if config.out is None:
        return next(p for n in range(1, 10**6) if not (p := Path("runs") / f"{name}-{n}").exists())
    if not config.resume and any(checkpoint.finished(config.out)):
        raise TrainTrouble(f"{config.out} already holds a run: add --resume to go on with it, or choose another folder")
    return config.out


def open_(out: Path, job: Job, recipe: Recipe, config: TrainConfig, device: Device) -> None:
    """Write all that is known before the first step."""
    make_directory(out)
    write_atomic(out / SPEC, job.spec.encode())
    write_atomic(out / MODEL, job.module.encode())
    write_atomic(out / "recipe.json", (recipe.model_dump_json(indent=2) + "\n").encode())
    write_atomic(out / "config.json", (config.model_dump_json(indent=2) + "\n").encode())
    write_atomic(out / "environment.json", (json.dumps(environment(device), indent=2) + "\n").encode())


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
    """All rows so far, as CSV; numbers are written so that they read back exactly."""
    names = [field.name for field in fields(Row)]
    lines = [",".join("" if v is None else repr(v) for v in asdict(row).values()) for row in rows]
    write_atomic(out / METRICS, "\n".join([",".join(names), *lines, ""]).encode())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"

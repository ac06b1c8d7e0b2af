"""Runs on a handful of small images, and the digest of everything a run leaves behind."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import torch
from rich.console import Console
from small_networks import TINY

from archdsl.recipe import Recipe
from archdsl.recipe.records import Mixup, PadCrop, Sgd
from archdsl.train import checkpoint, run
from archdsl.train.data import Images, Request
from archdsl.train.data.images import InMemory
from archdsl.train.job import Job, TrainConfig

RECIPE = Recipe(
    augment=(PadCrop(pad=1), Mixup(alpha=0.3)),
    optimizer=Sgd(lr=0.05, weight_decay=1e-3),
    epochs=3,
    batch=32,
    ema=0.9,
)


def images(train: int = 200, test: int = 50, side: int = 8) -> Images:
    """Random images whose label shows in their brightness, so that there is something to learn."""
    generator = torch.Generator().manual_seed(0)

    def split(count: int) -> InMemory:
        labels = torch.arange(count) % 10
        noise = torch.randint(0, 30, (count, side, side, 3), generator=generator)
        return InMemory((noise + labels[:, None, None, None] * 22).to(torch.uint8), labels)

    return Images("few", split(train), split(test), tuple("abcdefghij"))


def few(_name: str, _request: Request) -> Images:
    """Stands in for `load`."""
    return images()


def job(recipe: Recipe = RECIPE, module: str = TINY, network: str = "Tiny", **more: object) -> Job:
    """A job as the compiler hands it over."""
    return Job("tiny", "network Tiny {}\n", module, network, recipe, **more)  # type: ignore[arg-type]


def config(out: Path, **options: object) -> TrainConfig:
    """Options for tests: one thread, fp32, no pictures."""
    return TrainConfig.model_validate({"out": out, "threads": 1, "precision": "fp32", "report": False, **options})


def go(out: Path, job: Job, **options: object) -> tuple[int, str]:
    """Run; the exit code and what was printed."""
    console = Console(file=io.StringIO(), width=200)
    code = run.run(config(out, **options), job, console)
    assert isinstance(console.file, io.StringIO)
    return code, console.file.getvalue()


def digest(out: Path) -> str:
    """Of weights, buffers, average, optimiser, random states, schedule, metrics: all but how long it took."""
    left = checkpoint.finished(out)
    place = max(left, key=checkpoint.step_of)
    assert len({checkpoint.step_of(p) for p in left}) == len(left), left
    state = json.loads((place / checkpoint.STATE).read_text())
    for row in state["progress"]["rows"]:
        row["seconds"] = 0
    state["progress"]["seconds"] = 0
    metrics = [line.rsplit(",", 1)[0] for line in (out / "metrics.csv").read_text().splitlines()]
    parts = [(place / name).read_bytes() for name in (checkpoint.WEIGHTS, checkpoint.TRAINING)]
    parts += [json.dumps(state, sort_keys=True).encode(), "\n".join(metrics).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()

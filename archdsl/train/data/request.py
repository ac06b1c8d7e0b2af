"""From the options and the network to what a data set is asked for."""

from __future__ import annotations

import os

from archdsl.recipe import Recipe
from archdsl.train.data.images import Request
from archdsl.train.data.pictures import Frame
from archdsl.train.job import Job, TrainConfig
from archdsl.train.view import window

_MOST_WORKERS = 8


def request(config: TrainConfig, job: Job) -> Request:
    """Where to look, how strictly, and what pictures of any size are brought to."""
    return Request(
        directory=config.data_dir,
        unofficial=config.unofficial,
        seed=job.recipe.seed,
        frame=_frame(job.recipe, job.image),
        workers=min(_cores(), _MOST_WORKERS) if config.workers is None else config.workers,
        patience=config.worker_timeout,
    )


def _frame(recipe: Recipe, image: tuple[int, ...] | None) -> Frame | None:
    """As large as the recipe resizes images to, else as its window, else as the network takes them."""
    if image is None or len(image) != 3:
        return None
    channels, height, width = image
    side = recipe.resize or window(recipe)
    return Frame(channels, side or height, side or width)


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

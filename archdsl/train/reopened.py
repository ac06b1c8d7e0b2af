"""The network of a run folder with the weights of one of its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from archdsl.fsio import FileTrouble, read_limited
from archdsl.train import checkpoint, network, stored
from archdsl.train.checkpoint import Checkpoint
from archdsl.train.job import Job
from archdsl.train.normalize import Normalization, restored
from archdsl.train.progress import Row
from archdsl.train.stored import Stored
from archdsl.train.trouble import TrainTrouble

_LARGEST = 1 << 32  # bytes: a whitening matrix for 3×96×96 takes three gigabytes


@dataclass(frozen=True, eq=False)
class Reopened:
    """A trained network, and the row of the metrics that belongs to it; none in the middle of an epoch."""

    model: nn.Module
    step: int
    row: Row | None


def reopen(run: Stored, which: str = "newest") -> Reopened:
    """The network as it was judged: `which` is `newest`, `best`, or the step of a checkpoint that was kept.

    Raises TrainTrouble where there is no such checkpoint, or where it is damaged.
    """
    saved = _checkpoint(run, which)
    model = blank(run)
    try:
        model.load_state_dict(_judged_weights(saved))
    except RuntimeError:
        raise TrainTrouble(
            f"{run.path}: the checkpoint of step {saved.step} has the weights of another network"
        ) from None
    row = next((row for row in run.rows if row.step == saved.step), None)
    return Reopened(model.eval(), saved.step, row)


def blank(run: Stored) -> nn.Module:
    """The network with fresh weights."""
    return network.build(run.path / stored.MODEL, job_of(run))


def job_of(run: Stored) -> Job:
    """What is needed to build the network and to read the data again."""
    of = run.network
    return Job(of.name, "", "", of.network, recipe=run.recipe, arguments=of.arguments, image=of.image)


def normalization(run: Stored, device: torch.device) -> Normalization:
    """The steps between pixels and the network, as they were fitted in training."""
    path = run.path / stored.NORMALIZATION
    try:
        tensors = safetensors.torch.load(read_limited(path, _LARGEST))
        fitted = {name: tensor.to(device) for name, tensor in tensors.items()}
        return Normalization(restored(run.recipe.normalize, run.recipe.resize, fitted))
    except FileTrouble as trouble:
        raise TrainTrouble(str(trouble)) from None
    except (safetensors.SafetensorError, TypeError, KeyError, ValueError):
        raise TrainTrouble(f"{path} is not as it was written") from None


def _checkpoint(run: Stored, which: str) -> Checkpoint:
    notes: list[str] = []
    try:
        if which == "newest":
            found = checkpoint.newest(run.path, notes.append)
        else:
            found = checkpoint.load(checkpoint.directory(run.path, _step(run, which)))
    except checkpoint.Damaged as damage:
        raise TrainTrouble(f"{run.path}: {damage}") from None
    if found is None:
        raise TrainTrouble(f"{run.path} has no checkpoint yet")
    if notes:
        raise TrainTrouble(f"{run.path}: {notes[0]}; --checkpoint {found.step} takes the one before it")
    return found


def _step(run: Stored, which: str) -> int:
    kept = sorted(set(map(checkpoint.step_of, checkpoint.finished(run.path))))
    step = run.best.step if which == "best" and run.best else int(which) if which.isdecimal() else None
    if step in kept:
        return step
    there = f"there are {', '.join(map(str, kept))}" if kept else "there is none"
    raise TrainTrouble(f"{run.path} has no checkpoint {which!r}; {there}, and newest and best")


def _judged_weights(saved: Checkpoint) -> Mapping[str, Tensor]:
    """The averaged weights, where the recipe asked for them: it is they that were judged."""
    averaged = {k.removeprefix("average/"): v for k, v in saved.training.items() if k.startswith("average/")}
    return averaged or saved.weights

"""Learning from another network: hints from its inner layers, and its answers to the same images.

Romero, Ballas, Kahou, Chassang, Gatta & Bengio 2014, FitNets: Hints for Thin Deep Nets, arXiv:1412.6550.
"""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.fsio import write_atomic
from archdsl.recipe.records import Distill, Hint, Recipe
from archdsl.train import checkpoint, network
from archdsl.train.augment import Batch
from archdsl.train.device import Device
from archdsl.train.job import Guide, Job
from archdsl.train.loss import measure, total
from archdsl.train.trouble import Misfit, TrainTrouble

Objective = Callable[[Sequence[Tensor], Batch, Sequence[float]], Tensor]
"""What a step minimises: of the network's outputs, its batch, and the weights that `loss.faded` gives for it."""

TEACHER = "teacher.py"
REGRESSOR = "hint_regressor"


class Regressor(nn.Module):
    """From a layer's output to the size of another's, [C, H, W] to [C', H', W'] or [C] to [C'].

    The kernel is as large as it takes, H - H' + 1 by W - W' + 1, without padding (FitNets, section 2.3).
    """

    def __init__(self, source: tuple[int, ...], target: tuple[int, ...], activation: str) -> None:
        super().__init__()
        self.activation = activation
        width = target[0] * (2 if activation == "maxout" else 1)
        kernel = [s - t + 1 for s, t in zip(source[1:], target[1:], strict=True)]
        self.map = nn.Conv2d(source[0], width, (kernel[0], kernel[1])) if kernel else nn.Linear(source[0], width)

    def forward(self, x: Tensor) -> Tensor:
        """The regression of a batch."""
        y = self.map(x)
        if self.activation == "maxout":
            return y.unflatten(1, (-1, 2)).amax(2)
        return F.relu(y) if self.activation == "relu" else y


def begin(model: nn.Module, job: Job) -> None:
    """Give a fresh network what the stages before have learned, and the regressor of a hint."""
    loss, guide = job.recipe.loss, job.guide
    if job.start is not None:
        _load(model, _weights(job.start), f"{job.start}")
    if guide is not None and guide.sizes is not None and isinstance(loss, Hint):
        model.add_module(REGRESSOR, Regressor(*guide.sizes, loss.activation))
        model.register_forward_hook(_with_regression)


def _with_regression(model: nn.Module, _images: object, outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The second output is the layer that is to resemble the teacher's; what counts is its regression."""
    return outputs[0], getattr(model, REGRESSOR)(outputs[1]), *outputs[2:]


def digest(job: Job) -> str:
    """Of all weights that the run begins with and learns from: two runs that differ in them are two runs."""
    folders = [folder for folder in (job.start, job.guide.weights if job.guide else None) if folder is not None]
    return " ".join(hashlib.sha256(safetensors.torch.save(dict(_weights(folder)))).hexdigest() for folder in folders)


def objective(recipe: Recipe, guide: Guide | None, out: Path, device: Device) -> Objective:
    """What a step minimises; `out` is the run folder, where the teacher's module is written to."""
    loss, judge = recipe.loss, measure(recipe.loss)
    if guide is None:
        return lambda outputs, batch, weights: total(judge, outputs, batch, weights)
    teacher = _teacher(guide, out, device)
    if isinstance(loss, Hint):
        return lambda outputs, batch, weights: half_squared_distance(outputs[1], teacher(batch.images)[1])
    assert isinstance(loss, Distill)

    def distilled(outputs: Sequence[Tensor], batch: Batch, weights: Sequence[float]) -> Tensor:
        own = total(judge, outputs, batch, weights[:-1])
        return own + weights[-1] * softened(outputs[0], teacher(batch.images)[0], loss.temperature)

    return distilled


def half_squared_distance(mine: Tensor, theirs: Tensor) -> Tensor:
    """½‖mine - theirs‖², the mean over the batch; computed in fp32."""
    return (mine.float() - theirs.float()).square().flatten(1).sum(1).mean() / 2


def softened(mine: Tensor, theirs: Tensor, temperature: float) -> Tensor:
    """The cross entropy of two rows of logits [N, K], both divided by the temperature; the mean over the batch."""
    soft = (theirs.float() / temperature).softmax(1)
    return -(soft * (mine.float() / temperature).log_softmax(1)).sum(1).mean()


def _teacher(guide: Guide, out: Path, device: Device) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """The teacher in evaluation mode, with its trained weights; no gradient goes through it."""
    path = out / TEACHER
    write_atomic(path, guide.job.module.encode())
    model = network.build(path, guide.job)
    _load(model, _weights(guide.weights), f"{guide.weights}, the teacher,")
    model = network.moved(model, device).eval().requires_grad_(False)

    def answers(images: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad(), device.autocast():
            return network.outputs(model, images)

    return answers


def _weights(folder: Path) -> Mapping[str, Tensor]:
    """The weights of the newest checkpoint of a run, or their average where it has one.

    What served a stage alone is left out.
    """
    try:
        saved = checkpoint.newest(folder, _quietly)
    except checkpoint.Damaged as damage:
        raise TrainTrouble(f"{folder}: no checkpoint is whole: {damage}") from None
    if saved is None:
        raise TrainTrouble(f"{folder} holds no finished checkpoint to learn from")
    average = {name.removeprefix("average/"): t for name, t in saved.training.items() if name.startswith("average/")}
    return {name: value for name, value in (average or saved.weights).items() if not name.startswith(f"{REGRESSOR}.")}


def _quietly(_note: str) -> None:
    """An older checkpoint of a finished run will do."""


def _load(model: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    own = model.state_dict()
    differ = sorted(own.keys() ^ weights.keys()) or [n for n in own if own[n].shape != weights[n].shape]
    if differ:
        raise Misfit(f"{what} has the weights of another network than {type(model).__name__}: {differ[0]} differs")
    model.load_state_dict(dict(weights))

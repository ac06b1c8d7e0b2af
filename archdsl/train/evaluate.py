"""Judging a network on a split of the data, by the recipe's policy. It leaves no trace in the run's random numbers."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from archdsl.recipe import Recipe
from archdsl.recipe.records import MeanOf
from archdsl.train import chance
from archdsl.train.data.images import Split
from archdsl.train.device import Device
from archdsl.train.distributed import ALONE, Team
from archdsl.train.loss import Measure
from archdsl.train.network import outputs, prepare_evaluation
from archdsl.train.normalize import Normalization
from archdsl.train.signals import Flag
from archdsl.train.view import judged


@dataclass(frozen=True)
class Verdict:
    """Mean loss, and the share of wrong answers."""

    loss: float
    error: float


def judge(
    model: nn.Module,
    split: Split,
    recipe: Recipe,
    device: Device,
    normalize: Normalization,
    measure: Measure,
    flag: Flag,
    team: Team = ALONE,
    at_once: int | None = None,
) -> Verdict | None:
    """The verdict, or None where a signal came in between. Each rank of a team judges its part of the split.

    It takes at most `at_once` images, or as many as the recipe trains on, which needs less memory than a step.
    """
    sums = torch.zeros(2, dtype=torch.float64, device=device.device)
    size = at_once or recipe.batch
    was_training = model.training
    with chance.forked(), torch.inference_mode():
        torch.manual_seed(recipe.seed)
        prepare_evaluation(model, recipe)
        for pixels, labels in team.shard(split).in_order(size):
            if flag:
                break
            if not len(labels):  # the part of a rank that has none of a handful of images
                continue
            logits = scores(model, normalize(pixels), recipe, device)
            sums[0] += measure(logits, labels).double() * len(labels)
            sums[1] += (logits.argmax(1) != labels).sum()
    model.train(was_training)
    if flag.agreed(team.largest):
        return None
    loss, wrong = (team.total(sums) / max(len(split), 1)).tolist()
    return Verdict(loss, wrong)


def scores(model: nn.Module, images: Tensor, recipe: Recipe, device: Device) -> Tensor:
    """Logits; with a mean over several passes or views, the logarithm of the mean softmax."""
    passes = recipe.evaluate.passes if isinstance(recipe.evaluate, MeanOf) else 1
    views = [view for view in judged(images, recipe) for _ in range(passes)]
    with device.autocast():
        if len(views) == 1 and not isinstance(recipe.evaluate, MeanOf):
            return outputs(model, views[0])[0]
        return torch.stack([outputs(model, view)[0].float().softmax(1) for view in views]).mean(0).log()

"""What is minimised."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor

from archdsl.recipe.records import CrossEntropy, Distill, Fade, Hint, Loss, Recipe, SquaredHinge
from archdsl.train.augment import Batch

Measure = Callable[[Tensor, Tensor], Tensor]


def measure(loss: Loss) -> Measure:
    """The loss of logits against labels, mean over the batch, computed in fp32."""
    match loss:
        case CrossEntropy(label_smoothing=smoothing):
            return lambda logits, labels: F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
        case SquaredHinge(margin=margin):
            return lambda logits, labels: _squared_hinge(logits.float(), labels, margin)
        case Hint() | Distill():  # what they add is no matter of labels: see `teaching`
            return lambda logits, labels: F.cross_entropy(logits.float(), labels)


def _squared_hinge(logits: Tensor, labels: Tensor, margin: float) -> Tensor:
    sign = F.one_hot(labels, logits.shape[1]).to(logits.dtype) * 2 - 1
    return (margin - sign * logits).clamp_min(0).square().sum(1).mean()


def mixed(measure: Measure, logits: Tensor, batch: Batch) -> Tensor:
    """The loss where images may have been mixed out of two."""
    if batch.partner is None:
        return measure(logits, batch.labels)
    return batch.share * measure(logits, batch.labels) + (1 - batch.share) * measure(logits, batch.partner)


def total(measure: Measure, outputs: Sequence[Tensor], batch: Batch, weights: Sequence[float]) -> Tensor:
    """The main loss and the weighted losses of auxiliary outputs."""
    loss = mixed(measure, outputs[0], batch)
    for weight, output in zip(weights, outputs[1:], strict=True):
        loss = loss + weight * mixed(measure, output, batch)
    return loss


def faded(recipe: Recipe, weights: Sequence[float], done: float) -> list[float]:
    """The weights of what is added to the main loss when the share `done` of the run is behind us.

    Those of auxiliary outputs, and after them that of the teacher's answers, where there is one.
    """
    factor = 1 - (1 - recipe.auxiliary.to) * done if isinstance(recipe.auxiliary, Fade) else 1.0
    return [weight * factor for weight in weights] + _taught(recipe.loss, done)


def _taught(loss: Loss, done: float) -> list[float]:
    if not isinstance(loss, Distill):
        return []
    return [loss.weight if loss.to is None else loss.weight + (loss.to - loss.weight) * done]

"""What a trained network says to each image of a split: the source of the confusion matrix and the worst errors."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from archdsl.recipe import Recipe
from archdsl.train import chance
from archdsl.train.data.images import Split
from archdsl.train.device import Device
from archdsl.train.evaluate import scores
from archdsl.train.network import prepare_evaluation
from archdsl.train.normalize import Normalization


@dataclass(frozen=True, eq=False)
class Answers:
    """labels and predicted classes [N] int64, probabilities [N, classes] float32; on the CPU, in the split's order.

    `predicted` comes from the logits, as in training: two probabilities may round to the same number.
    """

    labels: Tensor
    predicted: Tensor
    probabilities: Tensor

    @property
    def confidence(self) -> Tensor:
        """[N]: the probability of the predicted class."""
        return self.probabilities.gather(1, self.predicted[:, None])[:, 0]

    @property
    def error(self) -> float:
        """The share of wrong answers."""
        return int((self.predicted != self.labels).sum()) / max(len(self.labels), 1)

    def confusion(self) -> Tensor:
        """[classes, classes] int64: how many images of the class in the row were taken for that of the column."""
        classes = self.probabilities.shape[1]
        return torch.bincount(self.labels * classes + self.predicted, minlength=classes**2).view(classes, classes)

    def worst(self, count: int) -> Tensor:
        """The numbers of up to `count` wrong answers, the surest first; equally sure ones as in the split."""
        wrong = (self.predicted != self.labels).nonzero().flatten()
        return wrong[self.confidence[wrong].argsort(descending=True, stable=True)][:count]


def answers(
    model: nn.Module, split: Split, recipe: Recipe, device: Device, normalize: Normalization, at_once: int | None = None
) -> Answers:
    """Ask `model` about every image, by the recipe's policy of evaluation and in the same batches as it was judged."""
    labels: list[Tensor] = []
    logits: list[Tensor] = []
    with chance.forked(), torch.inference_mode():
        torch.manual_seed(recipe.seed)
        prepare_evaluation(model, recipe)
        for pixels, truth in split.in_order(at_once or recipe.batch):
            logits.append(scores(model, normalize(pixels), recipe, device).float().cpu())
            labels.append(truth.cpu())
    whole = torch.cat(logits)
    return Answers(torch.cat(labels), whole.argmax(1), whole.softmax(1))

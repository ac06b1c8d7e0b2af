"""What must be done to a picture before the exported network sees it, as records and in words."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from archdsl.train import reopened
from archdsl.train.normalize import Centred, Contrast, Resized, Scaled, Standardised, Step, Whitened
from archdsl.train.stored import NORMALIZATION, Stored


@dataclass(frozen=True)
class Action:
    """One step: a record for programs, and words."""

    record: Mapping[str, Any]
    words: str
    fitted: bool = False
    """Whether it needs a tensor of `normalization.safetensors`."""


def of(run: Stored) -> tuple[Action, ...]:
    """All steps of a run, in their order. Pixels are RGB or grey, channels first."""
    steps = reopened.normalization(run, torch.device("cpu")).steps
    margin = run.plan.margin
    around = [Action({"pad": margin}, f"{margin} pixels of zeros around")] if margin else []
    ranged = Action({"divide": 255}, "numbers between 0 and 1")
    return (*around, ranged, *(_action(number, step) for number, step in enumerate(steps)))


def _action(number: int, step: Step) -> Action:
    match step:
        case Resized(side=side):
            return Action({"resize": side}, f"the shorter side to {side} pixels, the square in the middle")
        case Scaled(factor=factor):
            return Action({"multiply": factor}, f"times {factor:g}")
        case Standardised(mean=mean, std=std):
            words = f"less {_words(mean)}, over {_words(std)}"
            return Action({"subtract": _numbers(mean), "divide": _numbers(std)}, words)
        case Centred():
            words = f"less the mean image, `{number}.mean` in {NORMALIZATION}"
            return Action({"subtract_tensor": f"{number}.mean"}, words, fitted=True)
        case Contrast(scale=scale, eps=eps):
            words = f"less the mean of the image, then scaled to the norm {scale:g}"
            return Action({"centre": True, "norm": scale, "smallest_norm": eps}, words)
        case Whitened():
            words = f"less `{number}.mean`, flattened times `{number}.matrix`, both in {NORMALIZATION}"
            names = {"subtract_tensor": f"{number}.mean", "matrix_tensor": f"{number}.matrix"}
            return Action(names, words, fitted=True)


def _numbers(values: Tensor) -> list[float]:
    return values.flatten().tolist()


def _words(values: Tensor) -> str:
    return "[" + ", ".join(f"{value:.4f}" for value in _numbers(values)) + "]"

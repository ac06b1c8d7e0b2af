"""A moving average of the weights, judged instead of them when the recipe asks for it."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Average:
    """A second network whose weights follow the first one's; other buffers are copied as they are."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.share: float | Tensor = 0.0
        """How far the next update moves towards the network's weights."""
        self.model = copy.deepcopy(model).requires_grad_(False)

    def prepare(self) -> None:
        """Set the share of the next update. The first ones follow faster, or the random start would linger."""
        self.updates += 1
        self.share = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Follow by one step."""
        for mine, theirs in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            _follow(mine, theirs, self.share)


def _follow(mine: Tensor, theirs: Tensor, share: float | Tensor) -> None:
    if mine.is_floating_point():
        mine.lerp_(theirs, share)
    else:
        mine.copy_(theirs)

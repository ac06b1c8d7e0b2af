"""Batch normalisation with the statistics of all ranks' images, as if one process had the whole batch.

torch's own `SyncBatchNorm` refuses the CPU, and makes the host wait for a GPU in each layer; this one does neither.
"""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]


def synced(model: nn.Module) -> nn.Module:
    """`model`, every batch norm in it replaced; names, weights and statistics stay."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm):
                setattr(parent, name, SyncedNorm(child))
    return model


@contextmanager
def apart(model: nn.Module, where: bool = True) -> Generator[None]:
    """Let each rank's own images be its whole batch: where all ranks have the same ones, or some do not come along."""
    layers = [layer for layer in model.modules() if isinstance(layer, SyncedNorm)] if where else []
    for layer in layers:
        layer.apart = True
    try:
        yield
    finally:
        for layer in layers:
            layer.apart = False


class SyncedNorm(_BatchNorm):
    """A batch norm whose mean and variance are those of all ranks (Ioffe & Szegedy 2015, arXiv:1502.03167)."""

    apart = False

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        for name in (*norm._parameters, *norm._buffers):
            setattr(self, name, getattr(norm, name))
        self.train(norm.training)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002  torch's name
        """Whatever the replaced layer took."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """[N, C, ...] to the same shape; in evaluation, or apart, as ever."""
        if self.apart or not self.training:
            return super().forward(input)
        x = input.float()
        dims = [d for d in range(x.dim()) if d != 1]
        count = _total(x.new_full((), x.numel() / x.shape[1]))
        mean = _total(x.sum(dims)) / count
        centred = x - _across(mean, x)
        variance = _total(centred.square().sum(dims)) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        y = centred * _across((variance + self.eps).rsqrt(), x)
        if self.affine:
            y = y * _across(self.weight, x) + _across(self.bias, x)
        return y.to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1 / self.num_batches_tracked.float() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class _Total(torch.autograd.Function):
    """The sum over all ranks. Each rank's part is in every rank's sum, so its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, mine: Tensor) -> Tensor:
        whole = mine.clone()
        dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _Total.forward(ctx, *gradients)


def _total(mine: Tensor) -> Tensor:
    return cast("Tensor", _Total.apply(mine))


def _across(channels: Tensor, x: Tensor) -> Tensor:
    """[C] laid out so that it is added to every place of [N, C, ...]."""
    return channels.view(1, -1, *[1] * (x.dim() - 2))

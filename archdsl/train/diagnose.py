"""Finding the layer in which a number first stopped being finite."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from archdsl.train import chance
from archdsl.train.augment import Batch
from archdsl.train.device import Device
from archdsl.train.network import outputs
from archdsl.train.synced_norm import apart

LOSS = "the loss is not finite"


def first_not_finite(model: nn.Module, batch: Batch, device: Device, lost: bool) -> str:
    """Where the first number that is not finite turns up when a batch passes through, in words for a message.

    `lost` is whether it was the loss that was not finite. The state of the network and of chance is left as it was, so
    that nothing of the failed step remains.
    """
    if not batch.images.isfinite().all():
        return "the images hold numbers that are not finite"
    if batch.labels.amin() < 0:
        return f"a label is {int(batch.labels.amin())}, which is no class"
    found: list[str] = []
    handles = [module.register_forward_hook(_watch(name, found)) for name, module in _leaves(model)]
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with chance.forked(), torch.no_grad(), device.autocast(), apart(model):
            outputs(model, batch.images)
    finally:
        for handle in handles:
            handle.remove()
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
    if found:
        return found[0]
    return LOSS if lost else _gradient(model)


def _leaves(model: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(name, module) for name, module in model.named_modules() if not list(module.children())]


def _watch(name: str, found: list[str]):
    def hook(module: nn.Module, _inputs: object, output: object) -> None:
        if not found and isinstance(output, Tensor) and not output.isfinite().all():
            found.append(f"the output of `{name}` ({type(module).__name__}) is not finite")

    return hook


def _gradient(model: nn.Module) -> str:
    """The last of them: gradients go backwards, and what is not finite makes all before it so."""
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    for name, gradient in reversed(gradients.items()):
        if not gradient.isfinite().all():
            return f"the gradient of `{name}` is not finite"
    return _norm(gradients)


def _norm(gradients: Mapping[str, Tensor]) -> str:
    """Every number is finite, and the root of the sum of their squares is not."""
    largest = {name: float(gradient.abs().max()) for name, gradient in gradients.items() if gradient.numel()}
    name = max(largest, key=lambda name: largest[name], default="")
    if not name:
        return "a gradient is not finite"
    return (
        f"the norm of the gradients overflows, though each is finite; the largest, {largest[name]:.3g}, is in `{name}`"
    )

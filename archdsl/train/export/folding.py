"""Batch norms become part of the convolution or linear map right before them: in evaluation both are one affine map.

Which norm stands right behind which layer is seen in one run of the network, so that it does not matter how the
network is written. A pair is folded where everything in it is used once: the layer's weights and its output (by the
norm, and by nothing else) and the norm's parameters. All others stay as they are.
"""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.overrides import TorchFunctionMode

from archdsl.train.export.subject import tensors

Layer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear
Norm = nn.BatchNorm1d | nn.BatchNorm2d
_LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def fold(module: nn.Module, given: Mapping[str, Tensor]) -> tuple[int, int]:
    """Fold what can be folded, in place; how many batch norms were, and how many are left."""
    pairs = list(_pairs(module, given))
    for layer, norm in pairs:
        _merge(layer, norm)
    gone = {norm for _, norm in pairs}
    for parent in module.modules():
        for name, child in parent.named_children():
            if child in gone:
                setattr(parent, name, nn.Identity())
    return len(pairs), sum(isinstance(part, _NORMS) for part in module.modules())


class _Uses(TorchFunctionMode):
    """Counts how often each tensor is given to a function that makes a tensor of it."""

    def __init__(self) -> None:
        super().__init__()
        self.of: Counter[int] = Counter()
        self.alive: list[Tensor] = []  # or another tensor could get the number of one that is gone

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if any(True for _ in tensors(result)):
            self.note(args)
            self.note(tuple((kwargs or {}).values()))
        return result

    def note(self, value: object) -> None:
        """These tensors are used once more."""
        for tensor in tensors(value):
            self.of[id(tensor)] += 1
            self.alive.append(tensor)


def _pairs(module: nn.Module, given: Mapping[str, Tensor]) -> Iterator[tuple[Layer, Norm]]:
    """Layers that can take a norm into them, each with that norm."""
    makers: dict[int, Layer] = {}
    readers: list[tuple[Norm, Tensor]] = []

    def watch(part: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if type(part) in _LAYERS:
            makers[id(output)] = cast("Layer", part)
        elif type(part) in _NORMS:
            readers.append((cast("Norm", part), inputs[0]))

    uses = _Uses()
    hooks = [part.register_forward_hook(watch) for part in module.modules()]
    with torch.no_grad(), uses:
        uses.note(module(*given.values()))
    for hook in hooks:
        hook.remove()
    for norm, read in readers:
        layer = makers.get(id(read))
        if (
            layer is not None
            and _fits(layer, norm, read)
            and _once(uses, read, *layer.parameters(), *norm.parameters())
        ):
            yield layer, norm


def _once(uses: _Uses, *found: Tensor) -> bool:
    return all(uses.of[id(tensor)] == 1 for tensor in found)


def _fits(layer: Layer, norm: Norm, output: Tensor) -> bool:
    """Whether the norm is a fixed map of the layer's channels: of a list of vectors it is not, nor of the batch.

    Transposed groups are left alone: their weights lie in another order.
    """
    if norm.running_mean is None:
        return False
    if isinstance(layer, nn.Linear):
        return output.dim() == 2
    return not isinstance(layer, nn.ConvTranspose2d) or layer.groups == 1


def _merge(layer: Layer, norm: Norm) -> None:
    """In double precision, so that the one rounding at the end is all that changes."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    merged = fuse_conv_bn_weights(
        layer.weight.detach().double(),
        _double(layer.bias),
        norm.running_mean.double(),
        norm.running_var.double(),
        norm.eps,
        _double(norm.weight),
        _double(norm.bias),
        transpose=isinstance(layer, nn.ConvTranspose2d),
    )
    layer.weight, layer.bias = (nn.Parameter(part.detach().float()) for part in merged)


def _double(part: Tensor | None) -> Tensor | None:
    return None if part is None else part.detach().double()

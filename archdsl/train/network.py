"""The network, made by importing the very text that the compiler wrote."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase  # pyright: ignore[reportPrivateUsage]

from archdsl.recipe.records import DeepestColumn, MeanOf, Recipe
from archdsl.train.device import Device
from archdsl.train.job import Job
from archdsl.train.trouble import Misfit


class _Loader(SourceFileLoader):
    """Leaves no `__pycache__` in the run folder."""

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:
        """Nothing is cached."""


def build(path: Path, job: Job) -> nn.Module:
    """The network class in the file at `path`, which is its last one, built with the job's arguments.

    Its name need not be the network's: a helper class may have taken that.
    """
    name = "archdsl_network_" + path.parent.name.replace("-", "_").replace(".", "_")
    loader = _Loader(name, str(path))
    spec = spec_from_loader(name, loader)
    if spec is None:
        raise Misfit(f"{path}: cannot be imported")
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling in an `extern` look themselves up
    loader.exec_module(module)
    classes = [c for c in vars(module).values() if isinstance(c, type) and c.__module__ == name]
    return classes[-1](**job.arguments)


def moved(model: nn.Module, device: Device) -> nn.Module:
    """The network on the device, its weights laid out as the device likes them."""
    if device.device.type == "cpu":
        for module in model.modules():
            if isinstance(module, nn.GroupNorm):
                module.register_forward_pre_hook(_plainly_laid_out)
    return model.to(device=device.device).to(memory_format=device.layout)  # pyright: ignore[reportCallIssue]


def _plainly_laid_out(_norm: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """An input without a gradient: torch 2.13 writes that gradient all the same where channels are last, to nowhere."""
    (images,) = inputs
    return inputs if images.requires_grad or not torch.is_grad_enabled() else (images.contiguous(),)


def outputs(model: Callable[[Tensor], Any], images: Tensor) -> tuple[Tensor, ...]:
    """The logits, and in training mode those of auxiliary heads behind them."""
    result = model(images)
    return cast("tuple[Tensor, ...]", result) if isinstance(result, tuple) else (result,)


def prepare_evaluation(model: nn.Module, recipe: Recipe) -> None:
    """Put the network into the mode in which the recipe wants it to be judged."""
    model.eval()
    if isinstance(recipe.evaluate, MeanOf):
        model.train()  # chance stays on ...
        for module in model.modules():
            if isinstance(module, _NormBase):
                module.eval()  # ... while statistics are those of training
    _set_deepest(model, isinstance(recipe.evaluate, DeepestColumn))


def check_evaluation(model: nn.Module, recipe: Recipe) -> None:
    """Refuse an evaluation policy that the network has no part for."""
    if isinstance(recipe.evaluate, DeepestColumn) and not list(_joins(model)):
        raise Misfit("recipe: evaluate = deepest_column needs a network of columns that meet in joins")


def _set_deepest(model: nn.Module, only: bool) -> None:
    for join in _joins(model):
        setattr(join, "deepest", only)  # noqa: B010 (nn.Module declares only tensors and modules)


def _joins(model: nn.Module) -> Iterable[nn.Module]:
    """Modules that can be told to pass their deepest column alone."""
    return (module for module in model.modules() if hasattr(module, "deepest"))

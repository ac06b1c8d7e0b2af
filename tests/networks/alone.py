"""Generated modules where archdsl cannot be imported: `python -I alone.py jobs.json` (promises R14 and R15).

A job is a file, its class, and its input shapes. Each is imported, run forward and backward, and trained for a step;
a line is printed for each, the hash of outputs, gradients and weights.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import torch
from torch import Tensor, nn

SEED, BATCH = 3, 2


def tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in nested tuples."""
    if isinstance(value, Tensor):
        yield value
    else:
        for part in value:
            yield from tensors(part)


def samples(shapes: list[tuple[int, ...]], batch: int, seed: int = 1) -> list[Tensor]:
    """Inputs of these shapes."""
    source = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, *shape, generator=source) for shape in shapes]


def trained(module: nn.Module, inputs: list[Tensor]) -> str:
    """One step of training from a seed, as a hash of outputs, gradients and the weights after it.

    The inputs have gradients, too: without, torch 2.13 crashes in the backward pass of a group norm whose input is not
    contiguous (it writes the gradient that nobody asked for).
    """
    torch.manual_seed(SEED)
    module.train()
    inputs = [t.requires_grad_() for t in inputs]
    found = list(tensors(module(*inputs)))
    loss = torch.stack([t.sum() for t in found]).sum()
    weights = list(module.parameters())
    if loss.requires_grad:
        loss.backward()
    if weights:
        torch.optim.SGD(weights, lr=0.01, momentum=0.9).step()
    found += [p.grad for p in [*inputs, *weights] if p.grad is not None] + weights
    result = hashlib.sha256()
    for tensor in found:
        result.update(tensor.detach().contiguous().numpy().tobytes())
    return result.hexdigest()


def built(make: Any) -> nn.Module:
    """A module with weights from the seed."""
    torch.manual_seed(SEED)
    return make()


def main(path: str) -> None:
    sys.modules["archdsl"] = None  # type: ignore[assignment]  importing it fails
    torch.set_num_threads(1)
    with open(path, encoding="utf-8") as jobs:
        for number, (file, name, shapes) in enumerate(json.load(jobs)):
            spec = spec_from_file_location(f"generated{number}", file)
            assert spec is not None
            assert spec.loader is not None
            module = module_from_spec(spec)
            spec.loader.exec_module(module)
            print(trained(built(getattr(module, name)), samples(shapes, BATCH)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])

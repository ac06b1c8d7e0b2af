"""The state of every hidden random generator, to be saved and put back. Our own numbers need none: see `randomness`."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import random
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import Tensor


def seed_all(seed: int) -> None:
    """Begin every generator anew."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def forked() -> AbstractContextManager[None]:
    """What is drawn in this context is drawn again after it."""
    return torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_initialized() else [])


def tensors() -> dict[str, Tensor]:
    """torch's generators: dropout and its like draw from them. Of GPUs, the one that this process uses, if any."""
    states = {"chance/cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():  # to ask each GPU would take memory on each
        states["chance/cuda"] = torch.cuda.get_rng_state()
    return states


def numbers() -> dict[str, Any]:
    """Python's and numpy's generators, which only an `extern` would use."""
    kind, key, *rest = np.random.get_state(legacy=True)
    return {"python": random.getstate(), "numpy": [kind, [int(k) for k in key], *rest]}


def restore(tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    """Put back what `tensors` and `numbers` gave."""
    version, internal, gauss = numbers["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, key, *rest = numbers["numpy"]
    np.random.set_state((kind, np.array(key, np.uint32), *rest))
    torch.set_rng_state(tensors["chance/cpu"])
    if "chance/cuda" in tensors and torch.cuda.is_initialized():
        torch.cuda.set_rng_state(tensors["chance/cuda"])

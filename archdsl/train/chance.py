"""The state of every hidden random generator, to be saved and put back. Our own numbers need none: see `randomness`."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor


def seed_all(seed: int) -> None:
    """Begin every generator anew."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def tensors() -> dict[str, Tensor]:
    """torch's generators: dropout and its like draw from them."""
    states = {"chance/cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"chance/cuda{n}": state for n, state in enumerate(torch.cuda.get_rng_state_all())}
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
    for name, state in tensors.items():
        if name.startswith("chance/cuda") and torch.cuda.is_available():
            torch.cuda.set_rng_state(state, int(name.removeprefix("chance/cuda")))

"""Random numbers as a function of (seed, epoch, index): the same for every batch size, worker count and device.

A counter is hashed (the finaliser of splitmix64); there is no hidden state that a resumed run could lose.
"""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15
_A = 0xBF58476D1CE4E5B9
_B = 0x94D049BB133111EB


def key(*parts: int) -> int:
    """One 64-bit key from several numbers; the order matters."""
    state = 0
    for part in parts:
        state = _mixed_int((state + _GOLDEN + part) & _MASK)
    return state


def uniform(key: int, index: Tensor, draws: int) -> Tensor:
    """Numbers in [0, 1): a row for each entry of `index`, a column for each draw."""
    if _in_numpy(index):
        return torch.from_numpy(_uniform(key, index.numpy(), draws))
    return _uniform_anywhere(key, index, draws)


def _in_numpy(index: Tensor) -> bool:
    return index.device.type == "cpu"


def _uniform(key: int, index: NDArray[np.int64], draws: int) -> NDArray[np.float32]:
    """In NumPy, whose operations on a few numbers take a fifth of the time of torch's."""
    columns = np.arange(1, draws + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    z = index.astype(np.uint64)[:, None] * np.uint64(_A) + columns + np.uint64(key)
    for _ in range(2):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(_A)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(_B)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)


def _uniform_anywhere(key: int, index: Tensor, draws: int) -> Tensor:
    """The same on any device: torch has no unsigned numbers of 64 bits that it can multiply."""
    columns = torch.arange(1, draws + 1, device=index.device)
    counters = index[:, None] * _signed(_A) + columns * _signed(_GOLDEN) + _signed(key)
    return _shifted(_mixed(_mixed(counters)), 40).float() * 2.0**-24


def normal(key: int, index: Tensor, draws: int) -> Tensor:
    """Normal numbers of mean 0 and variance 1, as `uniform` (Box and Muller 1958)."""
    first, second = uniform(key, index, 2 * draws).chunk(2, 1)
    return (-2 * (1 - first).log()).sqrt() * (2 * torch.pi * second).cos()


def permutation(key: int, count: int) -> Tensor:
    """The numbers below `count` in random order."""
    generator = torch.Generator().manual_seed(key >> 1)
    return torch.randperm(count, generator=generator)


def _mixed_int(z: int) -> int:
    z = ((z ^ (z >> 30)) * _A) & _MASK
    z = ((z ^ (z >> 27)) * _B) & _MASK
    return z ^ (z >> 31)


def _mixed(z: Tensor) -> Tensor:
    z = (z ^ _shifted(z, 30)) * _signed(_A)
    z = (z ^ _shifted(z, 27)) * _signed(_B)
    return z ^ _shifted(z, 31)


def _shifted(z: Tensor, bits: int) -> Tensor:
    """A logical shift to the right: torch's own would copy the sign."""
    return (z >> bits) & (2 ** (64 - bits) - 1)


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number

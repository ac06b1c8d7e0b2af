"""Random numbers as a function of (seed, epoch, index): the same for every batch size, worker count and device.

A counter is hashed (the finaliser of splitmix64); there is no hidden state that a resumed run could lose.
"""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import torch
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

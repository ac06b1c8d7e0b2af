"""The order in which torch lays maps and gradients on a CPU, channels last or plainly, and what it copies for its sake.

Whatever comes in, a convolution hands on channels last and some layers plainly; the others keep to the order of the map
that came, or of the gradient. A layer that reads one order only copies what lies otherwise, or is a part of something
larger. All of it is held against torch by `tests/test_order.py`; what is not in these tables copies nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

_CHANNELS_LAST = frozenset(("conv", "depthwise", "conv_transpose", "conv_table"))
_READ_PLAINLY = frozenset(("ln", "instance_norm", "softmax", "fractional_max_pool"))
_PLAINLY = _READ_PLAINLY | {"maxout", "bernoulli_mask", "join", "flatten", "reshape"}
_BACK_PLAINLY = _READ_PLAINLY | {"slice", "split", "subsample", "crop", "reshape"}
_BACK_AS_IT_CAME = frozenset(
    {
        *("bn", "gn", "relu", "leaky_relu", "prelu", "max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool"),
        *("global_max_pool", "spp", "reflect_pad", "max", "min"),
    }
)
# Outputs in between that a forward pass holds beside the last one.
_BETWEEN = {"mean": 1, "sum": 1, "affine": 1, "stochastic_depth": 1, "shake_add": 2}


class Passage(NamedTuple):
    """A layer on the way back.

    came, out: how many numbers came in and went out; plain: whether what came lies plainly; back: whether the gradient
    does; part: whether that is a part of a larger one.
    """

    came: int
    out: int
    plain: bool
    back: bool
    part: bool = False

    @property
    def turned(self) -> bool:
        """Whether the gradient lies in another order than what came."""
        return self.plain != self.back


def out_plainly(name: str, *, plain: bool) -> bool:
    """Whether the output lies plainly, for an input that does or not."""
    return name not in _CHANNELS_LAST and (plain or name in _PLAINLY)


def back_plainly(name: str, passage: Passage) -> bool:
    """Whether the gradient of the input lies plainly."""
    if name in _BACK_AS_IT_CAME:
        return passage.plain
    if name == "maxout":
        return passage.plain or passage.back
    return name not in _CHANNELS_LAST and (passage.back or name in _BACK_PLAINLY)


def passing_forwards(name: str, came: int, out: int, *, plain: bool) -> int:
    """Numbers beside the output for as long as the forward pass of the layer takes."""
    if name in _CHANNELS_LAST:
        return came * plain
    if name in _READ_PLAINLY:
        return came * (not plain)
    return 2 * came if name == "join" else out * _BETWEEN.get(name, 0)


def copied_backwards(name: str, passage: Passage) -> int:
    """Numbers copied for the backward pass."""
    copied = _COPIED.get(name)
    return copied(passage) if copied else 0


def _for_channels_last(p: Passage) -> int:
    return p.came * p.plain + p.out * (p.back or p.part)


def _gradient_plainly(p: Passage) -> int:
    return p.out * (p.part or not p.back)


def _both_plainly(p: Passage) -> int:
    return p.came * (not p.plain) + _gradient_plainly(p)


def _gradient_as_it_came(p: Passage) -> int:
    return p.out * (p.part or p.turned)


def _result(p: Passage) -> int:
    """The gradient is read in the order in which it lies, and what comes of it is copied to lie as the map came."""
    return p.came * p.turned + p.out * p.part


def _result_and_places(p: Passage) -> int:
    """As `_result`, with the places of the maxima, 8 bytes each."""
    return _result(p) + 2 * p.out * p.turned


def _gelu(p: Passage) -> int:
    """By oneDNN, which reads plainly, where the map came so."""
    return p.plain * (_gradient_plainly(p) + p.came * p.turned)


def _part(p: Passage) -> int:
    return p.out * p.part


def _part_and_result(p: Passage) -> int:
    return p.part * (p.out + p.came * (not p.back))


_COPIED: dict[str, Callable[[Passage], int]] = {
    **dict.fromkeys(_CHANNELS_LAST, _for_channels_last),
    "ln": _both_plainly,
    **dict.fromkeys(("instance_norm", "softmax", "fractional_max_pool"), _gradient_plainly),
    **dict.fromkeys(("gn", "adaptive_max_pool"), _gradient_as_it_came),
    **dict.fromkeys(("avg_pool", "adaptive_avg_pool", "reflect_pad"), _result),
    "max_pool": _result_and_places,
    "gelu": _gelu,
    "upsample": _part_and_result,
    **dict.fromkeys(("pixel_shuffle", "pixel_unshuffle", "channel_shuffle"), _part),
}

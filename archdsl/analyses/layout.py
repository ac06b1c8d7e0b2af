"""How tensors lie in memory, as PyTorch lays them: strides, and where a layer has to copy before it can read.

A layout is the step in numbers from one place to the next, the batch first; `None` is the plain one, rows behind rows.
Others come from views (a transposed list, every second pixel), and layers hand them on: functions of each number keep
the order of the axes, layers of maps keep "channels last", everything else writes plainly. A copy is a tensor that
autograd may keep in the place of the one it was made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

from archdsl.analyses.walk import Sizes, product
from archdsl.ops.merge import is_plain_mean
from archdsl.ops.op import Attrs, Dim

Layout = tuple[int, ...] | None
BATCH = 2  # samples that layouts are thought of with: any number but 1, which has no order

# `bernoulli_mask` is not among them: PyTorch draws masks plainly, and their order decides.
_ELEMENTWISE = frozenset(
    {
        *("relu", "relu6", "leaky_relu", "prelu", "elu", "selu", "gelu", "silu", "sigmoid", "tanh", "hard_sigmoid"),
        *("hard_swish", "hard_tanh", "scale", "bias", "affine", "dropout", "channel_dropout", "lrn"),
        *("add", "sub", "mul", "sum", "mean", "max", "min", "shake_add", "stochastic_depth"),
    }
)
_MAPS = frozenset(
    {
        *("conv", "depthwise", "conv_transpose", "conv_table", "bn", "gn", "max_pool", "avg_pool", "adaptive_avg_pool"),
        *("adaptive_max_pool", "zero_pad", "reflect_pad", "channel_pad", "shift", "upsample", "pixel_shuffle"),
        *("pixel_unshuffle", "channel_shuffle", "concat"),
    }
)


def plain_strides(shape: Sizes) -> tuple[int, ...]:
    """The steps of a plain tensor, for the shape of a sample."""
    return tuple(product(shape[axis:]) for axis in range(len(shape) + 1))


def repeated(shape: Sizes) -> Layout:
    """A learned tensor, handed to every sample without a copy."""
    return 0, *plain_strides(shape)[1:]


def viewed(name: str, attrs: Attrs, shape: Sizes, layout: Layout, result: Sizes) -> tuple[Layout, bool]:
    """The layout of a view of a tensor, and whether it takes a copy instead, which is plain."""
    if name in ("flatten", "reshape"):
        return _reshaped(attrs, shape, layout, result)
    if layout is None and name not in ("permute", "slice", "split", "subsample", "crop"):
        return None, False
    batch, *steps = layout or plain_strides(shape)
    if name == "permute":
        steps = [steps[int(axis)] for axis in cast("tuple[Dim, ...]", attrs["order"])]
    elif name == "subsample":
        stride = int(cast(Dim, attrs["stride"]))
        steps = [steps[0], *(step * stride for step in steps[1:])]
    return _canonical(result, (batch, *steps)), False


def _reshaped(attrs: Attrs, shape: Sizes, layout: Layout, result: Sizes) -> tuple[Layout, bool]:
    """PyTorch joins axes, then divides the joined one: only joining may take a copy."""
    if layout is None:
        return None, False
    first = 2 if len(shape) == 3 and len(result) == 2 and result[0] == shape[0] else 1
    if not joins(shape, layout, first, len(layout)):
        return None, True
    inner = min((step for step, n in zip(layout[first:], shape[first - 1 :], strict=True) if n > 1), default=1)
    steps = tuple(step * inner for step in plain_strides(result)[first:])
    return _canonical(result, (*layout[:first], *steps)), False


def joins(shape: Sizes, layout: tuple[int, ...], first: int, end: int) -> bool:
    """Whether the axes from `first` to before `end`, the batch being 0, can be seen as one."""
    axes = [(n, step) for n, step in zip((BATCH, *shape), layout, strict=True)][first:end]
    seen = [(n, step) for n, step in axes if n > 1]
    return all(step == n * inner for (_, step), (n, inner) in pairwise(seen))


def copied(name: str, shapes: Sequence[Sizes], layouts: Sequence[Layout]) -> tuple[bool, ...]:
    """Which inputs a layer copies before it reads them."""
    return tuple(layout is not None and _copies(name, s, layout) for s, layout in zip(shapes, layouts, strict=True))


def _copies(name: str, shape: Sizes, layout: tuple[int, ...]) -> bool:
    if name == "instance_norm":
        return not is_plain(shape, layout)
    if name == "gn":
        return not is_plain(shape, layout) and not (_last(shape, layout) and layout == _channels_last(shape))
    if name in ("linear", "attention", "matmul") and len(shape) > 1:  # rows of all samples, or matrices of all maps
        return not (name == "matmul" and len(shape) == 2) and not joins(shape, layout, 0, 2)
    return False


def written(name: str, attrs: Attrs, shapes: Sequence[Sizes], layouts: Sequence[Layout], result: Sizes) -> Layout:
    """The layout of what a layer writes."""
    if all(layout is None for layout in layouts):
        return None
    if name in _ELEMENTWISE or (name == "join" and is_plain_mean(attrs)):
        return _ordered(shapes, layouts)
    if name in _MAPS and len(result) == 3 and all(_last(*one) for one in zip(shapes, layouts, strict=True)):
        return _canonical(result, _channels_last(result))
    return None


def is_plain(shape: Sizes, layout: tuple[int, ...]) -> bool:
    """Whether numbers lie one behind the other; axes of one place have no say."""
    pairs = zip((BATCH, *shape), layout, plain_strides(shape), strict=True)
    return all(step == plain or n == 1 for n, step, plain in pairs)


def _canonical(shape: Sizes, layout: tuple[int, ...]) -> Layout:
    return None if is_plain(shape, layout) and not _last(shape, layout) else layout


def _channels_last(shape: Sizes) -> tuple[int, ...]:
    channels, height, width = shape
    return height * width * channels, 1, width * channels, channels


def _last(shape: Sizes, layout: Layout) -> bool:
    """Whether PyTorch takes a map for one with channels last: from channels to batch, no step is too short."""
    if layout is None or len(shape) != 3 or layout[1] == 0:
        return False
    least = 0
    for axis in (1, 3, 2, 0):
        if layout[axis] < least or (axis == 0 and least == layout[1]):
            return False
        least = layout[axis] * (BATCH, *shape)[axis]
    return True


def _ordered(shapes: Sequence[Sizes], layouts: Sequence[Layout]) -> Layout:
    """What a function of each number makes of tensors, two by two from the left: dense, in the order of their axes."""
    shape, layout = shapes[0], layouts[0]
    for other, its in list(zip(shapes[1:], layouts[1:], strict=True)) or [(shape, layout)]:
        wide = tuple(map(max, shape, other))
        layout = _dense(wide, [_steps(shape, layout, wide), _steps(other, its, wide)])
        shape = wide
    return layout


def _steps(shape: Sizes, layout: Layout, wide: Sizes) -> tuple[int, ...]:
    """The steps of an operand: none along axes that it is repeated over."""
    batch, *inner = layout or plain_strides(shape)
    return batch, *(0 if n < w else step for n, w, step in zip(shape, wide, inner, strict=True))


def _dense(shape: Sizes, operands: list[tuple[int, ...]]) -> Layout:
    """Axes sorted by their steps in the first operand that tells them apart, innermost first."""
    sizes = (BATCH, *shape)
    order = list(range(len(sizes)))[::-1]
    for place in range(1, len(order)):
        for before in range(place - 1, -1, -1):
            sign = _compared(order[before], order[before + 1], sizes, operands)
            if sign < 0:
                break
            if sign > 0:
                order[before], order[before + 1] = order[before + 1], order[before]
    steps, step = [0] * len(sizes), 1
    for axis in order:
        steps[axis] = step
        step *= sizes[axis]
    return _canonical(shape, tuple(steps))


def _compared(inner: int, outer: int, sizes: Sizes, operands: list[tuple[int, ...]]) -> int:
    """1 where two axes must change places, -1 where they must not, 0 where nothing says so."""
    for steps in operands:
        one, other = steps[inner], steps[outer]
        if one and other and (one != other or sizes[inner] > sizes[outer]):
            return 1 if one > other or one == other else -1
    return 0

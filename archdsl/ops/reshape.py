"""Rearranging: the same numbers in another shape, order or selection."""

from __future__ import annotations

from fractions import Fraction
from math import prod

from archdsl.ops.activation import axis_misfit
from archdsl.ops.attrs import numel, on_maps, rows_then_columns, size, text, uneven, whole, wholes
from archdsl.ops.op import Attrs, Dim, Kind, Misfit, Op, Param, Shape, Window


def _product(shape: Shape) -> Dim:
    total: Dim = shape[0]
    for extent in shape[1:]:
        total = total * extent
    return total


FLATTEN = Op(
    "flatten",
    """All numbers of a sample as one vector: [C, H, W] -> [C*H*W].""",
    infer=lambda shapes, attrs: ((_product(shapes[0]),),),
    window=lambda shapes, attrs: Window(everything=True),
    alias=True,
)


def _reshape(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    wanted, total = wholes(attrs, "shape"), numel(shapes[0])
    known = prod(int(d) for d in wanted if d != -1)
    free = sum(1 for d in wanted if d == -1)
    if free > 1 or known < 1 or any(int(d) < -1 for d in wanted):
        return Misfit(
            f"`shape` takes whole numbers of at least 1 and at most one -1, got {size(wanted)}", param="shape"
        )
    if (total % known) if free else (total != known):
        needed = f"a multiple of {known}" if free else str(known)
        return Misfit(f"{size(shapes[0])} has {total} numbers, {size(wanted)} needs {needed}", param="shape")
    return (tuple(total // known if d == -1 else d for d in wanted),)


RESHAPE = Op(
    "reshape",
    """The same numbers, in the same order, in another shape; one dimension may be -1: whatever remains.

    `reshape([width, -1]) -> permute([1, 0])` makes a list of positions [H*W, C] of a map.""",
    params=(Param("shape", Kind.WHOLES, doc="the new shape, without the batch"),),
    infer=_reshape,
    window=lambda shapes, attrs: Window(everything=True),
    alias=True,
)


def _permute(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    order = [int(d) for d in wholes(attrs, "order")]
    rank = len(shapes[0])
    if sorted(order) != list(range(rank)):
        reason = f"`order` names each of the axes 0 to {rank - 1} of {size(shapes[0])} once, got {size(tuple(order))}"
        return Misfit(reason, param="order")
    return (tuple(shapes[0][axis] for axis in order),)


PERMUTE = Op(
    "permute",
    """The axes in another order: `permute([1, 2, 0])` of [C, H, W] is [H, W, C].""",
    params=(Param("order", Kind.WHOLES, doc="for each new axis the old one, from 0, without the batch"),),
    infer=_permute,
    alias=True,
)


def _subsample(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...]:
    channels, height, width = shapes[0]
    stride = whole(attrs, "stride")
    if stride == 1:
        return (shapes[0],)
    return ((channels, (height - 1) // stride + 1, (width - 1) // stride + 1),)


SUBSAMPLE = Op(
    "subsample",
    """Every `stride`-th pixel in both directions, from the first: [C, H, W] -> [C, H/stride rounded up, ...].

    He et al. 2015, arXiv:1512.03385, shortcut A.""",
    params=(Param("stride", Kind.COUNT, doc="distance of the pixels that stay"),),
    infer=on_maps("subsample", _subsample),
    window=lambda shapes, attrs: Window(1, Fraction(int(whole(attrs, "stride")))),
    saved=lambda shapes, attrs: rows_then_columns(shapes[0], _subsample(shapes, attrs)[0]),
    alias=True,
)


def _upsample(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...]:
    channels, height, width = shapes[0]
    scale = whole(attrs, "scale")
    return ((channels, height * scale, width * scale),)


def _upsample_window(shapes: tuple[Shape, ...], attrs: Attrs) -> Window:
    return Window(2 if text(attrs, "mode") == "bilinear" else 1, Fraction(1, int(whole(attrs, "scale"))))


UPSAMPLE = Op(
    "upsample",
    """Larger by a whole factor: [C, H, W] -> [C, scale*H, scale*W].

    Pixels are repeated, or interpolated between their centres.""",
    params=(
        Param("scale", Kind.COUNT, doc="the factor"),
        Param("mode", Kind.CHOICE, "nearest", ("nearest", "bilinear"), doc="repeat pixels or interpolate"),
    ),
    infer=on_maps("upsample", _upsample),
    window=_upsample_window,
)

_FACTOR = Param("factor", Kind.COUNT, doc="pixels a channel group is spread over, in each direction")


def _pixel_shuffle(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    (channels, height, width), factor = shapes[0], whole(attrs, "factor")
    misfit = uneven(channels, "channels", factor * factor, "squares of the factor")
    return misfit or ((channels // (factor * factor), height * factor, width * factor),)


PIXEL_SHUFFLE = Op(
    "pixel_shuffle",
    """Channels spread into pixels: [C*r*r, H, W] -> [C, r*H, r*W]. Shi et al. 2016, arXiv:1609.05158.""",
    params=(_FACTOR,),
    infer=on_maps("pixel_shuffle", _pixel_shuffle),
    window=lambda shapes, attrs: Window(1, Fraction(1, int(whole(attrs, "factor")))),
)


def _pixel_unshuffle(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    (channels, height, width), factor = shapes[0], whole(attrs, "factor")
    misfit = uneven(height, "rows", factor, "steps of the factor") or uneven(
        width, "columns", factor, "steps of the factor"
    )
    return misfit or ((channels * factor * factor, height // factor, width // factor),)


PIXEL_UNSHUFFLE = Op(
    "pixel_unshuffle",
    """Pixels gathered into channels: [C, r*H, r*W] -> [C*r*r, H, W].""",
    params=(_FACTOR,),
    infer=on_maps("pixel_unshuffle", _pixel_unshuffle),
    window=lambda shapes, attrs: Window(int(whole(attrs, "factor")), Fraction(int(whole(attrs, "factor")))),
)


def _channel_shuffle(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    return uneven(shapes[0][0], "channels", whole(attrs, "groups"), "groups") or (shapes[0],)


CHANNEL_SHUFFLE = Op(
    "channel_shuffle",
    """Channels dealt out anew: channel i of group g goes to place i*groups + g. Zhang et al. 2017, ShuffleNet.""",
    params=(Param("groups", Kind.COUNT, doc="groups of the grouped convolution before it"),),
    infer=on_maps("channel_shuffle", _channel_shuffle),
)

_AXIS = Param(
    "axis", Kind.INTEGER, 0, doc="the axis, without the batch: 0 is the channels of a map; negative: from the last"
)


def _with(shape: Shape, axis: int, extent: Dim) -> Shape:
    return tuple(extent if i == axis % len(shape) else d for i, d in enumerate(shape))


def _bounds(shape: Shape, attrs: Attrs) -> tuple[Dim, Dim]:
    """First and last-but-one place of a slice, counted from the front."""
    extent = shape[int(whole(attrs, "axis"))]
    start, stop = whole(attrs, "start"), extent if attrs["stop"] is None else whole(attrs, "stop")
    return start if start >= 0 else extent + start, stop if stop >= 0 else extent + stop


def _slice(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    axis = int(whole(attrs, "axis"))
    if misfit := axis_misfit("slice", axis, shapes[0]):
        return misfit
    start, stop = _bounds(shapes[0], attrs)
    extent = shapes[0][axis]
    if start < 0 or stop > extent or start >= stop:
        return Misfit(
            f"`slice` from {start} to {stop} is empty or beyond the {extent} of axis {axis} of {size(shapes[0])}"
        )
    return (_with(shapes[0], axis, stop if start == 0 else stop - start),)


SLICE = Op(
    "slice",
    """The part from `start` up to but not including `stop` along an axis; negative places count from the end.""",
    params=(
        Param("start", Kind.INTEGER, doc="first place"),
        Param("stop", Kind.INTEGER, None, optional=True, doc="place after the last; none: to the end"),
        _AXIS,
    ),
    infer=_slice,
    alias=True,
)


def _split(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    axis, parts = int(whole(attrs, "axis")), whole(attrs, "parts")
    if misfit := axis_misfit("split", axis, shapes[0]):
        return misfit
    extent = shapes[0][axis]
    part = _with(shapes[0], axis, extent // parts)
    return uneven(extent, f"along axis {axis}", parts, "parts") or (part,) * int(parts)


SPLIT = Op(
    "split",
    """Equal parts along an axis, in order: several results. Gao et al. 2019, Res2Net.""",
    params=(Param("parts", Kind.COUNT, doc="how many"), _AXIS),
    infer=_split,
    alias=True,
)

"""Adding and removing borders, moving a map, adding empty channels."""

from __future__ import annotations

from archdsl.ops.attrs import by, on_maps, rows_then_columns, sides, size, whole
from archdsl.ops.op import Attrs, Dim, Kind, Misfit, Op, Param, Saved, Shape

_SIDES = Param("padding", Kind.SIDES, doc="rows and columns on each side")


def _padded(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...]:
    channels, height, width = shapes[0]
    top, bottom, left, right = sides(attrs["padding"])
    return ((channels, height + (top + bottom), width + (left + right)),)


ZERO_PAD = Op(
    "zero_pad",
    """Zeros around a map: [C, H, W] -> [C, H + top + bottom, W + left + right].""",
    params=(_SIDES,),
    infer=on_maps("zero_pad", _padded),
)


def _reflected(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    _, height, width = shapes[0]
    top, bottom, left, right = sides(attrs["padding"])
    for what, most, extent in (("rows", max(top, bottom), height), ("columns", max(left, right), width)):
        if most >= extent:
            return Misfit(f"{most} {what} cannot be mirrored from {extent}: at most {extent - 1}", param="padding")
    return _padded(shapes, attrs)


REFLECT_PAD = Op(
    "reflect_pad",
    """The map mirrored at its border rows and columns, which are not repeated; sizes as in `zero_pad`.""",
    params=(_SIDES,),
    infer=on_maps("reflect_pad", _reflected),
    saved=lambda shapes, attrs: Saved(inputs=(0,)),
)


def _cropped(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    channels, height, width = shapes[0]
    top, bottom, left, right = sides(attrs["border"])
    high, wide = height - (top + bottom), width - (left + right)
    if high < 1 or wide < 1:
        sums = f"{height} - {top} - {bottom} = {high}, {width} - {left} - {right} = {wide}"
        return Misfit(f"nothing is left of the {by(height, width)} map: {sums}", param="border")
    return ((channels, high, wide),)


def _crop_saved(shapes: tuple[Shape, ...], attrs: Attrs) -> Saved:
    cropped = _cropped(shapes, attrs)
    return Saved() if isinstance(cropped, Misfit) else rows_then_columns(shapes[0], cropped[0])


CROP = Op(
    "crop",
    """A map without its border: [C, H, W] -> [C, H - top - bottom, W - left - right].""",
    params=(Param("border", Kind.SIDES, doc="rows and columns cut from each side"),),
    infer=on_maps("crop", _cropped),
    saved=_crop_saved,
    alias=True,
)


def _moved(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    _, height, width = shapes[0]
    for name, extent in (("down", height), ("right", width)):
        if abs(int(whole(attrs, name))) >= extent:
            return Misfit(f"a shift by {whole(attrs, name)} leaves nothing of {extent}", param=name)
    return (shapes[0],)


SHIFT = Op(
    "shift",
    """The map moved by whole pixels: zeros enter on one side, as many rows or columns are lost on the other.

    Negative numbers move up and left. The shape stays.
    Gastaldi 2017, arXiv:1705.07485 (second path of the shortcut).""",
    params=(
        Param("down", Kind.INTEGER, doc="rows"),
        Param("right", Kind.INTEGER, doc="columns"),
    ),
    infer=on_maps("shift", _moved),
)


def _widened(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    channels, width = shapes[0][0], whole(attrs, "width")
    if len(shapes[0]) == 2:
        return Misfit(f"`channel_pad` takes a map or a vector, got the list {size(shapes[0])}")
    if width < channels:
        return Misfit(f"`channel_pad` only adds channels: {width} - {channels} = {width - channels}", param="width")
    return (shapes[0],) if width == channels else ((width, *shapes[0][1:]),)


CHANNEL_PAD = Op(
    "channel_pad",
    """Zero channels up to `width`: after the others, or half before and half after (the odd one after).

    [C, H, W] -> [width, H, W], [C] -> [width].
    He et al. 2015, arXiv:1512.03385, shortcut A; Han et al. 2016, PyramidNet.""",
    params=(
        Param("width", Kind.COUNT, doc="channels of the result"),
        Param("where", Kind.CHOICE, "end", ("end", "both"), doc="zeros after, or on both sides"),
    ),
    infer=_widened,
)


def added(shape: Shape, attrs: Attrs) -> Dim:
    """How many channels `channel_pad` adds."""
    return whole(attrs, "width") - shape[0]

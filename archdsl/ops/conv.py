"""Convolutions: dense, grouped, depthwise, transposed, and with a table of connections."""

from __future__ import annotations

from fractions import Fraction

from archdsl.ops.attrs import BYTES, flag, numel, on_maps, pair, sides, size, table_of, uneven, whole
from archdsl.ops.op import Attrs, Dim, Kind, Misfit, Op, Param, Saved, Shape, Weight, Window
from archdsl.ops.window import Slide, step, unfit, unread_note

_FLATTENED = "a convolution needs height and width; put it before `flatten` or the global pool"

_KERNEL = Param("kernel", Kind.SIZE, doc="height and width of the kernel")
_STRIDE = Param("stride", Kind.SIZE, 1, doc="step of the kernel")
_DILATION = Param("dilation", Kind.SIZE, 1, doc="distance of neighbouring kernel elements")
_GROUPS = Param("groups", Kind.COUNT, 1, doc="independent groups of channels")


def _padding(default: str) -> Param:
    doc = (
        '"same": the map shrinks by the stride only, an odd row or column goes to the bottom or right; '
        '"valid": none; or the zeros on each side'
    )
    return Param("padding", Kind.PADDING, default, doc=doc)


def _bias(default: bool) -> Param:
    return Param("bias", Kind.FLAG, default, doc="add a learned number to each output channel")


def _same(kernel: Dim, dilation: Dim) -> tuple[Dim, Dim]:
    """What keeps the size at stride 1: as much before as after, the odd one after."""
    if dilation == 1 and int(kernel) % 2 == 1:
        return kernel // 2, kernel // 2
    total = dilation * (kernel - 1)
    return total // 2, total - total // 2


def padding_of(attrs: Attrs) -> tuple[Dim, Dim, Dim, Dim]:
    """The zeros of a convolution as (top, bottom, left, right)."""
    if attrs["padding"] == "valid":
        return 0, 0, 0, 0
    if attrs["padding"] != "same":
        return sides(attrs["padding"])
    kernels, dilations = pair(attrs, "kernel"), pair(attrs, "dilation") if "dilation" in attrs else (1, 1)
    return (*_same(kernels[0], dilations[0]), *_same(kernels[1], dilations[1]))


def is_symmetric(attrs: Attrs) -> bool:
    """Whether PyTorch's own padding can say it: the same before and after."""
    top, bottom, left, right = padding_of(attrs)
    return top == bottom and left == right


def pads_itself(attrs: Attrs) -> bool:
    """Whether `padding="same"` of PyTorch says it: an uneven padding of a kernel that moves by one."""
    return attrs["padding"] == "same" and pair(attrs, "stride") == (1, 1)


def needs_pad_layer(attrs: Attrs) -> bool:
    """Whether the padding must be a layer of its own before the convolution."""
    return not is_symmetric(attrs) and not pads_itself(attrs)


def _slides(attrs: Attrs) -> tuple[Slide, Slide]:
    top, bottom, left, right = padding_of(attrs)
    kernels, strides = pair(attrs, "kernel"), pair(attrs, "stride")
    dilations = pair(attrs, "dilation") if "dilation" in attrs else (1, 1)
    return (
        Slide(kernels[0], strides[0], top, bottom, dilations[0]),
        Slide(kernels[1], strides[1], left, right, dilations[1]),
    )


def _mapped(shape: Shape, width: Dim, attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    _, height, wide = shape
    rows, columns = _slides(attrs)
    misfit = unfit(rows, columns, height, wide)
    return misfit or ((width, rows.outputs(height), columns.outputs(wide)),)


def _conv(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    width, groups = whole(attrs, "width"), whole(attrs, "groups")
    misfit = uneven(shapes[0][0], "channels", groups, "groups") or uneven(width, "filters", groups, "groups")
    return misfit or _mapped(shapes[0], width, attrs)


def _prefix(attrs: Attrs) -> str:
    """Where the weights sit: behind a padding layer of its own, in the second layer of a Sequential."""
    return "1." if needs_pad_layer(attrs) else ""


def _learned(prefix: str, kernel: Shape, outputs: Dim, attrs: Attrs) -> tuple[Weight, ...]:
    weight = Weight(prefix + "weight", kernel)
    return (weight, Weight(prefix + "bias", (outputs,))) if flag(attrs, "bias") else (weight,)


def _conv_weights(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Weight, ...]:
    width = whole(attrs, "width")
    kernel = (width, shapes[0][0] // whole(attrs, "groups"), *pair(attrs, "kernel"))
    return _learned(_prefix(attrs), kernel, width, attrs)


def _positions(shape: Shape, attrs: Attrs) -> int:
    rows, columns = _slides(attrs)
    return int(rows.outputs(shape[1])) * int(columns.outputs(shape[2]))


def _conv_macs(shapes: tuple[Shape, ...], attrs: Attrs) -> int:
    return numel(_conv_weights(shapes, attrs)[0].shape) * _positions(shapes[0], attrs)


def _conv_saved(shapes: tuple[Shape, ...], attrs: Attrs) -> Saved:
    """The input, or the padded copy of it where the padding is uneven."""
    if is_symmetric(attrs):
        return Saved(inputs=(0,))
    channels, height, width = shapes[0]
    top, bottom, left, right = padding_of(attrs)
    if pads_itself(attrs):  # PyTorch copies only the odd row or column in, and pads the rest as it goes
        return Saved(per_sample=BYTES * numel((channels, height + bottom - top, width + right - left)))
    return Saved(per_sample=BYTES * numel((channels, height + top + bottom, width + left + right)))


def _conv_window(shapes: tuple[Shape, ...], attrs: Attrs) -> Window:
    return step(*_slides(attrs))


def _conv_notes(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[str, ...]:
    rows, columns = _slides(attrs)
    notes = unread_note(rows, columns, shapes[0][1], shapes[0][2])
    if attrs["padding"] == "same" and not is_symmetric(attrs):
        extra = (f"{rows.before} above and {rows.after} below", f"{columns.before} left and {columns.after} right")
        notes += (f'`padding="same"` of an even kernel is uneven: {extra[0]}, {extra[1]}',)
    return notes


CONV = Op(
    "conv",
    """Convolution (cross-correlation) of a map with learned kernels.

    out[o, y, x] = bias[o] + sum over i, u, v of weight[o, i, u, v] * in[i, y*stride + u*dilation - top, ...]

    [C, H, W] -> [width, (H + 2P - F)/S + 1, (W + 2P - F)/S + 1], rounded down; with `padding="same"` that is H/S
    rounded up. `groups` splits input and output channels into independent convolutions (AlexNet, ResNeXt).
    LeCun et al. 1998, Gradient-based learning applied to document recognition.""",
    params=(
        Param("width", Kind.COUNT, doc="output channels"),
        _KERNEL,
        _STRIDE,
        _padding("same"),
        _DILATION,
        _GROUPS,
        _bias(False),
    ),
    infer=on_maps("conv", _conv, _FLATTENED),
    weights=_conv_weights,
    macs=_conv_macs,
    saved=_conv_saved,
    window=_conv_window,
    notes=_conv_notes,
)


def _deep(shape: Shape, attrs: Attrs) -> Dim:
    return shape[0] * whole(attrs, "multiplier")


def _depthwise(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    return _mapped(shapes[0], _deep(shapes[0], attrs), attrs)


def _depthwise_weights(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Weight, ...]:
    width = _deep(shapes[0], attrs)
    return _learned(_prefix(attrs), (width, 1, *pair(attrs, "kernel")), width, attrs)


def _depthwise_macs(shapes: tuple[Shape, ...], attrs: Attrs) -> int:
    return numel(_depthwise_weights(shapes, attrs)[0].shape) * _positions(shapes[0], attrs)


DEPTHWISE = Op(
    "depthwise",
    """Convolution of each channel by itself: `conv` with as many groups as channels.

    [C, H, W] -> [C*multiplier, ...], sizes as in `conv`. Output channels of one input channel are neighbours.
    Sifre 2014; Howard et al. 2017, MobileNets.""",
    params=(
        _KERNEL,
        _STRIDE,
        _padding("same"),
        _DILATION,
        Param("multiplier", Kind.COUNT, 1, doc="output channels of each input channel"),
        _bias(False),
    ),
    infer=on_maps("depthwise", _depthwise, _FLATTENED),
    weights=_depthwise_weights,
    macs=_depthwise_macs,
    saved=_conv_saved,
    window=_conv_window,
    notes=_conv_notes,
)


def _grown(extent: Dim, axis: int, attrs: Attrs) -> Dim:
    """The output size of a transposed convolution in one direction."""
    kernel, stride, padding, extra, dilation = (
        pair(attrs, name)[axis] for name in ("kernel", "stride", "padding", "output_padding", "dilation")
    )
    return (extent - 1) * stride - 2 * padding + Slide(kernel, dilation=dilation).span + extra


def _overhang(attrs: Attrs) -> Misfit | None:
    """PyTorch's limit: the extra rows must come from the stride or the dilation."""
    for axis in (0, 1):
        extra = pair(attrs, "output_padding")[axis]
        stride, dilation = pair(attrs, "stride")[axis], pair(attrs, "dilation")[axis]
        if extra >= stride and extra >= dilation:
            reason = (
                f"`output_padding` must be smaller than the stride or the dilation: {extra} >= {stride}, {dilation}"
            )
            return Misfit(reason, param="output_padding")
    return None


def _transposed(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    (channels, height, wide), width = shapes[0], whole(attrs, "width")
    groups = whole(attrs, "groups")
    misfit = uneven(channels, "channels", groups, "groups") or uneven(width, "filters", groups, "groups")
    if misfit or (misfit := _overhang(attrs)):
        return misfit
    sizes = (_grown(height, 0, attrs), _grown(wide, 1, attrs))
    for axis, (before, after) in enumerate(zip((height, wide), sizes, strict=True)):
        if after < 1:
            return Misfit(f"nothing is left of the map: {_grown_arithmetic(before, axis, attrs)} = {after}")
    return ((width, *sizes),)


def _grown_arithmetic(extent: Dim, axis: int, attrs: Attrs) -> str:
    stride, padding = pair(attrs, "stride")[axis], pair(attrs, "padding")[axis]
    span = Slide(pair(attrs, "kernel")[axis], dilation=pair(attrs, "dilation")[axis]).span
    return f"({extent} - 1)*{stride} - 2*{padding} + {span} + {pair(attrs, 'output_padding')[axis]}"


def _transposed_weights(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Weight, ...]:
    width = whole(attrs, "width")
    kernel = (shapes[0][0], width // whole(attrs, "groups"), *pair(attrs, "kernel"))
    return _learned("", kernel, width, attrs)


def _transposed_macs(shapes: tuple[Shape, ...], attrs: Attrs) -> int:
    return numel(_transposed_weights(shapes, attrs)[0].shape) * numel(shapes[0][1:])


def _transposed_window(shapes: tuple[Shape, ...], attrs: Attrs) -> Window:
    """An output sees ceil(span/stride) inputs, which lie 1/stride of an output step apart."""
    stride = max(int(s) for s in pair(attrs, "stride"))
    kernels, dilations = pair(attrs, "kernel"), pair(attrs, "dilation")
    span = max(int(Slide(k, dilation=d).span) for k, d in zip(kernels, dilations, strict=True))
    return Window(-(-span // stride), Fraction(1, stride))


CONV_TRANSPOSE = Op(
    "conv_transpose",
    """Transposed convolution: the gradient of `conv` with respect to its input, used to enlarge a map.

    [C, H, W] -> [width, (H - 1)*S - 2P + F + output_padding, ...] with F the extent of the dilated kernel.
    Zeiler et al. 2010, Deconvolutional networks.""",
    params=(
        Param("width", Kind.COUNT, doc="output channels"),
        _KERNEL,
        _STRIDE,
        Param("padding", Kind.MARGIN, 0, doc="rows and columns cut from each side of the result"),
        Param("output_padding", Kind.MARGIN, 0, doc="rows and columns added at the bottom and right"),
        _DILATION,
        _GROUPS,
        _bias(False),
    ),
    infer=on_maps("conv_transpose", _transposed, _FLATTENED),
    weights=_transposed_weights,
    macs=_transposed_macs,
    saved=lambda shapes, attrs: Saved(inputs=(0,)),
    window=_transposed_window,
)


def links(attrs: Attrs) -> int:
    """How many pairs of input and output map are connected."""
    return sum(len(row) for row in table_of(attrs, "table"))


def _tabled(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    channels, table = int(shapes[0][0]), table_of(attrs, "table")
    for output, row in enumerate(table):
        if max(row) >= channels:
            return Misfit(
                f"output map {output} reads map {max(row)}, but {size(shapes[0])} has maps 0 to {channels - 1}"
            )
        if len(set(row)) < len(row):
            return Misfit(f"output map {output} names an input map twice: {size(row)}", param="table")
    return _mapped(shapes[0], len(table), attrs)


def _tabled_weights(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Weight, ...]:
    return _learned(_prefix(attrs), (links(attrs), *pair(attrs, "kernel")), len(table_of(attrs, "table")), attrs)


def _tabled_macs(shapes: tuple[Shape, ...], attrs: Attrs) -> int:
    return numel(_tabled_weights(shapes, attrs)[0].shape) * _positions(shapes[0], attrs)


def _tabled_saved(shapes: tuple[Shape, ...], attrs: Attrs) -> Saved:
    """The input, or its padded copy, and the kernel that was spread out for it."""
    saved = _conv_saved(shapes, attrs)
    dense = numel((len(table_of(attrs, "table")), shapes[0][0], *pair(attrs, "kernel")))
    return Saved(saved.inputs, per_sample=saved.per_sample, per_batch=BYTES * dense)


CONV_TABLE = Op(
    "conv_table",
    """Convolution in which each output map sees only the input maps that a table names for it.

    `table[o]` lists the input maps of output map o, counted from 0. One kernel for each link: LeNet-5's C3 has 60 links
    of 5x5. Parameters and multiply-accumulates count the links; the PyTorch layer computes a dense convolution with
    zeros in the other places. [C, H, W] -> [maps in the table, ...], sizes as in `conv`.
    LeCun et al. 1998, Table I.""",
    params=(
        Param("table", Kind.TABLE, doc="for each output map the numbers of its input maps, from 0"),
        _KERNEL,
        _STRIDE,
        _padding("valid"),
        _bias(True),
    ),
    infer=on_maps("conv_table", _tabled, _FLATTENED),
    weights=_tabled_weights,
    macs=_tabled_macs,
    saved=_tabled_saved,
    window=_conv_window,
    notes=_conv_notes,
)

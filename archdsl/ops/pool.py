"""Pooling: windows of a map, its whole extent, random regions, a pyramid of grids."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from archdsl.ops.attrs import INDEX_BYTES, Infer, as_pair, by, flag, number, numel, on_maps, pair, size, wholes
from archdsl.ops.op import Attrs, Dim, Kind, Misfit, Op, Param, Saved, Shape, Window
from archdsl.ops.window import Slide, step, unfit, unread_note

_KERNEL = Param("kernel", Kind.SIZE, doc="height and width of the window")
_STRIDE = Param("stride", Kind.SIZE, None, optional=True, doc="step of the window; none: the kernel's size")
_PADDING = Param("padding", Kind.MARGIN, 0, doc="rows and columns added on each side, at most half the kernel")
_CEIL = Param("ceil", Kind.FLAG, False, doc="round the size up, so that the last window may hang over (Caffe)")


def slides_of(attrs: Attrs) -> tuple[Slide, Slide]:
    """The windows of a pooling along height and width."""
    kernels, paddings = pair(attrs, "kernel"), pair(attrs, "padding")
    strides = kernels if attrs["stride"] is None else pair(attrs, "stride")
    dilations = pair(attrs, "dilation") if "dilation" in attrs else (1, 1)
    high, wide = (Slide(kernels[i], strides[i], paddings[i], paddings[i], dilations[i]) for i in (0, 1))
    return high, wide


def _overpadded(attrs: Attrs) -> Misfit | None:
    for kernel, padding in zip(pair(attrs, "kernel"), pair(attrs, "padding"), strict=True):
        if padding > int(kernel) // 2:
            reason = f"`padding` may be at most half the kernel: {padding} > {kernel}//2 = {int(kernel) // 2}"
            return Misfit(reason, "`zero_pad` before the pooling takes any padding", "padding")
    return None


def _outputs(slide: Slide, extent: Dim, attrs: Attrs) -> Dim:
    return slide.outputs_ceil(extent) if flag(attrs, "ceil") else slide.outputs(extent)


def _pooled(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    channels, height, width = shapes[0]
    rows, columns = slides_of(attrs)
    sizes = (_outputs(rows, height, attrs), _outputs(columns, width, attrs))
    if misfit := _overpadded(attrs):
        return misfit
    if min(int(s) for s in sizes) < 1:
        return unfit(rows, columns, height, width) or Misfit(f"nothing is left of the {by(height, width)} map")
    return ((channels, *sizes),)


def _pool_notes(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[str, ...]:
    if flag(attrs, "ceil"):
        return ()
    return unread_note(*slides_of(attrs), shapes[0][1], shapes[0][2])


def _pool_window(shapes: tuple[Shape, ...], attrs: Attrs) -> Window:
    return step(*slides_of(attrs))


def _everything(shapes: tuple[Shape, ...], attrs: Attrs) -> Window:
    return Window(everything=True)


def _saves_indices(infer: Infer) -> Callable[[tuple[Shape, ...], Attrs], Saved]:
    """Keeps the input and the place of each maximum."""

    def saved(shapes: tuple[Shape, ...], attrs: Attrs) -> Saved:
        outputs = infer(shapes, attrs)
        places = 0 if isinstance(outputs, Misfit) else INDEX_BYTES * numel(outputs[0])
        return Saved(inputs=(0,), per_sample=places)

    return saved


MAX_POOL = Op(
    "max_pool",
    """Maximum of each window; padding never wins.

    [C, H, W] -> [C, (H + 2P - F)/S + 1, ...], rounded down, or up with `ceil`. The stride is the kernel's size unless
    given; overlapping windows (3, stride 2) as in AlexNet.""",
    params=(
        _KERNEL,
        _STRIDE,
        _PADDING,
        _CEIL,
        Param("dilation", Kind.SIZE, 1, doc="distance of neighbouring window elements"),
    ),
    infer=on_maps("max_pool", _pooled),
    saved=_saves_indices(_pooled),
    window=_pool_window,
    notes=_pool_notes,
)

AVG_POOL = Op(
    "avg_pool",
    """Mean of each window.

    Sizes as in `max_pool`. Zeros of the padding count in the mean unless `count_padding` is false; what hangs over at
    the end under `ceil` never counts.""",
    params=(
        _KERNEL,
        _STRIDE,
        _PADDING,
        _CEIL,
        Param("count_padding", Kind.FLAG, True, doc="whether the zeros of the padding count in the mean"),
    ),
    infer=on_maps("avg_pool", _pooled),
    saved=lambda shapes, attrs: Saved(inputs=(0,)),
    window=_pool_window,
    notes=_pool_notes,
)

_GRID = Param("size", Kind.SIZE, doc="height and width of the result")


def _adaptive(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...]:
    return ((shapes[0][0], *pair(attrs, "size")),)


def _adaptive_avg_saved(shapes: tuple[Shape, ...], attrs: Attrs) -> Saved:
    """Nothing for a single cell, which PyTorch computes as a mean."""
    return Saved() if pair(attrs, "size") == (1, 1) else Saved(inputs=(0,))


ADAPTIVE_AVG_POOL = Op(
    "adaptive_avg_pool",
    """Mean of each cell of a grid laid over the map: cell i of n reads rows floor(i*H/n) to ceil((i+1)*H/n).

    [C, H, W] -> [C, size, size].""",
    params=(_GRID,),
    infer=on_maps("adaptive_avg_pool", _adaptive),
    saved=_adaptive_avg_saved,
    window=_everything,
)

ADAPTIVE_MAX_POOL = Op(
    "adaptive_max_pool",
    """Maximum of each cell of a grid laid over the map, cells as in `adaptive_avg_pool`.

    [C, H, W] -> [C, size, size].""",
    params=(_GRID,),
    infer=on_maps("adaptive_max_pool", _adaptive),
    saved=_saves_indices(_adaptive),
    window=_everything,
)


def _global(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...]:
    return ((shapes[0][0],),)


def _global_avg(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    if len(shapes[0]) < 2:
        return Misfit(f"`global_avg_pool` takes a map or a list [n, channels], got {size(shapes[0])}")
    return ((shapes[0][-1],),) if len(shapes[0]) == 2 else _global(shapes, attrs)


GLOBAL_AVG_POOL = Op(
    "global_avg_pool",
    """Mean over all positions: [C, H, W] -> [C], or [N, C] -> [C]. Lin et al. 2013, Network in network.""",
    infer=_global_avg,
    window=_everything,
)

GLOBAL_MAX_POOL = Op(
    "global_max_pool",
    """Maximum over all positions: [C, H, W] -> [C].""",
    infer=on_maps("global_max_pool", _global),
    saved=_saves_indices(_global),
    window=_everything,
)


def _fractional_size(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Dim, Dim]:
    if attrs["size"] is not None:
        return as_pair(attrs["size"])
    ratio = number(attrs, "ratio")
    high, wide = (int(d) * ratio // 1 for d in shapes[0][1:])
    return int(high), int(wide)


def _fractional(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    if (attrs["size"] is None) == (attrs["ratio"] is None):
        return Misfit("`fractional_max_pool` takes either `size` or `ratio`")
    if attrs["ratio"] is not None and not 0 < number(attrs, "ratio") < 1:
        return Misfit(
            f"`ratio` is the size after divided by the size before, between 0 and 1, got {number(attrs, 'ratio')}"
        )
    channels, height, width = shapes[0]
    sizes = _fractional_size(shapes, attrs)
    for extent, kernel, after in zip((height, width), pair(attrs, "kernel"), sizes, strict=True):
        if after < 1 or after + kernel - 1 > extent:
            needed = f"{after} + {kernel} - 1 = {after + kernel - 1}"
            return Misfit(f"{after} regions of {kernel} do not fit a side of {extent}: {needed}")
    return ((channels, *sizes),)


FRACTIONAL_MAX_POOL = Op(
    "fractional_max_pool",
    """Maximum of overlapping regions at random places, which shrink a map by any ratio.

    The regions are drawn anew for every sample, channel and pass, in evaluation too: average several passes.
    [C, H, W] -> [C, size, size]; `ratio` r gives floor(r*H). Graham 2014, arXiv:1412.6071 (his ratio is 1/r).""",
    params=(
        Param("kernel", Kind.SIZE, 2, doc="height and width of a region"),
        Param("size", Kind.SIZE, None, optional=True, doc="height and width of the result"),
        Param("ratio", Kind.NUMBER, None, optional=True, doc="size after divided by size before"),
    ),
    infer=on_maps("fractional_max_pool", _fractional),
    saved=_saves_indices(_fractional),
    window=lambda shapes, attrs: Window(
        max(int(k) for k in pair(attrs, "kernel")), Fraction(int(shapes[0][1]), int(_fractional_size(shapes, attrs)[0]))
    ),
    stochastic=True,
)


def _spp(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...]:
    return ((shapes[0][0] * sum(int(b) ** 2 for b in wholes(attrs, "bins")),),)


SPP = Op(
    "spp",
    """Spatial pyramid pooling: the maxima of several grids over the map, as one vector.

    `bins` [6, 3, 2, 1] gives 36 + 9 + 4 + 1 = 50 numbers a channel, each grid channel by channel; cells as in
    `adaptive_max_pool`. [C, H, W] -> [C * sum of bins^2]. He et al. 2014, arXiv:1406.4729.""",
    params=(Param("bins", Kind.COUNTS, doc="sides of the grids, in the order of the result"),),
    infer=on_maps("spp", _spp),
    saved=_saves_indices(_spp),
    window=_everything,
)

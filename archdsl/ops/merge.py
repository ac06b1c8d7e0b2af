"""Several tensors into one, and learned tensors that come from nowhere."""

from __future__ import annotations

from dataclasses import replace

from archdsl.ops.activation import axis_misfit
from archdsl.ops.attrs import BYTES, Infer, number, numel, size, text, whole, wholes
from archdsl.ops.op import Attrs, Dim, Kind, Misfit, Op, Param, Saved, Shape, Weight


def _wider(a: Dim, b: Dim) -> Dim | None:
    """The extent of two that meet: equal, or one of them 1."""
    if a == b or b == 1:
        return a
    return b if a == 1 else None


def broadcast(left: Shape, right: Shape) -> Shape | None:
    """The shape of an elementwise operation on two tensors of one rank; None where they do not match."""
    if len(left) != len(right):
        return None
    dims = [_wider(a, b) for a, b in zip(left, right, strict=True)]
    return tuple(d for d in dims if d is not None) if all(d is not None for d in dims) else None


def _listed(shapes: tuple[Shape, ...], sign: str) -> str:
    distinct = list(dict.fromkeys(size(shape) for shape in shapes))
    return f" {sign} ".join(distinct)


def _elementwise(name: str, sign: str) -> Infer:
    def infer(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
        shape: Shape | None = shapes[0]
        for other in shapes[1:]:
            shape = broadcast(shape, other) if shape else None
        if shape is None:
            return Misfit(f"`{name}` needs equal shapes: {_listed(shapes, sign)}", _hint(shapes))
        return (shape,)

    return infer


def _hint(shapes: tuple[Shape, ...]) -> str | None:
    ranks = {len(shape) for shape in shapes}
    if ranks == {1, 3}:
        return "`reshape([channels, 1, 1])` lets a vector meet a map"
    return None


def _broadcast_note(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[str, ...]:
    if len({tuple(int(d) for d in shape) for shape in shapes}) == 1:
        return ()
    shape: Shape = max(shapes, key=numel)
    small = next(s for s in shapes if tuple(s) != tuple(shape))
    return (f"{size(small)} is repeated over {size(shape)}",)


def _partials(shapes: tuple[Shape, ...]) -> Saved:
    """All inputs, and the results in between of a chain of two-way operations."""
    between, shape = 0, shapes[0]
    for other in shapes[1:-1]:
        shape = broadcast(shape, other) or shape
        between += BYTES * numel(shape)
    return Saved(inputs=tuple(range(len(shapes))), per_sample=between) if len(shapes) > 1 else Saved()


def _extremes(shapes: tuple[Shape, ...]) -> Saved:
    """As `_partials`; on the way back half of the gradient, and a mask of bytes beside the share under it."""
    return replace(_partials(shapes), workspace=6 * max(numel(shape) for shape in shapes))


ADD = Op(
    "add",
    """Sum, number by number; dimensions of size 1 are repeated. Written `a + b`.""",
    infer=_elementwise("add", "+"),
    notes=_broadcast_note,
    inputs=(2, None),
)

SUB = Op(
    "sub",
    """Difference, number by number; dimensions of size 1 are repeated. Written `a - b`.""",
    infer=_elementwise("sub", "-"),
    notes=_broadcast_note,
    inputs=(2, 2),
)

MUL = Op(
    "mul",
    """Product, number by number; dimensions of size 1 are repeated: [C, 1, 1] gates a map. Written `a * b`.""",
    infer=_elementwise("mul", "*"),
    saved=lambda shapes, attrs: _partials(shapes),
    notes=_broadcast_note,
    inputs=(2, None),
)

SUM = Op(
    "sum",
    """Sum of any number of tensors, number by number.""",
    infer=_elementwise("sum", "+"),
    notes=_broadcast_note,
    inputs=(1, None),
)

MEAN = Op(
    "mean",
    """Mean of any number of tensors, number by number.""",
    infer=_elementwise("mean", "and"),
    notes=_broadcast_note,
    inputs=(1, None),
)

MAX = Op(
    "max",
    """Largest of several tensors, number by number.""",
    infer=_elementwise("max", "and"),
    saved=lambda shapes, attrs: _extremes(shapes),
    notes=_broadcast_note,
    inputs=(1, None),
)

MIN = Op(
    "min",
    """Smallest of several tensors, number by number.""",
    infer=_elementwise("min", "and"),
    saved=lambda shapes, attrs: _extremes(shapes),
    notes=_broadcast_note,
    inputs=(1, None),
)


def _without(shape: Shape, axis: int) -> Shape:
    place = axis % len(shape)
    return shape[:place] + shape[place + 1 :]


def _concat(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    axis, first = int(whole(attrs, "axis")), shapes[0]
    if misfit := axis_misfit("concat", axis, first):
        return misfit
    if any(len(s) != len(first) or _without(s, axis) != _without(first, axis) for s in shapes):
        return Misfit(f"`concat` along axis {axis} needs equal other sizes: {_listed(shapes, 'and')}")
    total: Dim = first[axis]
    for shape in shapes[1:]:
        total = total + shape[axis]
    return (tuple(total if i == axis % len(first) else d for i, d in enumerate(first)),)


CONCAT = Op(
    "concat",
    """Tensors one after the other along an axis, by default the channels of maps. Huang et al. 2016, DenseNet.""",
    params=(Param("axis", Kind.INTEGER, 0, doc="the axis, without the batch; negative: from the last"),),
    infer=_concat,
    inputs=(1, None),
)


def _equal(name: str) -> Infer:
    def infer(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
        if any(shape != shapes[0] for shape in shapes):
            return Misfit(f"`{name}` needs equal shapes: {_listed(shapes, 'and')}")
        return (shapes[0],)

    return infer


def is_plain_mean(attrs: Attrs) -> bool:
    """Whether `join` never drops anything."""
    return number(attrs, "drop") == 0 and text(attrs, "mode") == "local"


def _join_saved(shapes: tuple[Shape, ...], attrs: Attrs) -> Saved:
    """The weight of each input, once or for each sample."""
    if is_plain_mean(attrs) or len(shapes) == 1:
        return Saved()
    kept = BYTES * len(shapes)
    return Saved(per_sample=kept) if text(attrs, "per") == "sample" else Saved(per_batch=kept)


JOIN = Op(
    "join",
    """FractalNet's join: the mean of its inputs, some of which are dropped in training.

    local: each input is dropped with probability `drop`, at least one survives, and the survivors are averaged. global:
    one column is drawn for the whole network; inputs come deepest first, and a join that has no such column averages
    all. mixed: local for half of the mini-batches (or samples), global for the others. Evaluation: the mean of all.
    Larsson et al. 2016, arXiv:1605.07648.""",
    params=(
        Param("drop", Kind.PROBABILITY, 0, doc="probability that a local join drops an input"),
        Param("mode", Kind.CHOICE, "local", ("local", "global", "mixed"), doc="where the draw holds"),
        Param(
            "per", Kind.CHOICE, "batch", ("batch", "sample"), doc="one draw for the mini-batch or one for each sample"
        ),
    ),
    infer=_equal("join"),
    saved=_join_saved,
    inputs=(1, None),
    stochastic=True,
)

_COEFFICIENT = ("shake", "even", "keep")


def _shake_saved(shapes: tuple[Shape, ...], attrs: Attrs) -> Saved:
    """The backward coefficient, once or for each sample."""
    return Saved(per_sample=BYTES) if text(attrs, "level") == "image" else Saved(per_batch=BYTES)


SHAKE_ADD = Op(
    "shake_add",
    """Random convex sum of two branches: a*x + (1 - a)*y forward, gradients b and 1 - b backward.

    shake: a fresh number between 0 and 1; even: one half; keep: backward uses the forward number. level image: one
    number for each sample; batch: one for the mini-batch. Evaluation: (x + y)/2. Gastaldi 2017, arXiv:1705.07485.""",
    params=(
        Param("forward", Kind.CHOICE, "shake", ("shake", "even"), doc="coefficient of the forward pass"),
        Param("backward", Kind.CHOICE, "shake", _COEFFICIENT, doc="coefficient of the gradient"),
        Param("level", Kind.CHOICE, "image", ("image", "batch"), doc="one draw for each sample or for the mini-batch"),
    ),
    infer=_equal("shake_add"),
    saved=_shake_saved,
    inputs=(2, 2),
    stochastic=True,
)


def _learned(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...]:
    return (wholes(attrs, "shape"),)


LEARNED = Op(
    "learned",
    """A learned tensor without an input: a class token, a table of positions. The same for every sample.""",
    params=(
        Param("shape", Kind.COUNTS, doc="its shape, without the batch"),
        Param("init", Kind.NUMBER, 0, doc="value before training"),
    ),
    infer=_learned,
    weights=lambda shapes, attrs: (Weight("", wholes(attrs, "shape")),),
    inputs=(0, 0),
)

"""Normalisation: batch, layer, group, instance, local response."""

from __future__ import annotations

from fractions import Fraction

from archdsl.ops.attrs import BYTES, count, flag, is_map, is_vector, number, numel, on_maps, size, uneven, whole
from archdsl.ops.op import Attrs, Kind, Misfit, Op, Param, Saved, Shape, Weight

_EPS = Param("eps", Kind.NUMBER, Fraction(1, 10**5), doc="added to the variance")


def _eps_misfit(attrs: Attrs) -> Misfit | None:
    eps = number(attrs, "eps")
    return None if eps > 0 else Misfit(f"`eps` must be above 0, got {eps}", param="eps")


def _affine(default: bool) -> Param:
    return Param("affine", Kind.FLAG, default, doc="learn a factor and a summand")


def _pair_of_weights(shape: Shape, attrs: Attrs) -> tuple[Weight, ...]:
    return (Weight("weight", shape), Weight("bias", shape)) if flag(attrs, "affine") else ()


def _bn(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    if not is_map(shapes[0]) and not is_vector(shapes[0]):
        hint = "for lists there is `ln`"
        return Misfit(f"`bn` takes a map [channels, height, width] or a vector [channels], got {size(shapes[0])}", hint)
    return _eps_misfit(attrs) or (shapes[0],)


def _lone_value(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[str, ...]:
    if numel(shapes[0][1:]) > 1:
        return ()
    return ("a mini-batch of one sample has a single value per channel here, which PyTorch refuses to train on",)


BN = Op(
    "bn",
    """Batch normalisation: each channel to mean 0 and variance 1 over mini-batch and positions, then scaled.

    out = (in - mean)/sqrt(var + eps) * weight + bias; in evaluation with running averages of mean and variance.
    Any map [C, H, W] or vector [C]; the shape stays. Ioffe & Szegedy 2015, arXiv:1502.03167.""",
    params=(
        Param(
            "momentum",
            Kind.PROBABILITY,
            Fraction(1, 10),
            optional=True,
            doc="share of a new mini-batch in the running averages; none: the plain average of all",
        ),
        _EPS,
        _affine(True),
        Param("track", Kind.FLAG, True, doc="keep running averages; otherwise evaluation uses the batch's own"),
    ),
    infer=_bn,
    weights=lambda shapes, attrs: _pair_of_weights((shapes[0][0],), attrs),
    saved=lambda shapes, attrs: Saved(inputs=(0,), per_batch=2 * BYTES * int(shapes[0][0])),
    notes=_lone_value,
)


def normalised(shape: Shape, attrs: Attrs) -> Shape:
    """The dimensions that `ln` normalises over."""
    return shape[len(shape) - count(attrs, "dims") :]


def _ln(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    dims, rank = count(attrs, "dims"), len(shapes[0])
    if dims > rank:
        return Misfit(f"`ln` over the last {dims} dimensions, but {size(shapes[0])} has {rank}", param="dims")
    return _eps_misfit(attrs) or (shapes[0],)


def _ln_saved(shapes: tuple[Shape, ...], attrs: Attrs) -> Saved:
    rows = numel(shapes[0]) // numel(normalised(shapes[0], attrs))
    return Saved(inputs=(0,), per_sample=2 * BYTES * rows)


LN = Op(
    "ln",
    """Layer normalisation over the last `dims` dimensions of each sample.

    out = (in - mean)/sqrt(var + eps) * weight + bias, with a weight and a bias for each normalised number: for [N, C]
    and dims 1 each row by itself, for [C, H, W] and dims 3 the whole map. The shape stays.
    Ba et al. 2016, arXiv:1607.06450.""",
    params=(
        Param("dims", Kind.COUNT, 1, doc="how many dimensions, from the last, are normalised together"),
        _EPS,
        _affine(True),
    ),
    infer=_ln,
    weights=lambda shapes, attrs: _pair_of_weights(normalised(shapes[0], attrs), attrs),
    saved=_ln_saved,
)


def _gn(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    if len(shapes[0]) == 2:
        return Misfit(f"`gn` takes a map or a vector, got the list {size(shapes[0])}", "for lists there is `ln`")
    uneven_groups = uneven(shapes[0][0], "channels", whole(attrs, "groups"), "groups")
    return uneven_groups or _eps_misfit(attrs) or (shapes[0],)


def _gn_notes(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[str, ...]:
    if numel(shapes[0]) > count(attrs, "groups"):
        return ()
    return ("each group is a single value here, which PyTorch refuses for a mini-batch of one sample",)


def _gn_saved(shapes: tuple[Shape, ...], attrs: Attrs) -> Saved:
    """Mean and deviation of each group."""
    statistics = 2 * BYTES * count(attrs, "groups")
    return Saved(inputs=(0,), per_sample=statistics)


GN = Op(
    "gn",
    """Group normalisation: the channels of each sample in groups, each group to mean 0 and variance 1.

    One learned factor and summand a channel. The shape stays. Wu & He 2018, arXiv:1803.08494.""",
    params=(Param("groups", Kind.COUNT, doc="groups of channels"), _EPS, _affine(True)),
    infer=_gn,
    weights=lambda shapes, attrs: _pair_of_weights((shapes[0][0],), attrs),
    saved=_gn_saved,
    notes=_gn_notes,
)


def _instance(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    if numel(shapes[0][1:]) == 1:
        return Misfit(f"`instance_norm` needs more than one value in each channel, got {size(shapes[0])}")
    return _eps_misfit(attrs) or (shapes[0],)


def _instance_saved(shapes: tuple[Shape, ...], attrs: Attrs) -> Saved:
    """Mean and deviation of each channel, and the factors repeated for each sample where they are learned."""
    kept = 3 if flag(attrs, "affine") else 2
    return Saved(inputs=(0,), per_sample=kept * BYTES * int(shapes[0][0]))


INSTANCE_NORM = Op(
    "instance_norm",
    """Instance normalisation: each channel of each sample to mean 0 and variance 1 over its positions.

    The shape stays. Ulyanov et al. 2016, arXiv:1607.08022.""",
    params=(_EPS, _affine(False)),
    infer=on_maps("instance_norm", _instance),
    weights=lambda shapes, attrs: _pair_of_weights((shapes[0][0],), attrs),
    saved=_instance_saved,
)


def _lrn_saved(shapes: tuple[Shape, ...], attrs: Attrs) -> Saved:
    """The padded squares, their means and the denominators' base; three products on the way back."""
    channels, height, width = (int(d) for d in shapes[0])
    kept = BYTES * height * width * (3 * channels + count(attrs, "size") - 1)
    return Saved(inputs=(0,), per_sample=kept, workspace=3 * BYTES * numel(shapes[0]))


LRN = Op(
    "lrn",
    """Local response normalisation across neighbouring channels.

    out[c] = in[c] / (k + alpha/size * sum of in[j]^2 for the `size` channels j around c)^beta. As in PyTorch and Caffe,
    alpha is divided by the size; AlexNet's paper does not divide, so its 1e-4 over 5 channels is alpha = 5e-4 and k = 2
    here. The shape stays. Krizhevsky et al. 2012, section 3.3.""",
    params=(
        Param("size", Kind.COUNT, 5, doc="channels in the sum"),
        Param("alpha", Kind.NUMBER, Fraction(1, 10**4), doc="weight of the mean of squares"),
        Param("beta", Kind.NUMBER, Fraction(3, 4), doc="exponent"),
        Param("k", Kind.NUMBER, 1, doc="summand of the denominator"),
    ),
    infer=on_maps("lrn", lambda shapes, attrs: (shapes[0],)),
    saved=_lrn_saved,
)

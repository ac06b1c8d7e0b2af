"""Functions of each number by itself, with or without learned parameters, and maxout."""

from __future__ import annotations

from fractions import Fraction

from archdsl.ops.attrs import BYTES, INDEX_BYTES, numel, size, text, uneven, whole
from archdsl.ops.op import Attrs, Dim, Kind, Misfit, Op, Param, Saved, Shape, Weight


def _keeps_input(shapes: tuple[Shape, ...], attrs: Attrs) -> Saved:
    return Saved(inputs=(0,))


def _keeps_input_and_multiplies(shapes: tuple[Shape, ...], attrs: Attrs) -> Saved:
    """The gradient of what is learned is the sum of a product as large as the input."""
    return Saved(inputs=(0,), workspace=BYTES * numel(shapes[0]))


def _keeps_output(shapes: tuple[Shape, ...], attrs: Attrs) -> Saved:
    return Saved(output=True)


RELU = Op(
    "relu",
    """Rectifier: max(x, 0). Nair & Hinton 2010.""",
    saved=_keeps_output,
)

RELU6 = Op(
    "relu6",
    """Rectifier with a ceiling: min(max(x, 0), 6). Krizhevsky 2010; Howard et al. 2017, MobileNets.""",
    saved=_keeps_input,
)

LEAKY_RELU = Op(
    "leaky_relu",
    """Rectifier that lets a share of the negative side through: x if x > 0 else slope*x. Maas et al. 2013.""",
    params=(Param("slope", Kind.NUMBER, Fraction(1, 100), doc="factor of negative numbers"),),
    saved=_keeps_input,
)


def _prelu(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    if text(attrs, "per") == "channel" and len(shapes[0]) == 2:
        return Misfit(f"`prelu` per channel takes a map or a vector, got the list {size(shapes[0])}", param="per")
    return (shapes[0],)


def _prelu_weights(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Weight, ...]:
    slopes: Dim = shapes[0][0] if text(attrs, "per") == "channel" else 1
    return (Weight("weight", (slopes,)),)


PRELU = Op(
    "prelu",
    """Leaky rectifier whose slope is learned: x if x > 0 else a*x, a from 0.25 on.

    He et al. 2015, arXiv:1502.01852.""",
    params=(
        Param("per", Kind.CHOICE, "layer", ("layer", "channel"), doc="one slope for all, or one for each channel"),
    ),
    infer=_prelu,
    weights=_prelu_weights,
    saved=_keeps_input_and_multiplies,
)

ELU = Op(
    "elu",
    """Exponential linear unit: x if x > 0 else alpha*(exp(x) - 1). Clevert et al. 2015, arXiv:1511.07289.""",
    params=(Param("alpha", Kind.NUMBER, 1, doc="depth of the negative side"),),
    saved=_keeps_input,
)

SELU = Op(
    "selu",
    """Scaled exponential linear unit: 1.0507*elu(x) with alpha 1.6733. Klambauer et al. 2017, arXiv:1706.02515.""",
    saved=_keeps_input,
)

GELU = Op(
    "gelu",
    """Gaussian error linear unit: x times the normal distribution function of x. Hendrycks & Gimpel 2016.""",
    params=(Param("approximate", Kind.CHOICE, "none", ("none", "tanh"), doc="exact, or the formula with tanh"),),
    saved=_keeps_input,
)

SILU = Op(
    "silu",
    """Sigmoid-weighted linear unit, also called swish: x*sigmoid(x). Elfwing et al. 2017; Ramachandran et al. 2017.""",
    saved=_keeps_input,
)

SIGMOID = Op("sigmoid", """Logistic function: 1/(1 + exp(-x)).""", saved=_keeps_output)

TANH = Op(
    "tanh",
    """Hyperbolic tangent. LeNet's 1.7159*tanh(2x/3) is `affine(2/3) -> tanh -> affine(1.7159)`.""",
    saved=_keeps_output,
)

HARD_SIGMOID = Op(
    "hard_sigmoid",
    """Piecewise linear sigmoid: min(max(x + 3, 0), 6)/6. Howard et al. 2019, MobileNetV3.""",
    saved=_keeps_input,
)

HARD_SWISH = Op(
    "hard_swish",
    """x*hard_sigmoid(x). Howard et al. 2019, MobileNetV3.""",
    saved=_keeps_input,
)

HARD_TANH = Op("hard_tanh", """Identity between -1 and 1, constant beyond.""", saved=_keeps_input)


def axis_misfit(name: str, axis: int, shape: Shape) -> Misfit | None:
    """A misfit where `shape` has no such axis; negative axes count from the last."""
    rank = len(shape)
    if -rank <= axis < rank:
        return None
    return Misfit(f"`{name}` along axis {axis}, but {size(shape)} has axes 0 to {rank - 1}", param="axis")


def _softmax(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    return axis_misfit("softmax", int(whole(attrs, "axis")), shapes[0]) or (shapes[0],)


SOFTMAX = Op(
    "softmax",
    """Exponentials divided by their sum along an axis; without the batch, so axis 0 is the channels.""",
    params=(Param("axis", Kind.INTEGER, 0, doc="the axis that sums to 1; negative: from the last"),),
    infer=_softmax,
    saved=_keeps_output,
)


def _maxout(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    channels, pieces = shapes[0][0], whole(attrs, "pieces")
    if len(shapes[0]) == 2:
        return Misfit(f"`maxout` takes a map or a vector, got the list {size(shapes[0])}")
    return uneven(channels, "channels", pieces, "pieces") or ((channels // pieces, *shapes[0][1:]),)


def _maxout_saved(shapes: tuple[Shape, ...], attrs: Attrs) -> Saved:
    """A gradient is shared among equal maxima: a mask of bytes, how many there are of each as int64, and the shares."""
    pieces = numel(shapes[0])
    groups = pieces // int(whole(attrs, "pieces"))
    sharing = pieces + INDEX_BYTES * groups + BYTES * (groups + pieces)
    return Saved(inputs=(0,), output=True, workspace=sharing)


MAXOUT = Op(
    "maxout",
    """Maximum over each group of `pieces` consecutive channels.

    [C, H, W] -> [C/pieces, H, W], [C] -> [C/pieces]; put a convolution or linear map of C = pieces*width before it.
    Goodfellow et al. 2013, arXiv:1302.4389.""",
    params=(Param("pieces", Kind.COUNT, 2, doc="channels in each group"),),
    infer=_maxout,
    saved=_maxout_saved,
)


def learned_shape(shape: Shape, attrs: Attrs) -> Shape:
    """The learned tensor of `scale` and `bias`: one number, or one a channel, so that it broadcasts.

    The channels of a list come last.
    """
    if text(attrs, "per") == "layer":
        return (1,)
    return (shape[-1],) if len(shape) == 2 else (shape[0], *(1 for _ in shape[1:]))


_PER = Param("per", Kind.CHOICE, "layer", ("layer", "channel"), doc="one number for all, or one for each channel")

SCALE = Op(
    "scale",
    """Product with a learned number, or one for each channel.

    Shen et al. 2016, Weighted residuals, arXiv:1605.08831.""",
    params=(_PER, Param("init", Kind.NUMBER, 1, doc="value before training")),
    weights=lambda shapes, attrs: (Weight("weight", learned_shape(shapes[0], attrs)),),
    saved=_keeps_input_and_multiplies,
)

BIAS = Op(
    "bias",
    """Sum with a learned number, or one for each channel.

    LeNet-5's subsampling is `avg_pool(2) -> scale(per="channel") -> bias(per="channel") -> sigmoid`.""",
    params=(_PER, Param("init", Kind.NUMBER, 0, doc="value before training")),
    weights=lambda shapes, attrs: (Weight("bias", learned_shape(shapes[0], attrs)),),
)

AFFINE = Op(
    "affine",
    """Constant factor and summand: scale*x + shift. Nothing is learned.""",
    params=(
        Param("scale", Kind.NUMBER, 1, doc="the factor"),
        Param("shift", Kind.NUMBER, 0, doc="the summand"),
    ),
)

IDENTITY = Op("identity", """The input itself.""", alias=True)

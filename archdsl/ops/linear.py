"""Linear maps, matrix products and attention."""

from __future__ import annotations

from archdsl.ops.attrs import BYTES, count, flag, is_map, numel, size, table_of, uneven, whole
from archdsl.ops.op import Attrs, Kind, Misfit, Op, Param, Saved, Shape, Weight, Window


def _linear(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    if is_map(shapes[0]):
        flat = numel(shapes[0])
        hint = f"`flatten` makes it a vector of {flat} numbers, `global_avg_pool` one of {shapes[0][0]}"
        return Misfit(
            f"`linear` takes a vector [channels] or a list [n, channels], got the map {size(shapes[0])}", hint
        )
    return ((*shapes[0][:-1], whole(attrs, "width")),)


def _linear_weights(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Weight, ...]:
    width = whole(attrs, "width")
    weight = Weight("weight", (width, shapes[0][-1]))
    return (weight, Weight("bias", (width,))) if flag(attrs, "bias") else (weight,)


LINEAR = Op(
    "linear",
    """Linear map of the last dimension: out = weight in + bias.

    [C] -> [width] or [N, C] -> [N, width].""",
    params=(
        Param("width", Kind.COUNT, doc="output features"),
        Param("bias", Kind.FLAG, True, doc="add a learned number to each output"),
    ),
    infer=_linear,
    weights=_linear_weights,
    macs=lambda shapes, attrs: numel(shapes[0]) * int(whole(attrs, "width")),
    saved=lambda shapes, attrs: Saved(inputs=(0,)),
)


def _attention(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    if len(shapes[0]) != 2:
        hint = "`reshape([channels, -1]) -> permute([1, 0])` makes a list of a map"
        return Misfit(f"`attention` takes a list [n, channels], got {size(shapes[0])}", hint)
    return uneven(shapes[0][1], "channels", whole(attrs, "heads"), "heads") or (shapes[0],)


def _attention_weights(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Weight, ...]:
    channels = shapes[0][1]
    inward, outward = Weight("qkv.weight", (3 * channels, channels)), Weight("out.weight", (channels, channels))
    if not flag(attrs, "bias"):
        return inward, outward
    return inward, Weight("qkv.bias", (3 * channels,)), outward, Weight("out.bias", (channels,))


def _attention_macs(shapes: tuple[Shape, ...], attrs: Attrs) -> int:
    """Four linear maps, queries times keys, and weights times values."""
    n, channels = (int(d) for d in shapes[0])
    return 4 * n * channels**2 + 2 * n**2 * channels


def _attention_saved(shapes: tuple[Shape, ...], attrs: Attrs) -> Saved:
    """The input; queries, keys and values; the attended values; one logarithm a head and position."""
    n, channels = (int(d) for d in shapes[0])
    return Saved(inputs=(0,), per_sample=BYTES * (4 * n * channels + n * int(whole(attrs, "heads"))))


ATTENTION = Op(
    "attention",
    """Multi-head self-attention on a list of positions.

    Each head h has queries, keys and values of C/heads numbers: out_h = softmax(Q_h K_h^T / sqrt(C/heads)) V_h; the
    heads are joined and mapped linearly. [N, C] -> [N, C]. Vaswani et al. 2017, Attention is all you need.""",
    params=(
        Param("heads", Kind.COUNT, doc="parts of the channels that attend separately"),
        Param("bias", Kind.FLAG, True, doc="biases in the four linear maps"),
    ),
    infer=_attention,
    weights=_attention_weights,
    macs=_attention_macs,
    saved=_attention_saved,
    window=lambda shapes, attrs: Window(everything=True),
)


def _matmul(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    left, right = shapes
    if len(left) != 2 or len(right) != 2:
        return Misfit(f"`matmul` takes two matrices, got {size(left)} and {size(right)}")
    if left[1] != right[0]:
        hint = "`permute([1, 0])` transposes a matrix"
        return Misfit(f"{size(left)} times {size(right)}: {left[1]} columns meet {right[0]} rows", hint)
    return ((left[0], right[1]),)


MATMUL = Op(
    "matmul",
    """Matrix product, for each sample: [N, K] and [K, M] -> [N, M].""",
    infer=_matmul,
    macs=lambda shapes, attrs: numel(shapes[0]) * int(shapes[1][1]),
    saved=lambda shapes, attrs: Saved(inputs=(0, 1)),
    window=lambda shapes, attrs: Window(everything=True),
    inputs=(2, 2),
)


_MOST_BITS = 31  # of a number in a text


def code_length(attrs: Attrs) -> int:
    """Bits of one code."""
    return len(table_of(attrs, "codes")[0]) * count(attrs, "bits")


def _coded(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    codes, bits = table_of(attrs, "codes"), count(attrs, "bits")
    if bits > _MOST_BITS:
        return Misfit(f"`bits` is at most {_MOST_BITS}, got {bits}", param="bits")
    if len(shapes[0]) != 1:
        return Misfit(f"`code_distance` takes a vector [features], got {size(shapes[0])}", "`flatten` makes it one")
    for number, code in enumerate(codes):
        if len(code) != len(codes[0]):
            return Misfit(f"code {number} has {len(code)} numbers, code 0 has {len(codes[0])}", param="codes")
        if max(code) >= 2**bits:
            return Misfit(f"{max(code)} of code {number} is no number of {bits} bits", param="codes")
    if code_length(attrs) != int(shapes[0][0]):
        return Misfit(f"codes of {len(codes[0])} * {bits} = {code_length(attrs)} bits meet {size(shapes[0])}")
    return ((len(codes),),)


CODE_DISTANCE = Op(
    "code_distance",
    """Squared distances to fixed codes of +1 and -1, which a network is trained to give out. Nothing is learned.

    out[k] = sum over i of (in[i] - code[k][i])^2. `codes[k]` lists the bits of code k, 1 for +1 and 0 for -1; with
    `bits` above 1, numbers of so many bits, the highest first: a picture of 7x12 is 12 numbers of 7 bits.
    [C] -> [codes]. LeCun et al. 1998, section II; Dietterich & Bakiri 1995, error-correcting output codes.""",
    params=(
        Param("codes", Kind.TABLE, doc="for each output its code"),
        Param("bits", Kind.COUNT, 1, doc="bits in each number of a code"),
    ),
    infer=_coded,
    saved=lambda shapes, attrs: Saved(per_sample=BYTES * len(table_of(attrs, "codes")) * code_length(attrs)),
    window=lambda shapes, attrs: Window(everything=True),
)

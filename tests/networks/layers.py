"""One layer of each primitive that takes one tensor: its text and, by formulas of our own, the shape it gives."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from networks.scope import Scope, Shape, small

Drawn = tuple[str, Shape] | None
Draw = Callable[[Scope, Shape], Drawn]
RATES = ("0", "0.5", "1/5", "30%", "1")
WIDTHS = (1, 2, 3, 4, 6, 8, 12)


def pair(s: Scope, least: int, most: int) -> tuple[int, int]:
    """One number for both directions, or one for each."""
    one = s.whole(least, most)
    return (one, one) if s.chance(0.75) else (one, s.whole(least, most))


def by(s: Scope, both: tuple[int, int]) -> str:
    return s.num(both[0]) if both[0] == both[1] else s.shape(both)


def flags(s: Scope, *names: str) -> str:
    """Some flags, set one way or the other."""
    return "".join(f", {name}={s.pick('true', 'false')}" for name in names if s.chance(0.3))


# --- convolutions -------------------------------------------------------------------------------------------------


def slid(size: int, kernel: int, stride: int, before: int, after: int, dilation: int) -> int:
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def window(s: Scope, x: Shape, plain: str) -> tuple[str, Shape] | None:
    """Kernel, stride, padding and dilation of a convolution, and the sizes that come out."""
    kernel, stride = pair(s, 1, 4), pair(s, 1, 2)
    dilation = pair(s, 1, 2) if plain and s.chance(0.2) else (1, 1)
    mode = s.pick("same", "same", "valid", "sides", "margin")
    text = f"{by(s, kernel)}" + (f", stride={by(s, stride)}" if stride != (1, 1) or s.chance(0.2) else "")
    text += f", dilation={by(s, dilation)}" if dilation != (1, 1) else ""
    if mode == "same":
        sizes = tuple(-(-n // t) for n, t in zip(x[1:], stride, strict=True))
        return text + s.pick("", ', padding="same"'), sizes
    sides = [s.whole(0, 2) for _ in range(4)] if mode == "sides" else [0] * 4
    if mode == "margin":
        sides = [s.whole(0, 2)] * 4
    spelled = {"valid": '"valid"', "sides": s.shape(tuple(sides)), "margin": s.num(sides[0])}[mode]
    sizes = tuple(slid(x[1 + i], kernel[i], stride[i], sides[2 * i], sides[2 * i + 1], dilation[i]) for i in (0, 1))
    return (text + f", padding={spelled}", sizes) if min(sizes) > 0 else None


def conv(s: Scope, x: Shape) -> Drawn:
    found = window(s, x, "conv")
    if found is None:
        return None
    groups = s.divisor(x[0]) if s.chance(0.25) else 1
    width = groups * s.whole(1, 4) if groups > 1 else s.pick(*WIDTHS)
    grouped = f", groups={s.num(groups)}" if groups > 1 else ""
    return f"conv({s.num(width)}, {found[0]}{grouped}{flags(s, 'bias')})", (width, *found[1])


def depthwise(s: Scope, x: Shape) -> Drawn:
    found, times = window(s, x, "depthwise"), s.pick(1, 1, 2)
    if found is None:
        return None
    multiplier = f", multiplier={s.num(times)}" if times > 1 else ""
    return f"depthwise({found[0]}{multiplier}{flags(s, 'bias')})", (x[0] * times, *found[1])


def conv_table(s: Scope, x: Shape) -> Drawn:
    found = window(s, x, "")
    if found is None:
        return None
    text = found[0] if "padding" in found[0] else found[0] + ', padding="same"'
    table = [sorted(s.rng.sample(range(x[0]), s.whole(1, min(3, x[0])))) for _ in range(s.whole(1, 4))]
    return f"conv_table({table}, {text}{flags(s, 'bias')})", (len(table), *found[1])


def conv_transpose(s: Scope, x: Shape) -> Drawn:
    kernel, stride = pair(s, 1, 3), pair(s, 1, 2)
    padding, more = s.whole(0, 1), s.whole(0, min(stride) - 1)
    groups = s.divisor(x[0]) if s.chance(0.2) else 1
    width = groups * s.whole(1, 3)
    sizes = tuple((n - 1) * t - 2 * padding + k + more for n, t, k in zip(x[1:], stride, kernel, strict=True))
    if min(sizes) < 1:
        return None
    text = f"{by(s, kernel)}, stride={by(s, stride)}, padding={s.num(padding)}"
    text += f", output_padding={more}" if more else ""
    text += f", groups={s.num(groups)}" if groups > 1 else ""
    return f"conv_transpose({s.num(width)}, {text}{flags(s, 'bias')})", (width, *sizes)


# --- pooling and sizes --------------------------------------------------------------------------------------------


def pooled(size: int, kernel: int, stride: int, padding: int, ceil: bool) -> int:
    room = size + 2 * padding - kernel
    count = -(-room // stride) + 1 if ceil else room // stride + 1
    return count - 1 if ceil and (count - 1) * stride >= size + padding else count


def pool(s: Scope, x: Shape) -> Drawn:
    kernel, ceil = pair(s, 1, 3), s.chance(0.3)
    stride = kernel if s.chance(0.5) else pair(s, 1, 3)
    padding = s.whole(0, min(kernel) // 2) if s.chance(0.4) else 0
    sizes = tuple(pooled(x[1 + i], kernel[i], stride[i], padding, ceil) for i in (0, 1))
    if min(sizes) < 1:
        return None
    text = by(s, kernel) + (f", stride={by(s, stride)}" if stride != kernel or s.chance(0.2) else "")
    text += f", padding={s.num(padding)}" if padding else ""
    text += ", ceil=true" if ceil else ""
    name = s.pick("max_pool", "avg_pool")
    return f"{name}({text}{flags(s, 'count_padding') if name == 'avg_pool' else ''})", (x[0], *sizes)


def adaptive(s: Scope, x: Shape) -> Drawn:
    sizes = pair(s, 1, 4)
    return f"{s.pick('adaptive_avg_pool', 'adaptive_max_pool')}({by(s, sizes)})", (x[0], *sizes)


def fractional(s: Scope, x: Shape) -> Drawn:
    least = min(x[1:])
    if least < 3:
        return None
    if s.chance(0.5):
        size = s.whole(1, least - 1)
        return f"fractional_max_pool(size={s.num(size)})", (x[0], size, size)
    return "fractional_max_pool(2, ratio=1/2)", (x[0], x[1] // 2, x[2] // 2)


def spp(s: Scope, x: Shape) -> Drawn:
    bins = [s.whole(1, 3) for _ in range(s.whole(1, 2))]
    return f"spp({bins})", (x[0] * sum(b * b for b in bins),)


def subsample(s: Scope, x: Shape) -> Drawn:
    step = s.whole(1, 3)
    return f"subsample({s.num(step)})", (x[0], -(-x[1] // step), -(-x[2] // step))


def upsample(s: Scope, x: Shape) -> Drawn:
    factor = s.whole(1, 2)
    mode = s.pick("", ', "bilinear"', ', mode="nearest"')
    return f"upsample({s.num(factor)}{mode})", (x[0], factor * x[1], factor * x[2])


def pixel_shuffle(s: Scope, x: Shape) -> Drawn:
    return (f"pixel_shuffle({s.num(2)})", (x[0] // 4, 2 * x[1], 2 * x[2])) if x[0] % 4 == 0 else None


def pixel_unshuffle(s: Scope, x: Shape) -> Drawn:
    fits = x[1] % 2 == x[2] % 2 == 0
    return (f"pixel_unshuffle({s.num(2)})", (4 * x[0], x[1] // 2, x[2] // 2)) if fits else None


def pad(s: Scope, x: Shape) -> Drawn:
    top, bottom, left, right = sides = tuple(s.whole(0, 2) for _ in range(4))
    if s.chance(0.3):
        name = "reflect_pad"
        if max(top, bottom) >= x[1] or max(left, right) >= x[2]:
            return None
    else:
        name = "zero_pad"
    return f"{name}({s.shape(sides)})", (x[0], x[1] + top + bottom, x[2] + left + right)


def crop(s: Scope, x: Shape) -> Drawn:
    border = s.whole(0, 2)
    return (f"crop({s.num(border)})", (x[0], *(n - 2 * border for n in x[1:]))) if min(x[1:]) > 2 * border else None


def shift(s: Scope, x: Shape) -> Drawn:
    down, right = (s.whole(-min(2, n - 1), min(2, n - 1)) for n in x[1:])
    return f"shift({s.num(down)}, {s.num(right)})", x


def channel_pad(s: Scope, x: Shape) -> Drawn:
    width = x[0] + s.whole(0, 4)
    where = s.pick("", ', "both"', ', where="end"')
    return f"channel_pad({s.num(width)}{where})", (width, *x[1:])


# --- rearranging --------------------------------------------------------------------------------------------------


def reshape(s: Scope, x: Shape) -> Drawn:
    total = prod(x)
    first = s.divisor(total, 12)
    rest = total // first
    second = s.divisor(rest, 12)
    shape = s.pick((first, rest), (first, second, rest // second), (total,), (total, 1, 1))
    open_one = s.whole(0, len(shape) - 1) if s.chance(0.4) else None
    text = ", ".join("-1" if i == open_one else s.num(d) for i, d in enumerate(shape))
    return f"reshape([{text}])", shape


def permute(s: Scope, x: Shape) -> Drawn:
    order = list(range(len(x)))
    s.rng.shuffle(order)
    return f"permute({order})", tuple(x[i] for i in order)


def cut(s: Scope, x: Shape) -> Drawn:
    axis = s.whole(0, len(x) - 1)
    start = s.whole(0, x[axis] - 1)
    stop = s.whole(start + 1, x[axis])
    spelled = axis - len(x) if s.chance(0.3) else axis
    end = "" if stop == x[axis] and s.chance(0.5) else f", {s.num(stop)}"
    shape = tuple(stop - start if i == axis else n for i, n in enumerate(x))
    first = start - x[axis] if s.chance(0.2) else start
    return f"slice({first if first < 0 else s.num(first)}{end}{f', axis={spelled}' if spelled else ''})", shape


def flatten(s: Scope, x: Shape) -> Drawn:
    return "flatten", (prod(x),)


def channel_shuffle(s: Scope, x: Shape) -> Drawn:
    return f"channel_shuffle({s.num(s.divisor(x[0]))})", x


# --- norms, activations, what is learned --------------------------------------------------------------------------


def bn(s: Scope, x: Shape) -> Drawn:
    options = s.pick("", "", "", "momentum=none", "affine=false", "track=false", "eps=1e-3", "momentum=0.2")
    return (f"bn({options})" if options else "bn"), x


def gn(s: Scope, x: Shape) -> Drawn:
    return f"gn({s.num(s.divisor(x[0]))}{flags(s, 'affine')})", x


def ln(s: Scope, x: Shape) -> Drawn:
    dims = s.whole(1, len(x))
    return s.pick(f"ln({dims}{flags(s, 'affine')})", "ln"), x


def instance_norm(s: Scope, x: Shape) -> Drawn:
    return (s.pick("instance_norm", "instance_norm(affine=true)"), x) if prod(x[1:]) > 1 else None


def lrn(s: Scope, x: Shape) -> Drawn:
    return s.pick("lrn", f"lrn({s.num(s.whole(1, 5))}, alpha=5e-4, k=2)"), x


ACTIVATIONS = (
    *("relu", "relu6", "elu", "selu", "gelu", "silu", "sigmoid", "tanh", "hard_sigmoid", "hard_swish", "hard_tanh"),
    *("leaky_relu", "leaky_relu(1/3)", 'gelu(approximate="tanh")', "elu(0.5)", "prelu", 'prelu(per="channel")'),
)


def activation(s: Scope, x: Shape) -> Drawn:
    text = s.rng.choice(ACTIVATIONS)
    return None if "channel" in text and len(x) == 2 else (text, x)


def softmax(s: Scope, x: Shape) -> Drawn:
    axis = s.whole(-len(x), len(x) - 1)
    return (f"softmax(axis={axis})" if axis else "softmax"), x


def maxout(s: Scope, x: Shape) -> Drawn:
    pieces = s.divisor(x[0], 4)
    return (f"maxout({s.num(pieces)})", (x[0] // pieces, *x[1:])) if pieces > 1 else None


def learned_number(s: Scope, x: Shape) -> Drawn:
    name = s.pick("scale", "bias")
    return s.pick(name, f'{name}("channel")', f'{name}(per="channel", init=1/2)', f"{name}(init=0)"), x


def affine(s: Scope, x: Shape) -> Drawn:
    return s.pick("affine(2/3)", "affine(shift=-1)", "affine(1.7159, 1/3)", f"affine({s.num(2)})"), x


def noise(s: Scope, x: Shape) -> Drawn:
    name = s.pick("dropout", "dropout", "bernoulli_mask", *(["channel_dropout"] if len(x) == 3 else []))
    return f"{name}({s.pick(*RATES)})", x


def linear(s: Scope, x: Shape) -> Drawn:
    width = s.pick(*WIDTHS)
    return f"linear({s.num(width)}{flags(s, 'bias')})", (*x[:-1], width)


def code_distance(s: Scope, x: Shape) -> Drawn:
    bits = s.divisor(x[0], 4)
    codes = [[s.whole(0, 2**bits - 1) for _ in range(x[0] // bits)] for _ in range(s.whole(1, 4))]
    return f"code_distance({codes}{f', bits={bits}' if bits > 1 else ''})", (len(codes),)


def attention(s: Scope, x: Shape) -> Drawn:
    return f"attention({s.num(s.divisor(x[1]))}{flags(s, 'bias')})", x


def identity(s: Scope, x: Shape) -> Drawn:
    return s.pick("identity", "identity", "identity -> mean", "max -> identity", "concat -> identity", "split(1)"), x


def global_pool(s: Scope, x: Shape) -> Drawn:
    if len(x) == 2:
        return "global_avg_pool", (x[1],)
    return s.pick("global_avg_pool", "global_max_pool"), (x[0],)


ANY: tuple[Draw, ...] = (activation, activation, softmax, learned_number, affine, noise, identity, ln, permute, cut)
MAP: tuple[Draw, ...] = (
    *(conv, conv, conv, conv, depthwise, conv_table, conv_transpose, pool, pool, adaptive, fractional, subsample),
    *(upsample, pixel_shuffle, pixel_unshuffle, pad, crop, shift, channel_pad, channel_shuffle, bn, bn, bn, gn),
    *(instance_norm, lrn, maxout, *ANY, activation),
)
LEAVING: tuple[Draw, ...] = (spp, flatten, global_pool, reshape)  # from maps to lists and vectors
LIST: tuple[Draw, ...] = (linear, linear, attention, attention, global_pool, flatten, reshape, *ANY)
VECTOR: tuple[Draw, ...] = (linear, linear, linear, code_distance, bn, gn, maxout, channel_pad, reshape, *ANY)
OTHER: tuple[Draw, ...] = (reshape, flatten, permute, cut, activation, affine)


def layer(s: Scope, x: Shape, leave: float = 0.06) -> tuple[str, Shape]:
    """A layer that fits a tensor."""
    table = {3: MAP, 2: LIST, 1: VECTOR}.get(len(x), OTHER)
    for _ in range(50):
        made = s.rng.choice(LEAVING if len(x) == 3 and s.chance(leave) else table)(s, x)
        if made is not None and small(made[1]):
            return made
    return "relu", x


def row(s: Scope, x: Shape, most: int = 4, leave: float = 0.06) -> tuple[str, Shape]:
    """A few layers, one after the other."""
    parts: list[str] = []
    for _ in range(s.whole(1, most)):
        text, x = layer(s, x, leave)
        parts.append(text)
    return " -> ".join(parts), x


def keeping(s: Scope, x: Shape, most: int = 3) -> str:
    """A few layers after which the shape is what it was."""
    for _ in range(40):
        text, shape = row(s, x, most, leave=0)
        if shape == x:
            return text
    return "relu -> affine(1/2)"


def towards(s: Scope, x: Shape, shape: Shape) -> str | None:
    """A layer or two from one shape to another of the same rank, or to a vector."""
    if len(shape) == 1:
        return f"linear({s.num(shape[0])})" if len(x) == 1 else f"flatten -> linear({s.num(shape[0])})"
    if len(x) == len(shape) == 3:
        size = f"adaptive_avg_pool({s.shape(shape[1:])}) -> " if x[1:] != shape[1:] else ""
        return f"{size}conv({s.num(shape[0])}, 1)"
    if len(x) == len(shape) == 2 and x[0] == shape[0]:
        return f"linear({s.num(shape[1])})"
    return None

"""Blocks: some fit any size, some are made at random for the sizes at hand; and what calls of them look like."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from networks.layers import keeping, row, towards
from networks.scope import Scope, Shape, small

# Blocks that fit any map. Some take a layer as an argument, some end in a join that their caller may widen, some call
# themselves; `form` draws arguments and tells the shape that comes out.
LIBRARY = """
import std.preact { wide, preact_bottleneck as pre_bottleneck }
import std.residual { basic, bottleneck }
import std.dense { dense_layer, dense_bottleneck, transition }
import std.fractal { fractal }
import std.resnext { resnext, resnext_branches }
import std.shake { shake }
import std.pyramid { pyramidal }
import std.conv { conv_bn_relu }

block squeeze(ratio = 2): [C, H, W] -> [C, H, W] {
    gate = in -> global_avg_pool -> linear(max(1, C // ratio)) -> relu -> linear(C) -> sigmoid -> reshape([C, 1, 1])
    out = in * gate
}

block residual(width, stride = 1, act = relu, gated = false): [_, H, W] -> [width, ceil(H / stride), ceil(W / stride)] {
    main = in -> conv(width, 3, stride=stride) -> bn -> act -> conv(width, 3) -> bn
    skip = in if in.channels == width and stride == 1 else (in -> conv(width, 1, stride=stride))
    seen = (main -> squeeze) if gated else main
    out = seen + skip -> act
}

block grow(growth, n, unit = dense_layer): [_, H, W] -> [_, H, W] {
    out = in -> unit(growth) * n
}

block columns(depth, width, drop = 0, mode = "local", per = "batch"): [_, H, W] -> [width, H, W] {
    if depth <= 1 {
        out = in -> conv(width, 3) -> bn
    } else {
        deep = in -> columns(depth - 1, width, drop, mode, per) -> columns(depth - 1, width, drop, mode, per)
        out = join(deep, in -> conv(width, 1), drop=drop, mode=mode, per=per)
    }
}

block inception(width, kernels = [1, 3]): [_, H, W] -> [_, H, W] {
    out = concat(in -> conv(width, k) -> relu for k in kernels)
}

block split_apart(width) {
    out thin: [width, _, _] = in -> conv(width, 1)
    out wide = in -> conv(2 * width, 3) -> relu
}

block meet(width) {
    in left, right
    fused = (left -> conv(width, 1)) + (right -> conv(width, 1))
    out first = fused -> bn
    out second = fused * (left -> conv(width, 3) -> sigmoid)
}

block encoder(heads, ratio = 2): [N, D] -> [N, D] {
    a = in + (in -> ln -> attention(heads))
    out = a + (a -> ln -> linear(ratio * D) -> gelu -> linear(D))
}

block survivor(unit, keep, per = "batch") {
    out = in + (in -> stochastic_depth(unit, keep=keep, per=per))
}
"""

LIBRARY_NAMES = {
    *re.findall(r"(?m)^block (\w+)", LIBRARY),
    *(name.split()[-1] for names in re.findall(r"\{ (.+) \}\n", LIBRARY) for name in names.split(", ")),
}


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


# Imports and blocks: the text, the names that it declares, all words in it. A block calls only what stands before it.
_PIECES = [
    (text, LIBRARY_NAMES & _words(text.partition("(")[0]), _words(text))
    for text in re.split(r"\n(?=import )|\n\n(?=block )", LIBRARY)[1:]
]


def library(program: str) -> str:
    """The part of the library that a program calls: with all of it, most of each program's time would go into it."""
    known, used = _words(program), list[str]()
    for text, declared, words in reversed(_PIECES):
        if declared & known:
            used.append(text)
            known |= words
    return "\n\n".join(reversed(used))


@dataclass
class Made:
    """A block made for certain sizes."""

    name: str
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    params: tuple[tuple[str, int, int | None], ...]
    text: str

    def arguments(self, s: Scope) -> str:
        """Arguments that give the parameters the values which the block was made for."""
        parts: list[str] = []
        named = False
        for name, value, default in self.params:
            if default == value and s.chance(0.5):
                named = True
                continue
            named = named or s.chance(0.3)
            parts.append(f"{name}={s.num(value)}" if named else s.num(value))
        return f"({', '.join(parts)})" if parts else ""


def ceil(size: int, stride: int) -> int:
    return -(-size // stride)


def _unit(s: Scope, x: Shape) -> tuple[str, Shape]:
    """A block that changes width and stride."""
    width, stride = s.pick(2, 4, 8), s.pick(1, 1, 2)
    shape = (width, ceil(x[1], stride), ceil(x[2], stride))
    name = s.pick("residual", "residual", "wide", "pre_bottleneck", "conv_bn_relu", "basic", "bottleneck", "shake")
    if name == "basic" and width < x[0]:
        name = "bottleneck"
    if name in ("pre_bottleneck", "bottleneck"):
        width, shape = 4 * s.whole(1, 2), shape
        shape = (width, *shape[1:])
    if name == "shake" and min(x[1:]) < 2:
        name = "wide"
    more = s.pick("", ", act=elu", ", gated=true", ', act=prelu("channel")') if name == "residual" else ""
    more = s.pick("", ", drop=0.3") if name == "wide" else more
    more = s.pick("", ', level="batch"', ', forward="even"', ', backward="keep"') if name == "shake" else more
    width_first = f"{s.num(width)}, stride={s.num(stride)}"
    return f"{name}({width_first}{more})", shape


def _pyramid(s: Scope, x: Shape) -> tuple[str, Shape]:
    width = x[0] + s.whole(0, 3)
    return f"pyramidal({s.num(width)})", (width, *x[1:])


def _growth(s: Scope, x: Shape) -> tuple[str, Shape]:
    growth, n = s.whole(1, 3), s.whole(1, 3)
    text = s.pick(
        f"grow({s.num(growth)}, {s.num(n)})",
        f"dense_layer({s.num(growth)}) * {s.factor(n)}" if n > 1 else f"dense_layer({s.num(growth)})",
        f"grow({s.num(growth)}, {s.num(n)}, unit=dense_bottleneck)",
        f"grow({s.num(growth)}, {s.num(n)}, unit=dense_layer(drop=0.2))",
    )
    return text, (x[0] + n * growth, *x[1:])


def _shrink(s: Scope, x: Shape) -> tuple[str, Shape]:
    if x[0] % 2 or x[1] % 2 or x[2] % 2:
        return "squeeze", x
    return "transition(1/2)", (x[0] // 2, x[1] // 2, x[2] // 2)


def _columns(s: Scope, x: Shape) -> tuple[str, Shape]:
    width = s.pick(2, 3, 4)
    depth = s.whole(1, 3)
    mode = s.pick("local", "global", "mixed")
    text = s.pick(
        f'columns({s.num(depth)}, {s.num(width)}, drop=0.2, mode="{mode}", per="{s.pick("batch", "sample")}")',
        f"columns({s.num(depth)}, {s.num(width)})",
        f'fractal({s.num(depth)}, {s.num(width)}, drop=0.1, mode="{mode}")',
    )
    return text, (width, *x[1:])


def _inception(s: Scope, x: Shape) -> tuple[str, Shape]:
    width = s.whole(1, 3)
    kernels = [s.pick(1, 3, 5) for _ in range(s.whole(1, 3))]
    return f"inception({s.num(width)}, {kernels})", (width * len(kernels), *x[1:])


def _cardinal(s: Scope, x: Shape) -> tuple[str, Shape]:
    width, cardinality = s.pick(4, 6), s.pick(1, 2, 3)
    inner = cardinality * s.whole(1, 2)
    name = s.pick("resnext", "resnext_branches")
    return f"{name}({s.num(width)}, {s.num(inner)}, cardinality={cardinality})", (width, *x[1:])


def _repeated(s: Scope, x: Shape) -> tuple[str, Shape]:
    text = f"residual({s.num(x[0])})" if s.chance(0.6) else "squeeze"
    return f"{text} * {s.factor(s.whole(1, 4))}", x


def _surviving(s: Scope, x: Shape) -> tuple[str, Shape]:
    keep = s.pick("0.5", "1 - 1/4", "1", "0")
    per = s.pick("", ', per="sample"')
    return f"survivor({keeping(s, x)}, keep={keep}{per})", x


FORMS = (_unit, _unit, _unit, _pyramid, _growth, _shrink, _columns, _columns, _inception, _cardinal, _repeated)


def form(s: Scope, x: Shape) -> tuple[str, Shape]:
    """A call of a library block on a map, or on anything else of one that fits it."""
    for _ in range(30):
        if len(x) == 3 and not s.chance(0.1):
            text, shape = s.rng.choice(FORMS)(s, x)
        elif len(x) == 2:
            text, shape = f"encoder({s.num(s.divisor(x[1]))}{s.pick('', ', ratio=1')}) * {s.factor(s.whole(1, 2))}", x
        else:
            text, shape = _surviving(s, x)
        if small(shape):
            return text, shape
    return "survivor(relu, keep=1)", x


# --- blocks made for the sizes at hand ----------------------------------------------------------------------------


def make(rng: random.Random, name: str, inputs: tuple[Shape, ...], reserved: set[str], fill) -> Made:
    """A block around random statements; numbers in it may stand as parameters or sizes of its inputs."""
    s = Scope(rng, False, set(reserved) | {"in", "out"})
    if len(inputs) == 1 and s.chance(0.7):
        names = ["in"]
    else:
        names = [s.name(stem) for stem in ("left", "right", "third")[: len(inputs)]]
        s.line(f"in {', '.join(names)}")
    for value, shape in zip(names, inputs, strict=True):
        s.add(value, shape)
        dims = {1: ("features",), 2: ("tokens", "features"), 3: ("channels", "height", "width")}.get(len(shape), ())
        s.dims += [(f"{value}.{dim}", size) for dim, size in zip(dims, shape, strict=False)]
    contract = _contract(s, inputs)
    fill(s)
    outputs = _outputs(s)
    promised = contract(outputs)
    params = ", ".join(p.declaration for p in sorted(s.params, key=lambda p: p.default is not None))
    body = "\n".join(f"    {line}" for line in s.lines)
    ordered = sorted(s.params, key=lambda p: p.default is not None)
    text = f"block {name}({params}){promised} {{\n{body}\n}}\n"
    return Made(name, inputs, outputs, tuple((p.name, p.value, p.default) for p in ordered), text)


def _contract(s: Scope, inputs: tuple[Shape, ...]):
    """The contract, whose right side waits for the outputs. Its variables are sizes that the body may name."""
    if s.chance(0.5):
        return lambda outputs: ""
    lefts: list[str] = []
    for shape in inputs:
        dims: list[str] = []
        for size in shape:
            name = s.name(s.pick("C", "H", "W", "N", "D")) if s.chance(0.6) else s.pick("_", str(size))
            dims.append(name)
            if name not in ("_", str(size)):
                s.dims.append((name, size))
        lefts.append(f"[{', '.join(dims)}]")

    def text(outputs: tuple[Shape, ...]) -> str:
        s.dims = [(name, size) for name, size in s.dims if "." not in name]  # its own names are all it knows
        rights = [f"[{', '.join(s.pick('_', s.num(d)) for d in shape)}]" for shape in outputs]
        return f": {_group(lefts)} -> {_group(rights)}"

    return text


def _group(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def _outputs(s: Scope) -> tuple[Shape, ...]:
    """`out` statements: one, or several with names."""
    unread = [v for v in s.values if not v.used] or s.values[-1:]
    several = s.chance(0.25)
    if not several:
        text, shape = _one(s, unread)
        s.line(f"out = {text}")
        return (shape,)
    shapes: list[Shape] = []
    for value in unread[-3:]:
        text, shape = row(s, value.shape, 1, leave=0) if s.chance(0.5) else ("", value.shape)
        name = s.name("out")
        s.line(f"out {name}{s.annotation(shape)} = {value.name}{' -> ' + text if text else ''}")
        shapes.append(shape)
    return tuple(shapes)


def _one(s: Scope, values: list) -> tuple[str, Shape]:
    """The values brought to one shape and added, or joined."""
    last = values[-1]
    parts: list[str] = []
    for value in values[:-1][-3:]:
        if value.shape == last.shape:
            parts.append(value.name)
        elif (way := towards(s, value.shape, last.shape)) is not None:
            parts.append(f"({value.name} -> {way})")
    if not parts:
        return last.name, last.shape
    parts.append(last.name)
    return s.pick(" + ".join(parts), f"join({', '.join(parts)})", f"max({', '.join(parts)})"), last.shape

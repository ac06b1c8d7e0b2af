"""The texts that everything starts from: the specs, the standard library, and small programs for every construct."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _texts(folder: str) -> dict[str, str]:
    paths = sorted((ROOT / folder).glob("*.arch"))
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


SPECS = _texts("specs")
LIBRARY = _texts("archdsl/std")
FILES = {**SPECS, "unit.arch": "block unit(width = 4) {\n    out = in -> conv(width, 3) -> bn\n}\n"}

_NET = """network Net(width = 8, classes = 3) {{
    input image: [3, 16, 16]
{}
    output: [classes] = y -> global_avg_pool -> linear(classes)
}}
"""

# Bodies of a small network, each about one thing of the language.
_BODIES = {
    "plain": "y = image -> conv(width, 3) -> bn -> relu",
    "strides": "y: [width, 8, 8] = image -> conv(width, [3, 5], stride=2, padding=[1, 2]) -> relu",
    "padding": "y = image -> conv(width, 4, padding=[1, 2, 1, 2], bias=true) -> max_pool(3, stride=2, ceil=true)",
    "groups": "y = image -> conv(12, 3) -> conv(12, 3, groups=4, dilation=2) -> depthwise(3)",
    "transposed": "y = image -> conv(width, 3) -> conv_transpose(width, 4, stride=2, padding=1) -> relu",
    "norms": "y = image -> conv(8, 1) -> gn(2) -> relu -> instance_norm -> elu -> lrn(5) -> selu -> ln(3)",
    "activations": "y = image -> gelu -> silu -> prelu -> leaky_relu(0.1) -> hard_swish -> tanh -> sigmoid",
    "pools": "y = image -> avg_pool(2) -> max_pool(3, stride=2, padding=1) -> adaptive_avg_pool([2, 3])",
    "merges": "a = image -> conv(width, 3)\n    b = image -> conv(width, 1)\n    y = concat(a + b, a * b, mean(a, b), max(a, b))",
    "repeat": "unit = conv(width, 3) -> bn -> relu\n    y = image -> conv(width, 1) -> unit * 3",
    "chain": "y = image -> chain(conv(width * i, 3) -> relu for i in 1..3)",
    "branches": "y = sum(image -> conv(width, 3) -> relu for i in 1..4)",
    "shared": "shared f = conv(3, 3)\n    y = image -> f -> relu -> f",
    "join": "a = image -> conv(width, 3)\n    b = image -> conv(width, 3)\n    y = join(join(a, b, drop=0.1), a, drop=0.1)",
    "shake": 'a = image -> conv(width, 3)\n    b = image -> conv(width, 3)\n    y = shake_add(a, b, backward="keep")',
    "depth": 'y = image -> stochastic_depth(conv(3, 3) -> bn, keep=1 - 1/4, per="sample") -> relu',
    "squeeze": "s = image -> global_avg_pool -> linear(3) -> sigmoid -> reshape([3, 1, 1])\n    y = image * s",
    "learned": 't = learned([3, 16, 16])\n    y = image + t -> scale("channel") -> bias',
    "lists": "a, b, c = [1, 2, 3]\n    y = image -> conv([8, 16, 32][b], a + b) -> relu",
    "destructured": "y = image -> chain(conv(w, k) for w, k in [[4, 1], [8, 3]])",
    "fold": "fn step(x, w) = x -> conv(w, 3) -> relu\n    y = fold(step, image, [4, 8, 16])",
    "scan": "fn step(x, w) = x -> conv(w, 3)\n    a, b = scan(step, image, [4, 8])\n    y = concat(a, b)",
    "choice": "y = image -> (conv(width, 3) if width > 4 and not width == 7 else conv(4, 1)) -> relu",
    "if": "if width >= 8 {\n        y = image -> conv(width, 3)\n    } else if width == 4 {\n        y = image -> conv(8, 3)\n"
    "    } else {\n        y = image\n    }",
    "numbers": "n = floor(7 / 2) + ceil(1/3) + round(5/2) + abs(-2) + 2^3 % 5 - max(1, 2)\n    y = image -> conv(n, 3)",
    "require": 'require width % 4 == 0, "a width of whole quarters"\n    y = image -> conv(width / 4, 3)',
    "shapes": "y: [_, 16, 16] = image -> conv(image.channels * 2, 3) -> dropout(25%) -> channel_dropout(1/8)",
    "split": "a, b = image -> conv(8, 1) -> split(2)\n    y = concat(a -> relu, b, a -> slice(0, 2))",
    "attention": 't = image -> conv(8, 4, stride=4, padding="valid") -> reshape([8, 16]) -> permute([1, 0])\n'
    "    u = t -> ln -> attention(2) -> linear(8)\n    y = u -> permute([1, 0]) -> reshape([8, 4, 4])",
    "moves": "y = image -> zero_pad(1) -> crop(1) -> reflect_pad([1, 2]) -> shift(1, -1) -> subsample(2) -> channel_pad(5)",
    "shuffles": "y = image -> conv(8, 1) -> channel_shuffle(2) -> pixel_shuffle(2) -> pixel_unshuffle(2) -> upsample(2)",
    "auxiliary": "y = image -> conv(width, 3)\n    auxiliary head: [3] = y -> global_avg_pool -> linear(3), weight = 0.3",
    "init": 'y = image -> conv(width, 3)\n    init conv.weight = he_normal(fan="out")\n    init linear = xavier_uniform',
    "claims": 'y = image -> conv(width, 3)\n    expect params = 243, macs <= 1M\n    reported error(cifar10) = 5.5%, error("a b") ~ 1e1',
    "maxout": "y = image -> conv(8, 3) -> maxout(2) -> fractional_max_pool(2, ratio=2/3)",
    "imported": "y = image -> basic(3) -> wide(width) -> unit",
    "pooled": "v = image -> spp([4, 2, 1])\n    y = v -> reshape([3, 7, 3])",
}

_HEADS = {
    "imported": 'import std.residual { basic }\nimport std.preact { wide }\nimport "unit.arch" { unit }\n\n',
}

_PROGRAMS = {
    "contract": """block unit(width, stride = 1): [C, H, W] -> [width, ceil(H / stride), W / stride] {
    \"\"\"A unit; with a contract.\"\"\"
    main = in -> conv(width, 3, stride=stride) -> bn
    skip = in if C == width and stride == 1 else (in -> conv(width, 1, stride=stride))
    out  = main + skip -> relu
}

network Net(n = 2) {
    input image: [3, 16, 16]
    a = image -> unit(8, 2) -> unit(8) * n
    output = a -> flatten -> linear(2)
}
""",
    "several": """block two(width) {
    in left: [C, H, W], right
    both = left + right
    out high = both -> conv(width, 3)
    out low  = both -> avg_pool(2)
}

network Net() {
    input a: [4, 8, 8], b: [4, 8, 8]
    h, l = (a, b) -> two(4)
    output high = h -> relu
    output low  = l -> flatten -> linear(3)
}
""",
    "recursion": """block tree(depth, width) {
    require depth >= 0
    if depth == 0 { out = in -> conv(width, 1) }
    else { out = (in -> tree(depth - 1, width)) + (in -> tree(depth - 1, width)) }
}

network Net(depth = 3) {
    input x: [2, 4, 4]
    output = x -> tree(depth, 4)
}
""",
    "values": """widths = [4, 8, 16]
fn double(x) = 2 * x
block unit(layer: layer, width: int = 4, flag: bool = true, name: text = "a", p: number = 1/2) {
    out = in -> layer -> conv(width, 1) -> dropout(p)
}
block row(unit, n) { out = in -> unit * n }

network Net(k: int = 2) {
    input x: [4, 8, 8]
    y = x -> row(unit(relu), k) -> unit(conv(double(widths[1]), 3), flag=false)
    output = y -> flatten -> linear(widths[2])
}

variants {
    small = Net(1), params <= 10K
    large = Net(k = 3), params ~ 4.8K, error(x) = 1%
}
""",
    "recipe": """network Net() {
    input x: [3, 8, 8]
    output = x -> flatten -> linear(10)
}
recipe cifar {
    normalize = per_pixel_mean
    augment   = [pad_crop(4, mode="reflect"), flip]
    optimizer = sgd(lr=0.1, momentum=0.9, nesterov=true, weight_decay=5e-4)
    schedule  = steps(at=[60, 120, 160], gamma=0.2)
    warmup    = warmup(lr=0.01, until_error=0.8)
    epochs    = 200
    batch     = 128
}
""",
    "extern": """extern odd(width): [C, H, W] -> [width, H, W] = "package.module:Class", params = 3 * width

network Net() {
    input x: [3, 8, 8]
    output = x -> odd(4) -> flatten -> linear(2)
}
""",
    "lines": "# α → 𝔸 a comment\r\nnetwork Net() {\r\n\tinput x: [1, 4, 4]\r\n\toutput = x -> flatten\r\n\t\t-> linear(2)\r\n}\r\n",
    "old_mac": "network Net() {\r    input x: [1, 4, 4]  # é\r    output = x\r        -> relu\r}\r",
}

SMALL = {name: _HEADS.get(name, "") + _NET.format("    " + body) for name, body in _BODIES.items()} | _PROGRAMS


def trimmed(text: str) -> str:
    """A spec with one row of each variants table: the others cost time and say nothing new."""
    return re.sub(r"(variants \{\n[^\n]*\n)[^}]*\}", r"\1}", text)


# Seeds for mutation: mostly small ones, for every construct, that are checked fast, so that many mutants can be.
SEEDS = tuple(SMALL.values()) * 8 + tuple(map(trimmed, SPECS.values())) + tuple(LIBRARY.values())

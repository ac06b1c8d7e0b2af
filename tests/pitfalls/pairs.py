"""Mistakes that several rows of the table look at, and the networks that they are made in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import accumulate
from typing import Any

from pitfalls.checks import Counted
from pitfalls.texts import (
    CLAIM,
    PREACT_RESNET_18,
    PREACT_RESNET_18_MENDED,
    RESNEXT_OF_FACTOR_2,
    Pair,
    changed,
    edited,
    instead,
    opened,
    respelt,
)

PROJECTS = "in if in.channels == width and stride == 1 else (pre -> conv(width, 1, stride=stride))"
OPTION = ("basic(option=option)", 'basic(option="{}")')
BIASED = (r"-> conv\(([^()\n]*)\)", r"-> conv(\1, bias=true)")
SHAKE_SUM = "out    = main + (in if in.channels == width and stride == 1 else (in -> shake_shortcut(width, stride)))"


BOTH_SIDES = edited("resnet", ("channel_pad(width)", 'channel_pad(width, where="both")'))
PER_SAMPLE = edited(
    "stochastic-depth",
    (
        "stochastic_depth(convolutions(width, stride), keep)",
        'stochastic_depth(convolutions(width, stride), keep, per="sample")',
    ),
)
ACTIVATED_WEIGHTED = edited("weighted-resnet", ("out  = in + main", "out  = in + main -> relu"))
ACTIVATED_SHAKE = edited("shake-shake", ("branch = relu -> conv", "branch = conv"), (SHAKE_SUM, SHAKE_SUM + " -> relu"))
LATE_DROPOUT = edited(
    "fractalnet",
    ("conv(width, 3) -> dropout(drop) -> bn -> relu", "conv(width, 3) -> bn -> relu -> dropout(drop)"),
)


def shortcut(option: str) -> Pair:
    """ResNet that says option A and has another."""
    return edited("resnet", (OPTION[0], OPTION[1].format(option)))


def rounded(function: str) -> Pair:
    """PyramidNet whose exact widths are made whole in another way."""
    return edited("pyramidnet", ("= round(first", f"= {function}(first"))


def pyramid(depth: int, alpha: int) -> dict[str, Any]:
    """The parameters of a published PyramidNet."""
    return {"depth": depth, "alpha": alpha, "bottleneck": depth != 110}


PREACT = (
    edited("preresnet", ("-> bn -> relu -> global", "-> global")),
    edited("wrn", ("-> bn -> relu -> global", "-> global")),
)
PREACT_18 = Pair(partial(opened, PREACT_RESNET_18_MENDED), partial(opened, PREACT_RESNET_18))
_FIRST = """block first(width) {
    pre  = in -> bn -> relu
    main = pre -> conv(width, 3) -> bn -> relu -> conv(width, 3)
    out  = main + (pre -> conv(width, 1))
}

network WRN"""
NEEDLESS = edited(
    "wrn",
    ("conv1 -> group(unit, n, 16*k)", "conv1 -> first(16*k) -> unit(16*k) * (n - 1)"),
    ("network WRN", _FIRST),
)
RAW = (
    edited("preresnet", ("(pre -> conv(width", "(in -> conv(width")),
    edited("wrn", ("(pre -> conv(width", "(in -> conv(width")),
)
NORMED = tuple(
    edited(spec, ("(pre -> conv(width, 1, stride=stride))", "(pre -> conv(width, 1, stride=stride) -> bn)"))
    for spec in ("preresnet", "wrn")
)
WIDE = {"depth": 28, "k": 10}, {"depth": 40, "k": 4}, {"depth": 16, "k": 8}
STEM = edited("wrn", ("conv1: [16,   32", "conv1: [16*k, 32"), ("image -> conv(16, 3)", "image -> conv(16*k, 3)"))
DENSE = (
    {"depth": 40, "growth": 12, "compact": False, "stem": 16},
    {"depth": 100, "growth": 24, "compact": False, "stem": 16},
    {"depth": 100, "growth": 12},
    {"depth": 190, "growth": 40},
)
_OWN_THETA = (" theta = 1/2 if compact else 1,", "")
HALVED = Pair(
    partial(changed, "densenet", _OWN_THETA, ("transition(theta, drop)", "transition(1/2 if compact else 1, drop)")),
    partial(changed, "densenet", _OWN_THETA, ("transition(theta, drop)", "transition(1/2, drop)")),
)
LAYERS = edited("densenet", ("(6 if compact else 3)", "3"))
EVEN = edited(
    "pyramidnet",
    ("fn additive(", "fn even(x) = round(x) - (1 if x - floor(x) == 1/2 and round(x) % 2 == 1 else 0)\nfn additive("),
    ("= round(first", "= even(first"),
)
CARRY = (
    (
        "fn unit(i) =",
        "fn grown(d, step) = floor(d + step)\n    widths = scan(grown, 16, [alpha / (3*n) for i in 1..3*n])\n    fn unit(i) =",
    ),
    ("form(additive(16, alpha, i, 3*n)", "form(widths[i - 1]"),
)
ANY_FEATURE = (
    ("[feature, 8, 8]", "[_, 8, 8]"),
    ("    feature = (16 + alpha) * (4 if bottleneck else 1)\n", ""),
)
CARRIED = edited("pyramidnet", *CARRY, *ANY_FEATURE)
PYRAMID_RELUS = (
    edited("pyramidnet", ("image -> conv(16, 3) -> bn ", "image -> conv(16, 3) -> bn -> relu ")),
    edited("pyramidnet", ("main = in -> bn -> conv(width, 3", "main = in -> bn -> relu -> conv(width, 3")),
    edited("pyramidnet", ("out  = main + skip", "out  = main + skip -> relu")),
)
PYRAMIDS = (1_772_706, 3_904_446, 28_485_477, 26_752_702, 26_969_046, 26_210_842)


def pyramids(*more: int) -> tuple[tuple[dict[str, Any], int, int], ...]:
    """The published networks with their counts, and how many more a mistake has."""
    named = (
        pyramid(110, 48),
        pyramid(110, 84),
        pyramid(110, 270),
        pyramid(200, 240),
        pyramid(236, 220),
        pyramid(272, 200),
    )
    return tuple(zip(named, PYRAMIDS, more, strict=True))


def added_up(rounding: Callable[[float], int], parameters: dict[str, Any], right: int, more: int) -> Counted:
    """The widths of ports, which add floats: sums that should be whole fall short, or beyond."""
    n = (parameters["depth"] - 2) // (9 if parameters["bottleneck"] else 6)
    sums = accumulate([parameters["alpha"] / (3 * n)] * (3 * n), initial=16.0)
    listed = f"widths = {[rounding(d) for d in sums][1:]}\n    fn unit(i) ="
    pair = edited("pyramidnet", ("fn unit(i) =", listed), CARRY[1], *ANY_FEATURE)
    return Counted(pair, ((parameters, right, more),), refused=False)


OF_FACTOR_2 = instead("resnext", CLAIM.sub("", RESNEXT_OF_FACTOR_2)).swapped()
DEAD = edited(
    "shake-shake",
    (
        SHAKE_SUM,
        "spare  = in -> shake_shortcut(width, stride)\n    out    = main + (in if in.channels == width and stride == 1 else spare)",
    ),
)
PLAIN = respelt(
    "shake-shake",
    r"    active  = .*\n.*\n.*\n    out     = concat.*\n",
    "    out = in -> relu -> conv(width, 1, stride=stride) -> bn\n",
)
NESTED = edited("fractalnet", ("join(deep, shallow, drop=drop_path, mode=mode)", "mean(deep, shallow)"))


def ending(features: int, stem: int, params: str) -> Pair:
    """DenseNet with a growth of 24 and no bottlenecks, said to end in so many features with so many parameters."""
    return edited(
        "densenet",
        (
            "depth = 100, growth = 12, compact = true, stem = 2*growth",
            f"depth = 100, growth = 24, compact = false, stem = {stem}",
        ),
        ("dense3: [_,     8", f"dense3: [{features},  8"),
        ("params = 769_162, macs = 287_929_692", f"params ~ {params}"),
    )

"""Networks for the memory estimate (R35): members of the families with arguments by chance, and stacks of layers by chance."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

FAMILIES: dict[str, dict[str, tuple[object, ...]]] = {
    "lenet-5": {"channels": (1, 3)},
    "all-cnn-c": {},
    "nin": {"padded": (True, False)},
    "dsn": {},
    "highway": {"alternating": (True, False)},
    "fmp": {"k": (2, 4, 8)},
    "fitnet-19": {"pieces": (2, 5)},
    "plain": {"depth": (8, 14, 20, 32)},
    "resnet": {"depth": (8, 14, 20, 32), "option": ("A", "B")},
    "resnet-bottleneck": {"depth": (11, 20, 29)},
    "preresnet": {"depth": (11, 20, 29), "stride_in_3x3": (True, False)},
    "stochastic-depth": {"depth": (8, 14, 20, 32), "last": (1,)},  # a bound is of the step in which no layer is closed
    "swapout": {"depth": (8, 14, 20), "k": (1, 2)},
    "weighted-resnet": {"depth": (10, 22, 34)},
    "wrn": {"depth": (10, 16, 22), "k": (1, 2, 3), "drop": (0, 0.3)},
    "densenet": {"depth": (16, 22, 28), "growth": (6, 12, 16), "compact": (True, False)},
    "pyramidnet": {"depth": (11, 20, 29), "alpha": (9, 18, 27), "bottleneck": (True,)},
    "fractalnet": {"width": (8, 12), "columns": (2, 3)},
    "resnext": {"depth": (11, 20), "cardinality": (2, 4), "base": (8, 16)},
    "shake-shake": {"base": (8, 16)},
}
NORMS = ("bn", "gn(4)", "ln(3)", "instance_norm", "lrn(5)", "bn(affine=false)")
ACTIVATIONS = (
    *(
        "relu",
        "relu6",
        "leaky_relu",
        "prelu",
        'prelu(per="channel")',
        "elu",
        "selu",
        "gelu",
        'gelu(approximate="tanh")',
        "silu",
    ),
    *(
        "sigmoid",
        "tanh",
        "hard_sigmoid",
        "hard_swish",
        "hard_tanh",
        "softmax",
        "maxout(2)",
        "maxout(4)",
        "scale",
        "affine(2, 1)",
    ),
    *("dropout(0.5)", "channel_dropout(0.2)", "identity"),
)
POOLS = ("max_pool(2)", "avg_pool(2)", "max_pool(3, stride=2, padding=1)", "subsample(2)", "pixel_unshuffle(2)")
MERGES = ("{} + {}", "max({}, {})", "{} * {}", "concat({}, {})", "mean({}, {})", "{} - {}")


@dataclass(frozen=True)
class Member:
    """A network of a spec, or of a text of its own."""

    spec: str
    arguments: dict[str, object] = field(default_factory=dict[str, object])
    text: str = ""

    def __str__(self) -> str:
        return self.text or f"{self.spec} {self.arguments}"


def member(seed: int) -> Member:
    """The same one each time."""
    chance = random.Random(f"member/{seed}")
    if seed % 2:
        return Member("stack", text=_stack(chance))
    spec = chance.choice(sorted(FAMILIES))
    return Member(spec, {name: chance.choice(values) for name, values in FAMILIES[spec].items()})


def stack_of(seed: int) -> str:
    """The text of a member with an odd number."""
    return member(seed).text


def _stack(chance: random.Random) -> str:
    """Two to five steps of a convolution, a norm, a function and now and then a pool or two ways that meet."""
    lines, last = ["    input image: [3, 32, 32]"], "image"
    for number in range(chance.randint(2, 5)):
        width, kernel = 4 * chance.randint(2, 12), chance.choice((1, 3, 5))
        layers = [f"conv({width}, {kernel})", chance.choice(NORMS), chance.choice(ACTIVATIONS)]
        if chance.random() < 0.4:
            layers.append(chance.choice(POOLS) if number < 4 else "identity")
        lines.append(f"    h{number} = {last} -> {' -> '.join(layers)}")
        last = f"h{number}"
        if chance.random() < 0.4:
            other = f"({last} -> {chance.choice(ACTIVATIONS[:16])})"
            lines.append(f"    m{number} = {chance.choice(MERGES).format(last, other)}")
            last = f"m{number}"
    end = chance.choice(("global_avg_pool", "global_max_pool", "flatten"))
    lines.append(f"    output label = {last} -> {end} -> linear(10)")
    return "\n".join(["network Stack() {", *lines, "}", ""])

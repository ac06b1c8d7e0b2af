"""Programs made at random: words of the grammar (any derivation of it), and networks that mostly make sense."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache

from lark.grammar import NonTerminal, Rule

from archdsl.ops import OPS
from archdsl.ops.op import Kind, Op, Param
from archdsl.syntax.grammar import build, grammar_text

NUMBERS = ("0", "1", "2", "3", "4", "5", "8", "16", "0.5", "1.5", "10%", "1e-4", "2K", "1/2", "7/3", "64", "-1")
ODD_NUMBERS = (
    *(
        "2147483647",
        "2147483648",
        "999999999999999999",
        "0.000000000000000001",
        "1e40",
        "1e-40",
        "1e41",
        "1_0",
        "9G",
        "00",
    ),
    *("10000", "10001", "10000000", "10000001", "1.5M", "0e0", "1e99", "123456789012345678", "1234567890123456789"),
)
TEXTS = ('"same"', '"valid"', '"A"', '"B"', '"channel"', '"sample"', '"image"', '""', '"a\\"b"', '"é→𝔸"', '"""doc"""')
NAMES = (
    *("x", "y", "image", "width", "n", "depth", "in", "unit", "Net", "main", "skip", "f", "C", "H", "W", "stride"),
    *("conv", "bn", "relu", "linear", "max_pool", "concat", "add", "join", "sum", "flatten", "chain", "group", "basic"),
    *("wide", "floor", "round", "fold", "len", "zip", "cifar10", "params", "macs", "weight", "int", "layer", "std"),
    *("residual", "preact", "stage", "optimizer", "sgd", "lr", "schedule", "epochs", "batch", "error", "learned"),
)


# ---- words of the grammar ---------------------------------------------------------------------------------------


@cache
def _rules() -> dict[str, list[Rule]]:
    found: dict[str, list[Rule]] = {}
    for rule in build(grammar_text()).rules:
        found.setdefault(rule.origin.name, []).append(rule)
    return found


@cache
def _fixed() -> dict[str, str]:
    return {t.name: t.pattern.value for t in build(grammar_text()).terminals if t.pattern.type == "str"}


@cache
def _heights() -> dict[str, int]:
    """The least depth of a derivation of each nonterminal."""
    heights: dict[str, int] = {}
    for _ in range(len(_rules())):
        for name, rules in _rules().items():
            known = [h for rule in rules if (h := _height(rule, heights)) is not None]
            if known:
                heights[name] = min([*known, heights.get(name, 10**6)])
    return heights


def _height(rule: Rule, heights: dict[str, int]) -> int | None:
    parts = [heights.get(s.name) if isinstance(s, NonTerminal) else 0 for s in rule.expansion]
    return None if None in parts else 1 + max((p for p in parts if p is not None), default=0)


def word(rng: random.Random, start: str = "file", room: int = 40) -> str:
    """A random derivation of the grammar as text: every construct in every place it may stand."""
    out: list[str] = []
    stack: list[tuple[str, int]] = [(start, room)]
    while stack:
        name, left = stack.pop()
        if name not in _rules():
            out.append(_terminal(name, rng))
            continue
        rule = _chosen(_rules()[name], left, rng)
        stack.extend((symbol.name, left - 1) for symbol in reversed(rule.expansion))
        if len(out) > 3000:
            break
    return _spaced(out, rng)


def _chosen(rules: list[Rule], left: int, rng: random.Random) -> Rule:
    """Any rule that still fits; the shortest when there is no room."""
    heights = _heights()
    fitting = [rule for rule in rules if (_height(rule, heights) or 0) <= left]
    if fitting:
        return rng.choice(fitting)
    return min(rules, key=lambda rule: _height(rule, heights) or 0)


def _terminal(name: str, rng: random.Random) -> str:
    pools = {"NAME": NAMES, "TEXT": TEXTS, "NEWLINE": ("\n",)}
    if name == "NUMBER":
        return rng.choice(NUMBERS[:12] if rng.random() < 0.9 else ODD_NUMBERS).removeprefix("-").partition("/")[0]
    return rng.choice(pools[name]) if name in pools else _fixed()[name]


def _spaced(words: list[str], rng: random.Random) -> str:
    glue = rng.choice((" ", " ", " ", "  ", "\t"))
    return glue.join(words)


# ---- networks that mostly make sense ----------------------------------------------------------------------------


def program(rng: random.Random) -> str:
    """A file with a few blocks and a network that applies them; sizes often fit, and often do not."""
    blocks = [_block(rng, f"block{i}") for i in range(rng.randint(0, 3))]
    names = [f"block{i}" for i in range(len(blocks))]
    parts = [_imports(rng), *blocks, _network(rng, names)]
    if rng.random() < 0.3:
        parts.append(_variants(rng))
    if rng.random() < 0.15:
        parts.append("recipe r {\n    optimizer = sgd(lr=0.1)\n    epochs = 2\n    batch = 16\n}\n")
    return "\n".join(part for part in parts if part)


def _imports(rng: random.Random) -> str:
    lines = ("import std.residual { basic, bottleneck }", "import std.preact { wide }", "import std.stage { group }")
    return "\n".join(line for line in lines if rng.random() < 0.5)


def _block(rng: random.Random, name: str) -> str:
    contract = rng.choice(("", "", ": [_, H, W] -> [width, _, _]", ": [C, H, W] -> [width, H, W]"))
    steps = [f"    a{i} = {_tensor(rng, ['in', *(f'a{j}' for j in range(i))], [])}" for i in range(rng.randint(0, 3))]
    last = _tensor(rng, ["in", *(f"a{i}" for i in range(len(steps)))], [])
    doc = ['    """A block."""'] if rng.random() < 0.3 else []
    head = f"block {name}(width = {rng.choice(('4', '8', '6'))}, stride = 1){contract} {{"
    return "\n".join([head, *doc, *steps, f"    out = {last} -> conv(width, 1, stride=stride)", "}", ""])


def _network(rng: random.Random, blocks: list[str]) -> str:
    lines = [f"    input image: [{rng.choice(('1', '3', '4'))}, {rng.choice(('8', '16', '32, 8', '7'))}, 8]"]
    if ", 8, 8" in lines[0]:
        lines = ["    input image: [3, 32, 8]"]
    names = ["image"]
    for i in range(rng.randint(1, 6)):
        lines.append(f"    {_statement(rng, f'x{i}', names, blocks)}")
        names.append(f"x{i}")
    lines.append(f"    output: [classes] = {rng.choice(names[-2:])} -> global_avg_pool -> linear(classes)")
    return "\n".join(["network Net(width = 8, n = 2, classes = 3) {", *lines, "}", ""])


def _statement(rng: random.Random, name: str, names: list[str], blocks: list[str]) -> str:
    value = _tensor(rng, names, blocks)
    shape = rng.choice(("", "", "", "", ": [_, _, _]", ": [width, 8, 8]"))
    if rng.random() < 0.06:
        return f"auxiliary {name}: [3] = {value} -> global_avg_pool -> linear(3), weight = 0.3"
    if rng.random() < 0.08:
        return f"if width > {rng.choice(NUMBERS[:8])} {{\n        {name} = {value}\n    }} else {{\n        {name} = image\n    }}"
    return f"{name}{shape} = {value}"


def _tensor(rng: random.Random, names: list[str], blocks: list[str]) -> str:
    roll = rng.random()
    if roll < 0.12:
        merge = rng.choice(("concat", "sum", "mean", "max", "min", "join", "add", "mul"))
        return f"{merge}({', '.join(rng.choice(names) for _ in range(rng.randint(1, 3)))})"
    if roll < 0.24:
        return f"{rng.choice(names)} {rng.choice('+-*')} {rng.choice([*names, '2', '1/2'])}"
    if roll < 0.32:
        merge = rng.choice(("sum", "concat", "join"))
        return f"{merge}({rng.choice(names)} -> {_layer(rng, blocks)} for i in 1..{rng.randint(1, 5)})"
    if roll < 0.36:
        return f"{rng.choice(names)} if width == 8 else ({rng.choice(names)} -> {_layer(rng, blocks)})"
    return " -> ".join([rng.choice(names), *(_layer(rng, blocks) for _ in range(rng.randint(1, 3)))])


def _layer(rng: random.Random, blocks: list[str], room: int = 2) -> str:
    roll = rng.random()
    if roll < 0.35:
        extra = rng.choice(("", "", ", stride=2", ", dilation=2", ', padding="valid"', ", bias=true", ", groups=2"))
        return f"conv({rng.choice(('width', '4', '8', '2*width', '3'))}, {rng.choice('1357')}{extra})"
    if roll < 0.55:
        return rng.choice(("bn", "relu", "relu", "gelu", "identity", "dropout(0.1)", "max_pool(2)", "avg_pool(3)"))
    if roll < 0.65 and blocks:
        return f"{rng.choice(blocks)}({rng.choice(('', '4', '8, 2', 'width=width'))})"
    if roll < 0.72 and room:
        return f"({_layer(rng, blocks, room - 1)} * {rng.choice(('2', '3', 'n', 'n + 1', '0', '1'))})"
    if roll < 0.79 and room:
        return f"chain({_layer(rng, blocks, room - 1)} for k in 1..{rng.randint(1, 4)})"
    if roll < 0.84:
        return rng.choice(("basic(width)", "wide(8)", 'bottleneck(16, option="C")', "group(basic, n, 8, stride=2)"))
    return _primitive(rng, rng.choice(list(OPS.values())))


def _primitive(rng: random.Random, op: Op) -> str:
    given: list[str] = ["relu"] if op.wraps else []
    for param in op.params:
        if param.required or rng.random() < 0.3:
            given.append(f"{param.name}={_value(rng, param)}")
    return f"{op.name}({', '.join(given)})" if given else op.name


_VALUES: dict[Kind, Callable[[random.Random], str]] = {
    Kind.COUNT: lambda r: r.choice("1234"),
    Kind.WHOLE: lambda r: r.choice("0123"),
    Kind.INTEGER: lambda r: r.choice(("-1", "0", "1", "2")),
    Kind.NUMBER: lambda r: r.choice(("0", "1", "1/2", "0.1", "1e-5", "3")),
    Kind.PROBABILITY: lambda r: r.choice(("0", "0.1", "1/2", "50%", "1")),
    Kind.FLAG: lambda r: r.choice(("true", "false")),
    Kind.SIZE: lambda r: r.choice(("1", "2", "3", "[1, 3]", "[2, 2]")),
    Kind.PADDING: lambda r: r.choice(("0", "1", '"same"', '"valid"', "[1, 0]", "[0, 1, 1, 2]")),
    Kind.WHOLES: lambda r: r.choice(("[0]", "[1, 0]", "[2, 0, 1]", "[0, 1, 2]", "[4, 8, 8]")),
    Kind.COUNTS: lambda r: r.choice(("[1]", "[4, 2, 1]", "[3, 8, 8]", "[1, 1, 1]")),
    Kind.MARGIN: lambda r: r.choice(("0", "1", "[0, 1]")),
    Kind.SIDES: lambda r: r.choice(("0", "1", "[1, 2]", "[0, 1, 0, 2]")),
    Kind.TABLE: lambda r: r.choice(("[[0], [1, 2]]", "[[0, 1]]", "[[2], [0]]")),
}


def _value(rng: random.Random, param: Param) -> str:
    if param.choices and rng.random() < 0.95:
        return f'"{rng.choice(param.choices)}"'
    if param.kind not in _VALUES or rng.random() < 0.03:
        return rng.choice((*ODD_NUMBERS, *TEXTS, *NUMBERS, "none", "relu", "image"))
    return _VALUES[param.kind](rng)


def _variants(rng: random.Random) -> str:
    rows = [
        f"    v{i} = Net({rng.choice(('4', '8, 3', 'width=2', ''))}), params <= 1M" for i in range(rng.randint(1, 3))
    ]
    return "\n".join(["variants {", *rows, "}", ""])

"""Random valid programs over all primitives and merges, and everything the language has to combine them.

Shapes are tracked by formulas of our own, so a program that is refused is a finding. `program(seed)` is a text;
`edge(seed)` is a network whose last layer may or may not fit (promises R12 and R13).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from networks.blocks import LIBRARY_NAMES, Made, form, library, make
from networks.layers import keeping, row, towards
from networks.scope import Scope, Shape, Value, small

Statement = Callable[["Writer", Scope], bool]


class Writer:
    """A file being written: its blocks and the bodies of them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.made: list[Made] = []
        self.count = 0

    def fill(self, s: Scope, count: int) -> None:
        """Random statements."""
        for _ in range(count):
            for _ in range(20):
                if self.rng.choice(STATEMENTS)(self, s):
                    break

    def block(self, inputs: tuple[Shape, ...]) -> Made:
        """A new block for these sizes."""
        name = f"{self.rng.choice(('unit', 'cell', 'part', 'Net', 'Conv2d', 'module'))}{self.count}"
        self.count += 1
        made = make(self.rng, name, inputs, LIBRARY_NAMES, lambda s: self.fill(s, self.rng.randint(1, 3)))
        self.made.append(made)
        return made

    def text(self) -> str:
        s = Scope(self.rng, True, set(LIBRARY_NAMES))
        shapes = [self._input(s) for _ in range(s.pick(1, 1, 1, 2))]
        names = [s.name(s.pick("image", "x", "tokens")) if i else s.name("image") for i in range(len(shapes))]
        for name, shape in zip(names, shapes, strict=True):
            s.add(name, shape)
        head = ", ".join(f"{n}: [{', '.join(map(str, x))}]" for n, x in zip(names, shapes, strict=True))
        self.fill(s, s.whole(2, 7))
        self._finish(s)
        params = ", ".join(p.declaration for p in s.params)
        name = s.pick("Net", "Net", "Network", "Module", "Net2d")
        body = "\n".join(f"    {line}" for line in [f"input {head}", *s.lines])
        blocks = "\n".join(made.text for made in self.made)
        own = f"{blocks}\nnetwork {name}({params}) {{\n{body}\n}}\n"
        return f"{library(own)}\n{own}"

    def _input(self, s: Scope) -> Shape:
        kind = s.pick("map", "map", "map", "map", "list", "vector")
        if kind == "map":
            return s.pick(1, 2, 3, 4), s.whole(4, 12), s.whole(4, 12)
        return (s.whole(2, 6), s.pick(4, 6, 8)) if kind == "list" else (s.whole(3, 10),)

    def _finish(self, s: Scope) -> None:
        """Outputs that read most of what is still unread; one or several; sometimes a head for training only."""
        unread = [v for v in s.values if not v.used] or [s.values[-1]]
        for value in unread[:-1]:
            if s.chance(0.15):
                name = s.name("early")
                s.line(f"auxiliary {name} = {value.name} -> flatten -> linear({s.num(3)}), weight = 0.3")
                value.used = True
        rest = [v for v in unread if not v.used] or [s.values[-1]]
        if len(rest) > 1 and s.chance(0.3):
            for value in rest[-3:]:
                s.line(f"output {s.name('label')}{s.annotation(value.shape)} = {value.name}")
            return
        self._gather(s, rest)

    def _gather(self, s: Scope, rest: list[Value]) -> None:
        if len(rest) == 1:
            text, shape = row(s, rest[0].shape, 2, leave=0.2) if s.chance(0.6) else ("identity", rest[0].shape)
            s.line(f"output{s.annotation(shape)} = {rest[0].name} -> {text}")
            return
        parts = [v.name if len(v.shape) == 1 else f"{v.name} -> flatten" for v in rest]
        s.line(f"output = concat({', '.join(parts)}) -> linear({s.num(4)})")


def program(seed: int) -> str:
    """A program that should be valid."""
    return Writer(random.Random(seed)).text()


# --- statements ---------------------------------------------------------------------------------------------------


def plain(w: Writer, s: Scope) -> bool:
    x = s.take()
    assert x is not None
    text, shape = row(s, x.shape)
    s.put(f"{x.name} -> {text}", shape)
    return True


def call_library(w: Writer, s: Scope) -> bool:
    x = s.take()
    assert x is not None
    text, shape = form(s, x.shape)
    s.put(f"{x.name} -> {text}", shape)
    return True


def call_made(w: Writer, s: Scope) -> bool:
    """A block made for these sizes: a new one, or an earlier one again."""
    fits = [m for m in w.made if len(m.inputs) == 1 and s.take(shape=m.inputs[0])]
    if fits and s.chance(0.6):
        made = s.rng.choice(fits)
        x = s.take(shape=made.inputs[0])
    elif len(w.made) < 4 and (x := s.take()) is not None:
        made = w.block((x.shape,))
    else:
        return False
    assert x is not None
    again = " * 2" if made.outputs == made.inputs and s.chance(0.4) else ""
    if len(made.outputs) == 1:
        s.put(f"{x.name} -> {made.name}{made.arguments(s)}{again}", made.outputs[0])
        return True
    names = [s.name() for _ in made.outputs]
    s.line(f"{', '.join(names)} = {x.name} -> {made.name}{made.arguments(s)}")
    for name, shape in zip(names, made.outputs, strict=True):
        s.add(name, shape)
    return True


def call_pair(w: Writer, s: Scope) -> bool:
    """A block of two inputs and two outputs."""
    x, y = s.take(), s.take()
    assert x is not None
    assert y is not None
    if len(x.shape) == len(y.shape) == 3 and x.shape[1:] == y.shape[1:] and s.chance(0.5):
        width = s.whole(1, 4)
        text, outputs = f"meet({s.num(width)})", ((width, *x.shape[1:]),) * 2
    elif len(w.made) < 4:
        made = w.block((x.shape, y.shape))
        text, outputs = f"{made.name}{made.arguments(s)}", made.outputs
    else:
        return False
    names = [s.name() for _ in outputs]
    s.line(f"{', '.join(names)} = ({x.name}, {y.name}) -> {text}")
    for name, shape in zip(names, outputs, strict=True):
        s.add(name, shape)
    return True


def split_in_two(w: Writer, s: Scope) -> bool:
    """Several results: a split, or a block with two outputs."""
    x = s.take()
    assert x is not None
    parts = s.divisor(x.shape[0], 3)
    if len(x.shape) == 3 and s.chance(0.4):
        width = s.whole(1, 3)
        text, shapes = f"split_apart({s.num(width)})", [(width, *x.shape[1:]), (2 * width, *x.shape[1:])]
    elif parts > 1:
        text, shapes = f"split({s.num(parts)})", [(x.shape[0] // parts, *x.shape[1:])] * parts
    else:
        return False
    names = [s.name() for _ in shapes]
    s.line(f"{', '.join(names)} = {x.name} -> {text}")
    for name, shape in zip(names, shapes, strict=True):
        s.add(name, shape)
    return True


def named_layer(w: Writer, s: Scope) -> bool:
    """A layer with a name, applied more than once; or one set of weights for all of its applications."""
    x = s.take()
    assert x is not None
    name = s.name()
    if s.chance(0.6):
        s.line(f"{'shared ' if s.chance(0.5) else ''}{name} = {keeping(s, x.shape)}")
        chain = " -> ".join([name] * s.whole(1, 3))
        merged = s.pick(f"{x.name} -> {chain}", f"{x.name} + ({x.name} -> {chain})", f"{x.name} -> {name} * 2")
        s.put(merged if not (merged.endswith("* 2") and _is_shared(s, name)) else f"{x.name} -> {chain}", x.shape)
        return True
    text, shape = row(s, x.shape, 3)
    s.line(f"{'shared ' if s.chance(0.5) else ''}{name} = {text}")
    other = s.take(shape=x.shape) or x
    s.put(f"{x.name} -> {name}", shape)
    s.put(f"{other.name} -> {name}", shape)
    return True


def _is_shared(s: Scope, name: str) -> bool:
    return s.lines[-1].startswith("shared ") and s.chance(0.5)


def repeat(w: Writer, s: Scope) -> bool:
    x = s.take()
    assert x is not None
    s.put(f"{x.name} -> ({keeping(s, x.shape)}) * {s.factor(s.whole(0, 4))}", x.shape)
    return True


def chain(w: Writer, s: Scope) -> bool:
    """A row of different layers from a comprehension."""
    x = s.take(rank=3)
    if x is None:
        return False
    n, first = s.whole(1, 4), s.whole(1, 3)
    act = s.pick("", " -> relu", " -> bn -> relu")
    if s.chance(0.5):
        text, width = f"chain(conv({s.factor(first)} + i, 3){act} for i in 1..{s.factor(n)})", first + n
    else:
        widths = [s.whole(1, 6) for _ in range(n)]
        text, width = f"chain(conv(c, k){act} for c, k in {[[c, s.pick(1, 3)] for c in widths]})", widths[-1]
    s.put(f"{x.name} -> {text}", (width, *x.shape[1:]))
    return True


def branches(w: Writer, s: Scope) -> bool:
    """A merge over a comprehension: equal shapes, or widths that add up."""
    x = s.take(rank=3)
    if x is None:
        return False
    n, act = s.whole(1, 4), s.pick("", " -> relu", " -> bn -> relu")
    if s.chance(0.4):
        widths = [s.whole(1, 4) for _ in range(n)]
        text, width = f"concat({x.name} -> conv(c, 3){act} for c in {widths})", sum(widths)
    else:
        width = s.whole(1, 4)
        name = s.pick("sum", "mean", "max", "min", "add", "mul", "join")
        kernel = s.pick("3", "2*i - 1", "3, dilation=i")
        n = max(n, 2) if name in ("add", "mul") else n
        text = f"{name}({x.name} -> conv({s.num(width)}, {kernel}){act} for i in 1..{s.factor(n)})"
    s.put(text, (width, *x.shape[1:]))
    return small((width, *x.shape[1:]))


def merge(w: Writer, s: Scope) -> bool:
    """Two or three tensors of one shape made one."""
    x = s.take()
    assert x is not None
    parts = [x.name]
    for _ in range(s.whole(1, 2)):
        y = s.take()
        assert y is not None
        way = "" if y.shape == x.shape else towards(s, y.shape, x.shape)
        if way is None or s.chance(0.3):
            y, way = x, keeping(s, x.shape)
        parts.append(f"({y.name} -> {way})" if way else y.name)
    s.rng.shuffle(parts)
    s.put(_merged(s, parts), x.shape)
    return True


def _merged(s: Scope, parts: list[str]) -> str:
    listed = ", ".join(parts)
    level = s.pick("", ', level="batch"', ', forward="even"', ', backward="even"', ', backward="keep"')
    drop = s.pick("", ", drop=0.15", ', drop=0.15, mode="global"', ', drop=0.5, mode="mixed", per="sample"')
    options = [
        *(f" {sign} ".join(parts) for sign in "+-*"),
        *(f"{name}({listed})" for name in ("sum", "mean", "max", "min", "add", "mul")),
        f"join({listed}{drop})",
        f"join(join({listed}{drop}), {parts[0]}{drop})",
        f"({listed}) -> {s.pick('add', 'mean', 'join', 'max')}",
    ]
    if len(parts) == 2:
        options += [f"shake_add({listed}{level})"] * 3
    return s.rng.choice(options)


def concat(w: Writer, s: Scope) -> bool:
    """Tensors one after the other along some axis."""
    x, y = s.take(), s.take()
    assert x is not None
    assert y is not None
    if len(x.shape) != len(y.shape):
        y = x
    for axis in s.rng.sample(range(len(x.shape)), len(x.shape)):
        others = [i for i in range(len(x.shape)) if i != axis]
        if all(x.shape[i] == y.shape[i] for i in others):
            shape = tuple(x.shape[i] + (y.shape[i] if i == axis else 0) for i in range(len(x.shape)))
            spelled = axis - len(shape) if s.chance(0.3) else axis
            option = f", axis={spelled}" if spelled else ""
            if small(shape):
                s.put(f"concat({x.name}, {y.name}{option})", shape)
                return True
    return False


def squeeze_excite(w: Writer, s: Scope) -> bool:
    """A gate of [C, 1, 1] over a map; or a list or vector of a learned size over all."""
    x = s.take(rank=3)
    if x is None:
        return False
    channels = x.shape[0]
    inner = max(1, channels // 2)
    gate = f"{x.name} -> global_avg_pool -> linear({s.num(inner)}) -> relu -> linear({s.num(channels)}) -> sigmoid"
    y = s.put(f"{gate} -> reshape([{s.num(channels)}, 1, 1])", (channels, 1, 1))
    y.used = True
    s.put(s.pick(f"{x.name} * {y.name}", f"{y.name} * {x.name} + {x.name}", f"max({x.name}, {y.name})"), x.shape)
    return True


def learned(w: Writer, s: Scope) -> bool:
    """A learned tensor, added, multiplied, put in front."""
    x = s.take()
    assert x is not None
    shape = tuple(d if s.chance(0.6) else 1 for d in x.shape)
    name = s.name("token")
    s.line(f"{name} = learned({s.shape(shape)}{s.pick('', ', init=1', ', init=0.02')})")
    if s.chance(0.3) and shape[1:] == x.shape[1:] and small((shape[0] + x.shape[0], *x.shape[1:])):
        s.put(f"concat({name}, {x.name})", (shape[0] + x.shape[0], *x.shape[1:]))
    else:
        s.put(
            s.pick(f"{x.name} + {name}", f"{name} * {x.name}", f"{x.name} - {name}", f"min({name}, {x.name})"), x.shape
        )
    return True


def tokens(w: Writer, s: Scope) -> bool:
    """A map as a list of positions."""
    x = s.take(rank=3)
    if x is None or x.shape[1] * x.shape[2] > 64:
        return False
    channels, positions = x.shape[0], x.shape[1] * x.shape[2]
    s.put(f"{x.name} -> reshape([{s.num(channels)}, -1]) -> permute([1, 0])", (positions, channels))
    return True


def product(w: Writer, s: Scope) -> bool:
    """A matrix product of two lists."""
    x = s.take(rank=2)
    if x is None:
        return False
    n, _ = x.shape
    s.put(
        s.pick(f"matmul({x.name}, {x.name} -> permute([1, 0]))", f"({x.name}, {x.name} -> permute([1, 0])) -> matmul"),
        (n, n),
    )
    return True


def arithmetic(w: Writer, s: Scope) -> bool:
    x = s.take()
    assert x is not None
    n = x.name
    text = s.pick(f"2 * {n}", f"{n} / 2 + 1", f"-{n}", f"1 - {n}", f"{n} * 0.5 - {n}", f"{s.factor(2)} * {n} + 1/3")
    s.put(text, x.shape)
    return True


def surviving(w: Writer, s: Scope) -> bool:
    """A layer that may be left out in training."""
    x = s.take()
    assert x is not None
    keep = s.pick("0.5", "1", "0.8", "1 - 1/4", "0")
    more = s.pick("", ', per="sample"', ", rescale=true", ', per="sample", rescale=true')
    if more.endswith("true") and keep == "0":
        keep = "0.5"
    if s.chance(0.7):
        s.put(f"{x.name} + ({x.name} -> stochastic_depth({keeping(s, x.shape)}, {keep}{more}))", x.shape)
    else:
        text, shape = row(s, x.shape, 2, leave=0)
        s.put(f"{x.name} -> stochastic_depth({text}, keep={keep}{more})", shape)
    return True


def function(w: Writer, s: Scope) -> bool:
    """A function of a tensor, or one that makes layers; folded along a list, or plainly called."""
    x = s.take(rank=3)
    if x is None:
        return False
    name = s.name("step")
    widths = [s.whole(1, 4) for _ in range(s.whole(1, 3))]
    kind = s.pick("fold", "scan", "layer", "tensor")
    if kind == "layer":
        s.line(f"fn {name}(c, k = 3) = conv(c, k) -> {s.pick('bn', 'relu', 'bn -> relu')}")
        s.put(f"{x.name} -> {name}({widths[0]}) -> {name}(c={s.num(widths[-1])}, k=1)", (widths[-1], *x.shape[1:]))
    elif kind == "tensor":
        s.line(f"fn {name}(t, c) = t + (t -> conv(c, 3){s.pick('', ' -> bn')})")
        s.put(f"{name}({name}({x.name}, {x.shape[0]}), {s.num(x.shape[0])})", x.shape)
    elif kind == "fold":
        s.line(f"fn {name}(t, c) = t -> conv(c, 3) -> relu")
        s.put(f"fold({name}, {x.name}, {widths})", (widths[-1], *x.shape[1:]))
    else:
        s.line(f"fn {name}(t, c) = concat(t, t -> conv(c, 3))")
        s.put(f"concat(scan({name}, {x.name}, {widths[:2]}))", _scanned(x.shape, widths[:2]))
    return small(s.values[-1].shape)


def _scanned(x: Shape, widths: list[int]) -> Shape:
    sums = [x[0] + sum(widths[: i + 1]) for i in range(len(widths))]
    return (sum(sums), *x[1:])


def choice(w: Writer, s: Scope) -> bool:
    """A value that depends on a condition: as an expression, and as a statement."""
    x = s.take()
    assert x is not None
    condition, holds = s.pick((f"{s.factor(3)} > 2", True), (f"{s.factor(4)} == 5", False), ("not (1 > 2)", True))
    text, shape = row(s, x.shape, 2)
    if s.chance(0.5):
        taken, other = f"({x.name} -> {text})", x.name
        pair = (taken, other) if holds else (other, taken)
        s.put(f"{pair[0]} if {condition} else {pair[1]}", shape)
        return True
    name = s.name()
    lines = (f"{name} = {x.name} -> {text}", f"{name} = {x.name}")
    first, second = lines if holds else lines[::-1]
    s.line(f"if {condition} {{\n        {first}\n    }} else {{\n        {second}\n    }}")
    s.add(name, shape)
    return True


def listed(w: Writer, s: Scope) -> bool:
    """A list of tensors, read by place and merged."""
    x = s.take()
    assert x is not None
    count = s.whole(1, 3)
    name = s.name("parts")
    if s.chance(0.5) or len(x.shape) != 3:
        items = ", ".join(f"{x.name} -> {keeping(s, x.shape)}" for _ in range(count))
        s.line(f"{name} = [{items}]")
        shape = x.shape
    else:
        s.line(f"{name} = [{x.name} -> conv(c, 1) for c in [{', '.join(['3'] * count)}]]")
        shape = (3, *x.shape[1:])
    s.put(s.pick(f"sum({name})", f"{name}[0] + {name}[{count - 1}]", f"mean({name}) * {name}[0]"), shape)
    return True


STATEMENTS: tuple[Statement, ...] = (
    *(plain, plain, plain, plain, call_library, call_library, call_library, call_made, call_made, call_pair),
    *(split_in_two, named_layer, named_layer, repeat, chain, branches, branches, merge, merge, merge, concat),
    *(squeeze_excite, learned, tokens, product, arithmetic, surviving, function, choice, listed),
)


# --- the edge of validity -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Edge:
    """A program that is valid without its last statement, and the application in that one, which may not fit."""

    prefix: str
    op: str
    shapes: tuple[Shape, ...]
    given: dict[str, Any]

    @property
    def text(self) -> str:
        return self.prefix + f"    output = {self._inputs} -> {self.op}{self._arguments}\n}}\n"

    @property
    def _inputs(self) -> str:
        names = [f"t{i}" for i in range(len(self.shapes))]
        return names[0] if len(names) == 1 else f"({', '.join(names)})"

    @property
    def _arguments(self) -> str:
        parts = [f"{name}={spelled(value)}" for name, value in self.given.items()]
        if self.op == "stochastic_depth":
            parts.insert(0, "relu")
        return f"({', '.join(parts)})" if parts else ""


def spelled(value: Any) -> str:
    """A value as the language writes it."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(spelled, value))}]"
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def edge(seed: int, probes: dict[str, Callable[[Any], Any]], draw: Callable[[random.Random], Any]) -> Edge:
    """A network whose last layer is drawn near the edge of what fits; the layers before it make its inputs."""
    rng = random.Random(seed)
    op = rng.choice([name for name in probes if name != "learned"])
    shapes, given = probes[op](draw(rng))
    s = Scope(rng, True, set())
    lines: list[str] = []
    heads: list[str] = []
    for i, shape in enumerate(shapes):
        way = keeping(s, shape, 2)
        heads.append(f"x{i}: [{', '.join(map(str, shape))}]")
        lines.append(f"    t{i} = x{i} -> {way}\n")
    params = ", ".join(p.declaration for p in s.params)
    prefix = f"network Edge({params}) {{\n    input {', '.join(heads)}\n" + "".join(lines)
    return Edge(prefix, op, shapes, given)

"""What a drawn body knows: its names, its values and their shapes, and how a number may be spelled in it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from math import prod

Shape = tuple[int, ...]

# Names that mean something to Python, to PyTorch or to the generated module itself stand among the others.
NAMES = (
    *("x", "y", "z", "a", "b", "d", "main", "skip", "left", "right", "path", "stem", "head", "body", "gate", "new"),
    *("self", "forward", "train", "training", "torch", "nn", "F", "Tensor", "module", "modules", "parameters", "count"),
    *("lambda", "class", "None", "super", "len", "list", "range", "eval", "apply", "weight", "input_", "add_module"),
    *("conv1", "conv2", "bn1", "bn2", "relu1", "linear2", "layers", "units", "network_", "sample", "outputs", "Join"),
)
LARGEST = 3000  # numbers in a tensor


@dataclass
class Value:
    """A tensor with a name. `used` tells whether something reads it."""

    name: str
    shape: Shape
    used: bool = False


@dataclass
class Param:
    """A parameter of a block or network, made because a number in its body asked for one."""

    name: str
    value: int
    default: int | None

    @property
    def declaration(self) -> str:
        return self.name if self.default is None else f"{self.name} = {self.default}"


@dataclass
class Scope:
    """One body being written."""

    rng: random.Random
    network: bool
    taken: set[str]
    lines: list[str] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    params: list[Param] = field(default_factory=list)
    dims: list[tuple[str, int]] = field(default_factory=list)

    # ---- drawing

    def whole(self, least: int, most: int) -> int:
        return self.rng.randint(least, most)

    def pick(self, *options):
        return self.rng.choice(options)

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def divisor(self, number: int, most: int = 6) -> int:
        return self.rng.choice([n for n in range(1, min(number, most) + 1) if number % n == 0])

    # ---- text

    def name(self, stem: str = "") -> str:
        """A new name: a plain one, or one that a careless generator trips over."""
        base = stem or self.rng.choice(NAMES)
        name, number = base, 1
        while name in self.taken:
            number += 1
            name = f"{base}_{number}"
        self.taken.add(name)
        return name

    def num(self, value: int) -> str:
        """A whole number: its digits, a parameter that has this value, or arithmetic that gives it."""
        if value < 0 or self.chance(0.5):
            return str(value)
        return self.pick(self._parameter, self._parameter, self._dimension, self._sum)(value)

    def factor(self, value: int) -> str:
        """A number that can stand beside `*` and `..`."""
        text = self.num(value)
        return f"({text})" if " " in text else text

    def _parameter(self, value: int) -> str:
        known = [p.name for p in self.params if p.value == value]
        if known:
            return self.rng.choice(known)
        if len(self.params) >= 5:
            return self._sum(value)
        stem = self.pick("width", "n", "k", "growth", "stride", "size")
        default = None if self.chance(0.5) and not self.network else value if self.chance(0.6) else value + 1
        self.params.append(Param(self.name(stem), value, value if self.network else default))
        return self.params[-1].name

    def _dimension(self, value: int) -> str:
        known = [name for name, size in self.dims if size == value]
        double = [f"2 * {name}" for name, size in self.dims if 2 * size == value]
        half = [f"{name} / 2" for name, size in self.dims if size == 2 * value]
        return self.rng.choice([*known, *double, *half, str(value)])

    def _sum(self, value: int) -> str:
        """A constant beside a parameter or size, where there is one."""
        parts = [(p.name, p.value) for p in self.params] + self.dims
        if not parts:
            return f"{value // 2} + {value - value // 2}"
        name, other = self.rng.choice(parts)
        rest = value - other
        if other and value % other == 0 and self.chance(0.5):
            return f"{value // other} * {name}"
        return f"{name} + {rest}" if rest > 0 else f"{name} - {-rest}" if rest else name

    def shape(self, shape: Shape) -> str:
        """A list of sizes, as an argument."""
        return f"[{', '.join(self.num(d) for d in shape)}]"

    def annotation(self, shape: Shape) -> str:
        """`: [...]`, or nothing; some sizes left open."""
        if self.chance(0.6):
            return ""
        return f": [{', '.join('_' if self.chance(0.3) else self.num(d) for d in shape)}]"

    def line(self, text: str) -> None:
        self.lines.append(text)

    # ---- values

    def put(self, text: str, shape: Shape) -> Value:
        """A statement that gives a tensor a name."""
        name = self.name()
        self.line(f"{name}{self.annotation(shape)} = {text}")
        return self.add(name, shape)

    def add(self, name: str, shape: Shape) -> Value:
        assert all(d > 0 for d in shape), (name, shape)
        self.values.append(Value(name, shape))
        return self.values[-1]

    def take(self, rank: int | None = None, shape: Shape | None = None) -> Value | None:
        """One of the values, more likely a fresh one."""
        fits = [v for v in self.values if rank in (None, len(v.shape)) and shape in (None, v.shape)]
        if not fits:
            return None
        value = self.rng.choice(fits[-3:] if self.chance(0.7) else fits)
        value.used = True
        return value


def small(shape: Shape) -> bool:
    """Whether a tensor is small enough for thousands of runs."""
    return prod(shape) <= LARGEST and all(shape) and (len(shape) != 3 or (max(shape[1:]) <= 12 and shape[0] <= 40))

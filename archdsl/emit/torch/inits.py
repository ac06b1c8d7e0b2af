"""How PyTorch says each rule of weight initialisation: one row each, in the order of `archdsl.inits`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from archdsl.emit.torch.printing import number_text
from archdsl.scalar import Number

Arguments = Mapping[str, Number | str]


def rule_text(how: str, weight: str, args: Arguments) -> str:
    """The statement that lets the weight named `weight` start by a rule."""
    function, spell = FUNCTIONS[how]
    return f"nn.init.{function}({', '.join((weight, *spell(args)))})"


def _plain(args: Arguments) -> list[str]:
    return [_option(name, value) for name, value in args.items()]


def _option(name: str, value: Number | str) -> str:
    return f"{name}={value if isinstance(value, str) else number_text(value)}"


def _bare(args: Arguments) -> list[str]:
    return [value if isinstance(value, str) else number_text(value) for value in args.values()]


def _before_relu(args: Arguments) -> list[str]:
    mode = ['mode="fan_out"'] if args.get("fan") == "out" else []
    return [*mode, 'nonlinearity="relu"']


def _before_nothing(args: Arguments) -> list[str]:
    return ['nonlinearity="linear"']


def _gain(args: Arguments) -> list[str]:
    return [] if args.get("gain", 1) == 1 else _plain({"gain": args["gain"]})


def _deviation(args: Arguments) -> list[str]:
    mean = args.get("mean", 0)
    return [*([_option("mean", mean)] if mean != 0 else []), _option("std", args["std"])]


def _cut_off(args: Arguments) -> list[str]:
    """PyTorch's bounds are numbers, not deviations."""
    mean, std = Fraction(args.get("mean", 0)), Fraction(args["std"])
    return [*_deviation(args), _option("a", mean - 2 * std), _option("b", mean + 2 * std)]


FUNCTIONS: dict[str, tuple[str, Callable[[Arguments], list[str]]]] = {
    "he_normal": ("kaiming_normal_", _before_relu),
    "he_uniform": ("kaiming_uniform_", _before_relu),
    "xavier_normal": ("xavier_normal_", _gain),
    "xavier_uniform": ("xavier_uniform_", _gain),
    "lecun_normal": ("kaiming_normal_", _before_nothing),
    "lecun_uniform": ("kaiming_uniform_", _before_nothing),
    "orthogonal": ("orthogonal_", _gain),
    "normal": ("normal_", _deviation),
    "truncated_normal": ("trunc_normal_", _cut_off),
    "uniform": ("uniform_", _bare),
    "constant": ("constant_", _bare),
    "zeros": ("zeros_", lambda args: []),
    "ones": ("ones_", lambda args: []),
}

"""Specs as one text with the library's blocks in it, so that a mistake is one edit; and networks that ports have."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

from zoo import ROOT

_DOC = re.compile(r'\A""".*?"""\n', re.DOTALL)
_LIBRARY = re.compile(r"^import std\.(\w+) \{[^}]*\}.*\n", re.MULTILINE)
_OTHER_FILE = re.compile(r'^import "[^"]+" \{[^}]*\}.*\n', re.MULTILINE)
_TABLES = re.compile(r"^(variants|recipe)\b.*?^\}\n", re.MULTILINE | re.DOTALL)
CLAIM = re.compile(r"^ +expect .*\n", re.MULTILINE)


@cache
def spec(name: str) -> str:
    """A spec's networks with the library's blocks in front of them, without variants and recipes."""
    text = (ROOT / "specs" / f"{name}.arch").read_text(encoding="utf-8")
    return opened(_OTHER_FILE.sub("", _TABLES.sub("", text)))


def opened(text: str) -> str:
    """A text with the library's modules in the places where it imports them, each once."""
    seen: set[str] = set()

    def module(found: re.Match[str]) -> str:
        if found[1] in seen:
            return ""
        seen.add(found[1])
        library = (ROOT / "archdsl" / "std" / f"{found[1]}.arch").read_text(encoding="utf-8")
        return _LIBRARY.sub(module, _DOC.sub("", library))

    return _LIBRARY.sub(module, _DOC.sub("", text))


@dataclass(frozen=True)
class Pair:
    """A right text, and the same with a mistake; read when they are held, so that each row fails by itself."""

    read_right: Callable[[], str]
    read_wrong: Callable[[], str]

    @property
    def right(self) -> str:
        return self.read_right()

    @property
    def wrong(self) -> str:
        return self.read_wrong()

    def swapped(self) -> Pair:
        """The edited text as the one to be held."""
        return Pair(self.read_wrong, self.read_right)


def edited(name: str, *edits: tuple[str, str]) -> Pair:
    """A spec, and the spec after edits of which each must find something."""
    return Pair(partial(spec, name), partial(changed, name, *edits))


def changed(name: str, *edits: tuple[str, str]) -> str:
    """The text of a spec after edits."""
    text = spec(name)
    for old, new in edits:
        assert old in text, f"{name}.arch has no `{old}`"
        text = text.replace(old, new)
    return text


def respelt(name: str, pattern: str, new: str) -> Pair:
    """A spec, and the spec after an edit by a pattern."""

    def wrong() -> str:
        text, count = re.subn(pattern, new, spec(name))
        assert count, f"{name}.arch has no `{pattern}`"
        return text

    return Pair(partial(spec, name), wrong)


def instead(name: str, text: str) -> Pair:
    """A spec, and another network that goes by its name."""
    return Pair(partial(spec, name), partial(opened, text))


def as_it_is(name: str) -> Pair:
    """A spec, whose parameters make the mistake."""
    return edited(name)


# ---- networks that ports have under the papers' names: 10 classes, the claim is that of the network meant

IMAGENET_RESNET_18 = """
import std.residual { basic }
import std.stage { group }

network ResNet() {
    input image: [3, 32, 32]
    conv1 = image -> conv(64, 3) -> bn -> relu
    maps  = conv1 -> group(basic(option="B"), 2, 64) -> group(basic(option="B"), 2, 128, stride=2)
    deep  = maps -> group(basic(option="B"), 2, 256, stride=2) -> group(basic(option="B"), 2, 512, stride=2)
    output: [10] = deep -> global_avg_pool -> linear(10)

    expect params ~ 0.27M
}
"""

PREACT_RESNET_18 = """
import std.preact { preact_basic }
import std.stage { group }

network PreActResNet18() {
    input image: [3, 32, 32]
    maps = image -> conv(64, 3) -> group(preact_basic, 2, 64) -> group(preact_basic, 2, 128, stride=2)
    deep = maps -> group(preact_basic, 2, 256, stride=2) -> group(preact_basic, 2, 512, stride=2)
    output: [10] = deep -> global_avg_pool -> linear(10)
}
"""
PREACT_RESNET_18_MENDED = PREACT_RESNET_18.replace("deep -> global", "deep -> bn -> relu -> global")

DENSENET_OF_FOUR_BLOCKS = """
import std.dense { dense_bottleneck, transition }

network DenseNet(growth = 12) {
    layer  = dense_bottleneck(growth)
    shrink = transition(1/2)

    input image: [3, 32, 32]
    dense1 = image -> conv(2*growth, 3) -> layer * 6 -> shrink -> layer * 12 -> shrink
    dense3: [_, 4, 4] = dense1 -> layer * 24 -> shrink -> layer * 16
    output: [10] = dense3 -> bn -> relu -> global_avg_pool -> linear(10)

    expect params ~ 0.8M
}
"""

RESNEXT_OF_FACTOR_2 = """
import std.resnext { resnext }
import std.stage { group }

network ResNeXt(cardinality = 8, base = 64) {
    d = cardinality * base
    fn unit(inner) = resnext(inner=inner, cardinality=cardinality)

    input image: [3, 32, 32]
    conv1 = image -> conv(64, 1) -> bn -> relu
    conv2 = conv1 -> group(unit(d), 3, 2*d)
    conv3 = conv2 -> group(unit(2*d), 3, 4*d, stride=2)
    conv4 = conv3 -> group(unit(4*d), 3, 8*d, stride=2)
    output: [10] = conv4 -> global_avg_pool -> linear(10)

    expect params = 34_426_698
}
"""

ONE_WEIRD_TRICK = """
import std.conv { conv_relu }

network AlexNet(classes = 1000) {
    shrink = max_pool(3, stride=2)

    input image: [3, 224, 224]
    conv1 = image -> conv_relu(64, 11, stride=4, padding=2) -> shrink
    conv2 = conv1 -> conv_relu(192, 5) -> shrink
    conv5 = conv2 -> conv_relu(384, 3) -> conv_relu(256, 3) -> conv_relu(256, 3) -> shrink
    fc7   = conv5 -> flatten -> linear(4096) -> relu -> linear(4096) -> relu
    output: [classes] = fc7 -> linear(classes)

    expect params = 60_965_224
}
"""

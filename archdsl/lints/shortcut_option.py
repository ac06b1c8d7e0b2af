"""A network that asks for shortcut A projects, or one that asks for B or C does not.

Option A subsamples and pads with zero channels, B projects where the shape changes, C projects everywhere. Taking B
for A adds 2,752 parameters to a CIFAR ResNet of any depth, and that is the most frequent mistake of its ports.

Wrong:

    network ResNet(depth = 20, option = "A") { ... main + (in -> conv(32, 1, stride=2) -> bn) ... }

Right:

    network ResNet(depth = 20, option = "A") { ... main + (in -> subsample(2) -> channel_pad(32)) ... }

Silence it with `# allow: shortcut-option` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import ADDS, NORMS, Step, back, upstream
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """Networks with a parameter `option` or `shortcut` whose units do otherwise."""
    for network in context.networks:
        option = network.parameter("option", "shortcut")
        if not isinstance(option, str) or option.upper() not in ("A", "B", "C"):
            continue
        sums = list(network.flow.named(ADDS))
        padded, projected = _arms(sums, "channel_pad"), [arm for step in sums for arm in _projections(step)]
        wrong = projected if option.upper() == "A" else padded
        for step in wrong[:1]:
            does = "projects" if option.upper() == "A" else "pads with zero channels"
            yield Finding(step.span, f"the network says option {option.upper()}, but this shortcut {does}")


def _arms(sums: list[Step], name: str) -> list[Step]:
    return [arm for step in sums for arm in step.before() if arm.name == name]


def _projections(step: Step) -> Iterator[Step]:
    """1×1 convolutions, normed or not, that lead to a sum from where its other path starts."""
    arms = step.before()
    ends = back(arms, NORMS)
    for arm in ends:
        if arm.is_pointwise() and arm.before():
            others = upstream(other for other in ends if other is not arm)
            if all(id(source) in others for source in arm.before()):
                yield arm


RULE = Rule("L120", "shortcut-option", Severity.WARNING, check)

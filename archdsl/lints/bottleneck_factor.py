"""A bottleneck unit widens by another factor than 4.

Bottlenecks of ResNets, pre-activation ResNets and PyramidNets give out four times their inner width. Other factors
are meant in wide bottlenecks and in ResNeXt (which this rule leaves alone); elsewhere a width and an inner width
were exchanged.

Noted:

    main = in -> conv(16, 1) -> bn -> relu -> conv(16, 3) -> bn -> relu -> conv(32, 1) -> bn

Otherwise:

    main = in -> conv(16, 1) -> bn -> relu -> conv(16, 3) -> bn -> relu -> conv(64, 1) -> bn

Silence it with `# allow: bottleneck-factor` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import ACTIVATIONS, ADDS, NORMS, Step, back
from archdsl.lints.rule import Context, Finding, Rule

_FACTOR = 4
_LAYERS = ACTIVATIONS | NORMS | {"dropout", "stochastic_depth", "bernoulli_mask"}


def check(context: Context) -> Iterator[Finding]:
    """Sums with a path 1×1, k×k, 1×1 that widens by something else."""
    for flow in context.flows():
        for step in flow.named(ADDS):
            for last in back(step.before(), _LAYERS):
                inner = _inner_width(last)
                width = last.outputs[0][0] if last.outputs else 0
                if inner and width > inner and width != _FACTOR * inner:
                    title = f"a bottleneck of {inner} channels that gives out {width}"
                    yield Finding(last.span, title, hint=f"ResNets widen by {_FACTOR}: {_FACTOR * inner}")


def _inner_width(last: Step) -> int | None:
    """The width between two 1×1 convolutions of which `last` is the second."""
    if not last.is_pointwise():
        return None
    for middle in back(last.before(), _LAYERS):
        if middle.name == "conv" and middle.number("kernel") > 1 and middle.number("groups") == 1:
            firsts = back(middle.before(), _LAYERS)
            if firsts and all(first.is_pointwise() for first in firsts):
                return middle.outputs[0][0]
    return None


RULE = Rule("L121", "bottleneck-factor", Severity.NOTE, check)

"""A convolution's bias is followed by batch normalisation, which subtracts it again.

The bias is learned, stored and decayed, and never has any effect: batch normalisation subtracts each channel's mean,
and brings a summand of its own. ResNet-20 with such biases has 688 parameters too many, WRN-28-10 has 10,096.

Wrong:

    x = in -> conv(16, 3, bias=true) -> bn -> relu

Right:

    x = in -> conv(16, 3) -> bn -> relu

Silence it with `# allow: dead-bias` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import CONVS, Step
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """Convolutions and linear maps with a bias that only norms read."""
    for flow in context.flows():
        for step in flow.named(CONVS | {"linear"}):
            if step.attrs.get("bias") and step.readers and all(_subtracts(reader) for reader in step.readers):
                title = "this bias has no effect: the norm after it subtracts the mean"
                hint = f"leave out `bias=true`: {step.outputs[0][0]:,} parameters fewer"
                yield Finding(step.span, title, hint=hint)


def _subtracts(step: Step) -> bool:
    return step.name in ("bn", "instance_norm")


RULE = Rule("L101", "dead-bias", Severity.WARNING, check)

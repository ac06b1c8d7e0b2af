"""A convolution has one group for each channel.

It is a depthwise convolution. `depthwise(kernel)` needs no width and no number of groups that have to be kept equal.

Noted:

    x = in -> conv(32, 3, groups=32)

Otherwise:

    x = in -> depthwise(3)

Silence it with `# allow: depthwise-by-groups` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """Convolutions with as many groups as channels, in and out."""
    for flow in context.flows():
        for step in flow.named(("conv",)):
            groups = step.number("groups")
            if groups > 1 and groups == step.inputs[0][0] == step.outputs[0][0]:
                title = f"{groups} groups of one channel each"
                yield Finding(step.span, title, hint=f"`depthwise({step.number('kernel')})` says the same")


RULE = Rule("L116", "depthwise-by-groups", Severity.NOTE, check)

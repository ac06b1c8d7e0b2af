"""A Shake-Shake unit has a plain strided projection.

The paper's shortcut has two paths, one of them shifted by a pixel, each projected to half of the channels. A single
projection has exactly the same number of parameters (2·(i·o/2) = i·o), so only structure shows it. The ResNeXt form
for CIFAR-100 has the plain one.

Noted:

    skip = in -> relu -> conv(width, 1, stride=2) -> bn

Otherwise:

    skip = in -> shake_shortcut(width, 2)

Silence it with `# allow: plain-shake-shortcut` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import ADDS, NORMS, back
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """Normed, strided projections added to a random sum of ungrouped branches."""
    for flow in context.flows():
        if any(step.number("groups") > 1 for step in flow.named(("conv",))):
            continue
        for step in flow.named(ADDS):
            if not any(arm.name == "shake_add" for arm in step.before()):
                continue
            for projection in back(step.before(), NORMS):
                if projection.is_pointwise() and projection.number("stride") > 1:
                    title = "a plain projection beside Shake-Shake branches"
                    yield Finding(
                        projection.span, title, hint="the paper's shortcut has two paths, one shifted by a pixel"
                    )


RULE = Rule("L130", "plain-shake-shortcut", Severity.NOTE, check)

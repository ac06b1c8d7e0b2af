"""A Shake-Shake unit carries an activated tensor past its branches.

In Shake-Shake networks each branch begins with ReLU and the sum ends the unit, so that what is carried from unit to
unit is never activated. With the ReLU after the sum instead, as in ResNet and in known ports, the parameters are the
same and the carried values can only grow. The ResNeXt form for CIFAR-100 has it so.

Noted:

    main = shake_add(in -> branch, in -> branch)    # branch = conv(w, 3) -> bn -> relu -> conv(w, 3) -> bn
    out  = main + in -> relu

Otherwise:

    main = shake_add(in -> branch, in -> branch)    # branch = relu -> conv(w, 3) -> bn -> relu -> conv(w, 3) -> bn
    out  = main + in

Silence it with `# allow: activated-shake` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import ADDS, RECTIFIERS
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """ReLUs added to a random sum of ungrouped branches."""
    for flow in context.flows():
        if any(step.number("groups") > 1 for step in flow.named(("conv",))):
            continue
        for step in flow.named(ADDS):
            arms = step.before()
            for carried in (arm for arm in arms if arm.name in RECTIFIERS):
                if any(arm.name == "shake_add" for arm in arms):
                    title = "what is carried past Shake-Shake branches is activated"
                    yield Finding(carried.span, title, hint="each branch begins with ReLU, and the sum ends the unit")


RULE = Rule("L134", "activated-shake", Severity.NOTE, check)

"""A pre-activation unit applies ReLU to its sum.

The point of pre-activation is that nothing stands on the path from unit to unit. A ReLU after the sum makes the
residual stream non-negative, so that it can only grow; the unit's own norm and ReLU at its beginning are then
applied to an activated tensor.

Wrong:

    out = main + skip -> relu        # and the next unit begins with bn -> relu

Right:

    out = main + skip

Silence it with `# allow: relu-after-add` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import ADDS, NORMS, RECTIFIERS
from archdsl.lints.rule import Context, Finding, Rule

_SUMS = ADDS | {"shake_add"}


def check(context: Context) -> Iterator[Finding]:
    """ReLUs of a sum that a norm reads."""
    for flow in context.flows():
        for step in flow.named(RECTIFIERS):
            sources = step.before()
            if sources and all(s.name in _SUMS for s in sources) and any(r.name in NORMS for r in step.readers):
                title = "ReLU after the sum, and the next unit begins with a norm"
                yield Finding(step.span, title, hint="pre-activation units end with the sum")


RULE = Rule("L105", "relu-after-add", Severity.WARNING, check)

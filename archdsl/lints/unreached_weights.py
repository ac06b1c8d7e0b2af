"""A layer has weights, and nothing it computes reaches an output.

Such weights get no gradient, but they are counted, stored and decayed. A known port of Shake-Shake builds a
projection for every unit and uses it in two: 65,856 dead parameters of 2.9 million.

Wrong:

    probe = in -> conv(8, 3)
    out   = in -> conv(probe.channels, 1)

Right:

    out = in -> conv(8, 1)

Silence it with `# allow: unreached-weights` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import CONVS, NORMS, upstream
from archdsl.lints.names import bindings
from archdsl.lints.rule import Context, Finding, Rule

_LEARNING = CONVS | NORMS | {"linear", "scale", "bias", "attention", "prelu"}


def check(context: Context) -> Iterator[Finding]:
    """Learning layers whose output leads nowhere although its name is used."""
    unused = {binding.name.text for binding in bindings(context.file) if not binding.uses}
    for flow in context.flows():
        alive = upstream([flow.output, flow.auxiliary])
        said = upstream(step for step in flow.steps if step.node is not None and step.node.statement in unused)
        for step in flow.named(_LEARNING):  # what leads to an unused name is reported there
            if id(step) not in alive and id(step) not in said:
                yield Finding(step.span, f"the weights of this `{step.name}` never reach an output")


RULE = Rule("L126", "unreached-weights", Severity.WARNING, check)

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
from archdsl.lints.flow import CONVS, NORMS, Step, downstream, upstream
from archdsl.lints.names import bindings
from archdsl.lints.rule import Context, Finding, Rule

_LEARNING = CONVS | NORMS | {"linear", "scale", "bias", "attention", "prelu"}


def check(context: Context) -> Iterator[Finding]:
    """Learning layers whose output leads nowhere although its name is used."""
    unused = {binding.name.text for binding in bindings(context.file) if not binding.uses}
    for flow in context.flows():
        alive = upstream([flow.output, flow.auxiliary])
        for step in flow.named(_LEARNING):
            if id(step) not in alive and not _is_said_otherwise(step, unused):
                yield Finding(step.span, f"the weights of this `{step.name}` never reach an output")


def _is_said_otherwise(step: Step, unused: set[str]) -> bool:
    """Whether what it leads to is reported as an unused name."""
    return any(s.node is not None and s.node.statement in unused for s in downstream([step]).values())


RULE = Rule("L126", "unreached-weights", Severity.WARNING, check)

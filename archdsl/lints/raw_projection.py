"""The projection of a pre-activation unit reads the raw input instead of the activated one.

Where the shape changes, pre-activation units compute norm and ReLU once, and both the main path and the 1×1
projection read the result. A projection of the raw input has the same parameters and another function: only
structure shows it.

Wrong:

    main = in -> bn -> relu -> conv(width, 3, stride=2) -> bn -> relu -> conv(width, 3)
    out  = main + (in -> conv(width, 1, stride=2))

Right:

    pre  = in -> bn -> relu
    main = pre -> conv(width, 3, stride=2) -> bn -> relu -> conv(width, 3)
    out  = main + (pre -> conv(width, 1, stride=2))

Silence it with `# allow: raw-projection` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import ACTIVATIONS, ADDS, NORMS, Step
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """1×1 convolutions on a shortcut whose input goes through a norm on the main path."""
    for flow in context.flows():
        for step in flow.named(ADDS):
            for projection in step.before():
                if projection.is_pointwise() and _others(step, projection) and _is_raw(projection):
                    title = "this projection reads the unit's raw input"
                    hint = "let it read what the main path's first norm and ReLU give: `pre = in -> bn -> relu`"
                    yield Finding(projection.span, title, hint=hint)


def _others(step: Step, projection: Step) -> bool:
    """Whether another path of the sum ends in a bare convolution, as in pre-activation units."""
    return any(arm.name == "conv" and arm is not projection for arm in step.before())


def _is_raw(projection: Step) -> bool:
    sources = projection.before()
    return all(
        source.name not in ACTIVATIONS | NORMS and any(reader.name in NORMS for reader in source.readers)
        for source in sources
    )


RULE = Rule("L104", "raw-projection", Severity.WARNING, check)

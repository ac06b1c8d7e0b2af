"""Stochastic depth rescales in training.

The paper multiplies a unit by its survival probability in evaluation and leaves training alone. `rescale=true`
divides in training instead. The expectation before the ReLU is the same, but the batch statistics and the gradients
are not.

Noted:

    main = in -> stochastic_depth(unit, 0.8, rescale=true)

Otherwise:

    main = in -> stochastic_depth(unit, 0.8)

Silence it with `# allow: rescaled-survival` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """Stochastic depth with `rescale=true`."""
    for flow in context.flows():
        for step in flow.named(("stochastic_depth",)):
            if step.attrs.get("rescale"):
                title = "survivors are divided by their probability in training"
                yield Finding(step.span, title, hint="the paper multiplies in evaluation instead: `rescale=false`")


RULE = Rule("L124", "rescaled-survival", Severity.NOTE, check)

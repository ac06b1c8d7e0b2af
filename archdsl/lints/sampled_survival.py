"""Stochastic depth draws for each sample.

The paper draws once for a mini-batch: a unit that falls is not run at all, gets no gradient and leaves its batch
statistics as they are. One draw for each sample (drop-path, as in later networks) has the same expectation, but every
unit is run for all samples, and the statistics see all of them.

Noted:

    main = in -> stochastic_depth(unit, 0.8, per="sample")

Otherwise:

    main = in -> stochastic_depth(unit, 0.8)

Silence it with `# allow: sampled-survival` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """Stochastic depth with one draw for each sample."""
    for flow in context.flows():
        for step in flow.named(("stochastic_depth",)):
            if step.attrs.get("per") == "sample":
                title = "each sample has a draw of its own"
                yield Finding(step.span, title, hint='the paper draws once for the mini-batch: `per="batch"`')


RULE = Rule("L132", "sampled-survival", Severity.NOTE, check)

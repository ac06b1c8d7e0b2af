"""The first unit of a stochastic-depth network never drops.

The paper's linear rule is p_l = 1 - (l/L)(1 - p_L) for unit l = 1 ... L: with 54 units and p_L = 0.5 the first
survives with probability 0.9907. A first unit that always survives comes from counting l from 0.

Wrong:

    chain(unit(keep = 1 - (l - 1)/(L - 1) * 0.5) for l in 1..L)

Right:

    chain(unit(keep = 1 - l/L * 0.5) for l in 1..L)

Silence it with `# allow: survival-rule` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """Units that always survive beside others that do not."""
    for flow in context.flows():
        steps = list(flow.named(("stochastic_depth",)))
        keeps = [step.attrs.get("keep") for step in steps]
        if len(set(keeps)) < 3 or 1 not in keeps:
            continue
        always = steps[keeps.index(1)]
        title = "one unit always survives: the rule is off by one"
        count = len(keeps)
        hint = f"unit l of L survives with 1 - l/L * (1 - p_L); the first of {count} then drops now and then"
        yield Finding(always.span, title, hint=hint)


RULE = Rule("L123", "survival-rule", Severity.WARNING, check)

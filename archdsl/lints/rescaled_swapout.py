"""Swapout is written with dropout, which rescales.

Swapout adds two masked tensors, Θ1·x + Θ2·F(x), and its masks are not divided by their keep probability in training.
`dropout` divides; `bernoulli_mask` does not.

Wrong:

    out = (in -> dropout(0.2)) + (main -> dropout(0.2))

Right:

    out = (in -> bernoulli_mask(0.8)) + (main -> bernoulli_mask(0.8))

Silence it with `# allow: rescaled-swapout` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import ADDS
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """Sums of two tensors that dropout masks."""
    for flow in context.flows():
        for step in flow.named(ADDS):
            masked = [s for s in step.sources if s and all(m.name == "dropout" and m.attrs.get("p") != 0 for m in s)]
            if len(masked) > 1:
                title = "a sum of two tensors after dropout, which rescales what it keeps"
                yield Finding(step.span, title, hint="swapout's masks are `bernoulli_mask(keep)`")


RULE = Rule("L125", "rescaled-swapout", Severity.WARNING, check)

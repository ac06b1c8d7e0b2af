"""Dropout removes nine values of ten or more.

The papers drop between 0.1 and 0.5. A probability of 0.9 and above usually is a keep probability: `dropout(p)` takes
the probability of becoming zero, as PyTorch does, while older code and `bernoulli_mask(keep)` take that of staying.

Wrong:

    x = in -> linear(100) -> relu -> dropout(0.9)

Right:

    x = in -> linear(100) -> relu -> dropout(0.1)

Silence it with `# allow: extreme-dropout` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from archdsl.diagnostic import Severity
from archdsl.lints.rule import Context, Finding, Rule

_MOST = Fraction(9, 10)


def check(context: Context) -> Iterator[Finding]:
    """Dropouts above any that was ever published."""
    for flow in context.flows():
        for step in flow.named(("dropout", "channel_dropout")):
            p = step.attrs.get("p")
            if isinstance(p, (int, Fraction)) and p >= _MOST:
                title = f"this drops {float(100 * p):.4g} % of all values"
                hint = "it is the probability of becoming zero, not that of staying"
                yield Finding(step.span, title, hint=hint)


RULE = Rule("L115", "extreme-dropout", Severity.WARNING, check)

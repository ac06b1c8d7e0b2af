"""A mean is taken of a mean, so that its parts no longer weigh the same.

The mean of a and of the mean of b and c is a/2 + b/4 + c/4. FractalNet's join is one flat mean of all columns that
meet: a third each. Nested `join`s are made one by the language; `mean`s are not.

Wrong:

    out = mean(a, mean(b, c))

Right:

    out = mean(a, b, c)

Silence it with `# allow: nested-means` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import Step
from archdsl.lints.rule import Context, Finding, Rule

_MEANS = frozenset({"mean", "join"})


def check(context: Context) -> Iterator[Finding]:
    """Means that read a mean."""
    for flow in context.flows():
        for step in flow.named(_MEANS):
            if len(step.sources) > 1 and any(s.name in _MEANS and len(s.sources) > 1 for s in step.before()):
                weights = ", ".join(f"1/{n}" for n in _weights(step))
                title = f"a mean of a mean: its parts weigh {weights}"
                yield Finding(step.span, title, hint=f"`{step.name}` takes any number of tensors")


def _weights(step: Step) -> Iterator[int]:
    """The divisor of each part, the means that are read opened once."""
    for sources in step.sources:
        inner = [s for s in sources if s.name in _MEANS]
        yield from [len(step.sources) * len(inner[0].sources)] * len(inner[0].sources) if inner else [len(step.sources)]


RULE = Rule("L110", "nested-means", Severity.WARNING, check)

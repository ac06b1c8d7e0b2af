"""The network ends in a softmax, which the loss applies itself.

Cross-entropy in every framework takes unnormalised scores and applies log-softmax in a numerically safe way. With a
softmax in the network it is applied twice: gradients shrink and training stalls at a loss above 1.46 for ten classes.

Wrong:

    output: [10] = features -> linear(10) -> softmax

Right:

    output: [10] = features -> linear(10)

Silence it with `# allow: softmax-output` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import VIEWS, ahead
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """Softmaxes that nothing follows."""
    for flow in context.flows():
        for step in flow.named(("softmax",)):
            if {flow.output, flow.auxiliary} & set(ahead(step.readers, VIEWS)):
                yield Finding(
                    step.span, "the network ends in a softmax", hint="the loss applies it: give out the scores"
                )


RULE = Rule("L112", "softmax-output", Severity.WARNING, check)

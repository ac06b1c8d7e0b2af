"""A pre-activation trunk ends without the norm and the ReLU that its last unit still owes.

In a pre-activation network every unit begins with norm and ReLU, so the sum that leaves the last unit has had
neither. The papers close the trunk with one more norm and ReLU before pooling. Without them WRN-28-10 has 1,280
parameters too few, pre-activation ResNet-164 has 512 too few, and the classifier sees an unnormalised sum.

Wrong:

    output: [10] = conv4 -> global_avg_pool -> linear(10)

Right:

    output: [10] = conv4 -> bn -> relu -> global_avg_pool -> linear(10)

Silence it with `# allow: missing-final-norm` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import ADDS, GLOBAL_POOLS, VIEWS, ahead
from archdsl.lints.rule import Context, Finding, Rule

_HEAD = GLOBAL_POOLS | {"flatten"}
_TO_OUTPUT = _HEAD | VIEWS | {"linear", "dropout", "softmax", "maxout", "avg_pool", "max_pool"}


def check(context: Context) -> Iterator[Finding]:
    """Sums of a trunk whose units begin with a norm, read by the network's head."""
    for flow in context.flows():
        sums = list(flow.named(ADDS))
        if not any(reader.name in ("bn", "ln", "gn") for step in sums for reader in step.readers):
            continue
        for step in sums:
            for head in step.readers:
                if head.name in _HEAD and flow.output in ahead(head.readers, _TO_OUTPUT):
                    title = "the trunk ends in a sum that no norm and no ReLU follow"
                    hint = "pre-activation units leave them to the next unit; after the last: `-> bn -> relu -> ...`"
                    yield Finding(head.span, title, hint=hint)


RULE = Rule("L102", "missing-final-norm", Severity.WARNING, check)

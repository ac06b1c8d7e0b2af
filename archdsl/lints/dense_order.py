"""A dense layer puts its new channels before the old ones.

DenseNet concatenates [old, new]. The reverse order has the same parameters and the same power, but its weights
cannot be exchanged with any released model.

Noted:

    out = concat(in -> bn -> relu -> conv(12, 3), in)

Otherwise:

    out = concat(in, in -> bn -> relu -> conv(12, 3))

Silence it with `# allow: dense-order` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import upstream
from archdsl.lints.rule import Context, Finding, Rule

_SHRINKING = frozenset(["max_pool", "avg_pool", "upsample", "conv_transpose", "pixel_shuffle", "subsample"])


def check(context: Context) -> Iterator[Finding]:
    """Concatenations of something computed from a block's input, then that input."""
    for flow in context.flows():
        for step in flow.named(("concat",)):
            node = step.node
            if node is None or len(node.inputs) != 2 or node.inputs[1] is not step.graph.inputs[0]:
                continue
            path = [s for s in upstream(step.sources[0]).values() if s.graph is step.graph]
            if path and node.inputs[0] is not node.inputs[1] and not any(s.name in _SHRINKING for s in path):
                yield Finding(
                    step.span, "new channels before the old ones", hint="DenseNet's order is `concat(in, new)`"
                )


RULE = Rule("L122", "dense-order", Severity.NOTE, check)

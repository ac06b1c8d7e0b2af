"""An auxiliary output shares no weights with the main output.

Auxiliary losses (GoogLeNet, deeply supervised nets) help because their gradient reaches layers of the trunk. A head
that reads the image directly trains only itself.

Wrong:

    auxiliary side: [10] = image -> global_avg_pool -> linear(10), weight = 0.3

Right:

    auxiliary side: [10] = conv3 -> global_avg_pool -> linear(10), weight = 0.3

Silence it with `# allow: detached-auxiliary` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import CONVS, NORMS, upstream
from archdsl.lints.rule import Context, Finding, Rule

_LEARNING = CONVS | NORMS | {"linear", "attention", "scale", "learned"}


def check(context: Context) -> Iterator[Finding]:
    """Auxiliary outputs with no learning layer in common with the output."""
    for network in context.networks:
        flow = network.flow
        if not flow.auxiliary.sources:
            continue
        trunk = upstream([flow.output])
        for head in flow.auxiliary.sources:
            shared = [s for key, s in upstream(head).items() if key in trunk and s.name in _LEARNING]
            if head and not shared:
                yield Finding(head[0].span, "this auxiliary output shares no weights with the main output")


RULE = Rule("L127", "detached-auxiliary", Severity.WARNING, check)

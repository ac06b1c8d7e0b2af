"""A pooling window is as large as its map.

It is global pooling, but tied to one image size: on a larger image the network would silently give out several
positions, or fail at the next `flatten`. The global pools say what is meant.

Noted:

    x = features -> avg_pool(8) -> flatten

Otherwise:

    x = features -> global_avg_pool

Silence it with `# allow: pool-as-global` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.rule import Context, Finding, Rule

_POOLS = {"avg_pool": "global_avg_pool", "max_pool": "global_max_pool"}
_SMALL = 2  # a 2×2 window on a 2×2 map is the last of a row of equal pools


def check(context: Context) -> Iterator[Finding]:
    """Pools that leave one position."""
    for flow in context.flows():
        for step in flow.named(_POOLS):
            high, wide = step.inputs[0][1:]
            kernel = step.attrs.get("kernel")
            if min(high, wide) > _SMALL and kernel in (high, (high, wide)) and high == wide:
                title = f"the {high}×{wide} window is as large as its map"
                yield Finding(step.span, title, hint=f"`{_POOLS[step.name]}` says so, for any size")


RULE = Rule("L113", "pool-as-global", Severity.NOTE, check)

"""A post-activation unit averages on its zero-padded shortcut.

ResNet's shortcut A takes every second pixel; stochastic depth and PyramidNet take the mean of 2×2 pixels. Both have
no parameters, so no count can tell them apart, and their outputs differ.

Noted:

    skip = in -> avg_pool(2) -> channel_pad(width)

Otherwise, for ResNet:

    skip = in -> subsample(2) -> channel_pad(width)

Silence it with `# allow: averaged-shortcut` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import ADDS, RECTIFIERS
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """Zero-padded averages added to a plain main path and then activated."""
    for flow in context.flows():
        for step in flow.named(ADDS):
            if not step.readers or not all(reader.name in RECTIFIERS for reader in step.readers):
                continue
            arms = step.before()
            if any(arm.name == "stochastic_depth" for arm in arms):
                continue
            for pool in (source for arm in arms if arm.name == "channel_pad" for source in arm.before()):
                if pool.name == "avg_pool":
                    title = "a zero-padded shortcut that averages"
                    yield Finding(pool.span, title, hint="ResNet's shortcut A is `subsample(2) -> channel_pad(width)`")


RULE = Rule("L118", "averaged-shortcut", Severity.NOTE, check)

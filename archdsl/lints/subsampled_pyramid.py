"""A pyramidal unit subsamples on its zero-padded shortcut.

PyramidNet's shortcut is a 2×2 average, then zero channels; only ResNet's shortcut A takes every second pixel. The
parameters are the same either way.

Noted:

    out = (in -> bn -> conv(w, 3, stride=2) -> bn) + (in -> subsample(2) -> channel_pad(w))

Otherwise:

    out = (in -> bn -> conv(w, 3, stride=2) -> bn) + (in -> avg_pool(2) -> channel_pad(w))

Silence it with `# allow: subsampled-pyramid` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import ACTIVATIONS, ADDS, NORMS
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """Zero-padded subsamples added to a path that ends in a norm, with no ReLU after the sum."""
    for flow in context.flows():
        for step in flow.named(ADDS):
            arms = step.before()
            if any(r.name in ACTIVATIONS for r in step.readers) or not any(arm.name in NORMS for arm in arms):
                continue
            for source in (source for arm in arms if arm.name == "channel_pad" for source in arm.before()):
                if source.name == "subsample":
                    title = "a pyramidal unit whose shortcut subsamples"
                    yield Finding(source.span, title, hint="PyramidNet averages: `avg_pool(2)`")


RULE = Rule("L119", "subsampled-pyramid", Severity.NOTE, check)

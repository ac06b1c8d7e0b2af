"""A zero-padded shortcut has zero channels on both sides.

ResNet's shortcut A appends zero channels after the others. A known port puts half of them in front: the parameters are
the same, each channel is added to another one, and weights cannot be exchanged.

Noted:

    skip = in -> subsample(2) -> channel_pad(width, where="both")

Otherwise:

    skip = in -> subsample(2) -> channel_pad(width)

Silence it with `# allow: zeros-on-both-sides` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import ADDS
from archdsl.lints.rule import Context, Finding, Rule

_HINT = "shortcut A appends them: `channel_pad(width)`"


def check(context: Context) -> Iterator[Finding]:
    """Summands that are padded in front, too."""
    for flow in context.flows():
        for step in flow.named(ADDS):
            for pad in (arm for arm in step.before() if arm.name == "channel_pad"):
                if pad.attrs.get("where") == "both":
                    yield Finding(pad.span, "a shortcut with zero channels on both sides", hint=_HINT)


RULE = Rule("L133", "zeros-on-both-sides", Severity.NOTE, check)

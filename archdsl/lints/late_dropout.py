"""A column of a fractal network drops after its ReLU.

FractalNet's authors drop between the convolution and its norm, so that the norm sees what is left. Ports drop what
comes out of the ReLU; the parameters are the same.

Noted:

    out = in -> conv(width, 3) -> bn -> relu -> dropout(0.2)

Otherwise:

    out = in -> conv(width, 3) -> dropout(0.2) -> bn -> relu

Silence it with `# allow: late-dropout` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import RECTIFIERS
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """Dropouts between a ReLU and a convolution or a join, in networks with joins."""
    for flow in context.flows():
        if not any(flow.named(("join",))):
            continue
        for step in flow.named(("dropout",)):
            activated = all(source.name in RECTIFIERS for source in step.before())
            if activated and any(reader.name in ("conv", "join") for reader in step.readers):
                title = "dropout after the ReLU of a fractal column"
                yield Finding(step.span, title, hint="FractalNet's order is conv, dropout, norm, ReLU")


RULE = Rule("L136", "late-dropout", Severity.NOTE, check)

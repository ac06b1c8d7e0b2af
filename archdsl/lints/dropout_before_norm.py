"""Dropout is followed by batch normalisation in a residual network.

Dropout changes the variance between training and evaluation, and the norm's running average is taken in training,
so in evaluation it divides by the wrong number. Wide residual networks have dropout between the second ReLU and the
second convolution; a known port has it before the norm, with the same parameters and a reported loss of accuracy.

Wrong:

    main = pre -> conv(width, 3) -> dropout(0.3) -> bn -> relu -> conv(width, 3)

Right:

    main = pre -> conv(width, 3) -> bn -> relu -> dropout(0.3) -> conv(width, 3)

Silence it with `# allow: dropout-before-norm` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import ADDS
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """Dropouts that batch norm reads, in networks of residual units (FractalNet's authors have it so on purpose)."""
    for flow in context.flows():
        if not any(flow.named(ADDS)) or any(flow.named(("join",))):
            continue
        for step in flow.named(("dropout", "channel_dropout")):
            if step.attrs.get("p") != 0 and any(reader.name == "bn" for reader in step.readers):
                title = "dropout in front of a batch norm"
                yield Finding(step.span, title, hint="put it after the norm and the ReLU, before the convolution")


RULE = Rule("L109", "dropout-before-norm", Severity.WARNING, check)

"""Norm and ReLU are followed by another norm.

It is what becomes of a stem written as conv-bn-relu in front of pre-activation or dense units, which begin with a
norm themselves. The papers' stems are a bare convolution there (DenseNet: 48 parameters fewer for a stem of 24
channels) or a convolution and a norm without ReLU (PyramidNet, Shake-Shake).

Noted:

    conv1 = image -> conv(24, 3) -> bn -> relu
    x     = conv1 -> dense_layer(12)

Otherwise:

    conv1 = image -> conv(24, 3)
    x     = conv1 -> dense_layer(12)

Silence it with `# allow: twice-normed` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import NORMS, RECTIFIERS
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """ReLUs between two norms."""
    for flow in context.flows():
        for step in flow.named(RECTIFIERS):
            if any(s.name in NORMS for s in step.before()) and any(r.name in NORMS for r in step.readers):
                title = "normed and activated, then normed again"
                yield Finding(step.span, title, hint="in front of units that begin with a norm the stem needs no ReLU")


RULE = Rule("L106", "twice-normed", Severity.NOTE, check)

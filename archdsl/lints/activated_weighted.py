"""A weighted residual unit applies ReLU to its sum.

The branch of a weighted residual unit ends in ReLU and is multiplied by a learned number between −1 and 1, so that a
unit can add and take away. A ReLU after the sum, as in ResNet, cuts off what is taken away below zero; the parameters
are the same.

Noted:

    out = in + (main -> scale(init=0)) -> relu

Otherwise:

    out = in + (main -> scale(init=0))

Silence it with `# allow: activated-weighted` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import ADDS, RECTIFIERS, Step
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """ReLUs of a sum with a scaled part."""
    for flow in context.flows():
        for step in flow.named(RECTIFIERS):
            sources = step.before()
            if sources and all(_is_weighted(source) for source in sources):
                yield Finding(step.span, "ReLU after a weighted sum", hint="weighted residual units end with the sum")


def _is_weighted(step: Step) -> bool:
    return step.name in ADDS and any(arm.name == "scale" for arm in step.before())


RULE = Rule("L135", "activated-weighted", Severity.NOTE, check)

"""Two convolutions or linear maps follow each other with nothing non-linear between them.

Their product is one linear map with a larger kernel: the second adds parameters and depth, and hardly any function.
Not meant are low-rank pairs (the middle narrower than both ends), pairs of rectangular kernels and depthwise
convolutions with their pointwise one.

Wrong:

    x = in -> conv(64, 3) -> conv(64, 3)

Right:

    x = in -> conv(64, 3) -> relu -> conv(64, 3)

Silence it with `# allow: linear-stack` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Label, Severity
from archdsl.lints.flow import VIEWS, Step, ahead, back
from archdsl.lints.rule import Context, Finding, Rule

_THROUGH = VIEWS | {"dropout", "channel_dropout"}


def check(context: Context) -> Iterator[Finding]:
    """Pairs of dense maps that read each other directly."""
    for flow in context.flows():
        for step in flow.named(("conv", "linear")):
            if _is_separate(step) or flow.auxiliary in ahead(step.readers, VIEWS):
                continue
            for first in back(step.before(), _THROUGH):
                if first.name in ("conv", "linear") and not _is_separate(first) and not _is_low_rank(first, step):
                    title = f"`{first.name}` and `{step.name}` with nothing non-linear between them"
                    others = (Label(first.span, "the first"),) if first.span != step.span else ()
                    yield Finding(step.span, title, others=others, hint="put an activation between them")


def _is_separate(step: Step) -> bool:
    """A convolution of single channels, or of rows or columns only."""
    kernel = step.attrs.get("kernel")
    rectangular = isinstance(kernel, tuple) and kernel[0] != kernel[-1]
    return rectangular or (step.name == "conv" and step.number("groups") == step.inputs[0][0] > 1)


def _is_low_rank(first: Step, second: Step) -> bool:
    middle = first.outputs[0][0]
    return middle < first.inputs[0][0] and middle < second.outputs[0][0]


RULE = Rule("L108", "linear-stack", Severity.WARNING, check)

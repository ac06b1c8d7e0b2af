"""A strided 1×1 convolution stands on the main path, before a larger kernel that could stride instead.

A 1×1 kernel with stride 2 reads one pixel of four and drops the others unseen. With the stride in the 3×3
convolution after it every pixel is read; parameters are the same, and the cost rises a little (pre-activation
ResNet-164: 244.5M to 247.6M multiply-accumulates). The first releases of both ResNets stride in the 1×1, so it is a
note.

Noted:

    main = in -> conv(64, 1, stride=2) -> bn -> relu -> conv(64, 3) -> bn

Otherwise:

    main = in -> conv(64, 1) -> bn -> relu -> conv(64, 3, stride=2) -> bn

Silence it with `# allow: strided-pointwise` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import ACTIVATIONS, CONVS, NORMS, Step, ahead
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """Strided 1×1 convolutions whose output a larger convolution reads."""
    for flow in context.flows():
        for step in flow.named(("conv",)):
            if step.is_pointwise() and step.number("stride") > 1 and _feeds_a_window(step):
                stride = step.number("stride")
                title = f"this 1×1 convolution reads one pixel of {stride * stride} and drops the others"
                yield Finding(step.span, title, hint="the larger convolution after it could carry the stride")


def _feeds_a_window(step: Step) -> bool:
    following = ahead(step.readers, ACTIVATIONS | NORMS)
    return any(s.name in CONVS and s.number("kernel") > 1 and s.number("stride") == 1 for s in following)


RULE = Rule("L111", "strided-pointwise", Severity.NOTE, check)

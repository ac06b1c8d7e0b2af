"""The projection on the shortcut of a pre-activation unit is followed by a norm.

In pre-activation units the shortcut is a bare 1×1 convolution: everything that is added stays unnormalised until
the next unit's own norm. A norm there adds 2,240 parameters to WRN-28-10 and 896 to pre-activation ResNet-164,
whose total is then exactly that of the post-activation network: the count alone cannot tell them apart.

Wrong:

    skip = pre -> conv(width, 1, stride=stride) -> bn

Right:

    skip = pre -> conv(width, 1, stride=stride)

Silence it with `# allow: normed-projection` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import ADDS, NORMS, Step, upstream
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """Sums of a bare convolution and a normed 1×1 convolution that starts where the other path starts."""
    for flow in context.flows():
        for step in flow.named(ADDS):
            bare = [arm for arms in step.sources for arm in arms if arm.name == "conv"]
            for norm in step.before():
                if bare and norm.name in NORMS and _projects(norm, bare):
                    title = "the projection of a pre-activation unit has a norm"
                    hint = "take the norm away: the next unit normalises the sum"
                    yield Finding(norm.span, title, hint=hint)


def _projects(norm: Step, bare: list[Step]) -> bool:
    """Whether what is normed is a 1×1 convolution of something that the main path is computed from."""
    sources = norm.before()
    if not sources or not all(conv.is_pointwise() for conv in sources):
        return False
    main = upstream(bare)
    return all(id(start) in main for conv in sources for start in conv.before())


RULE = Rule("L103", "normed-projection", Severity.WARNING, check)

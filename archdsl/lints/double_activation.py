"""An activation is applied to the output of an activation.

ReLU of ReLU is ReLU; sigmoid of ReLU never goes below one half. Usually one of the two was left over where two blocks
meet: a unit that ends with ReLU in front of one that begins with it, as when Shake-Shake units end like ResNet's.

Wrong:

    x = in -> conv(16, 3) -> relu -> relu

Right:

    x = in -> conv(16, 3) -> relu

Silence it with `# allow: double-activation` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Label, Severity
from archdsl.lints.flow import ACTIVATIONS
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """Activations that read nothing but activations."""
    for flow in context.flows():
        for step in flow.named(ACTIVATIONS):
            sources = step.before()
            if sources and all(source.name in ACTIVATIONS for source in sources):
                names = " or ".join(sorted({f"`{source.name}`" for source in sources}))
                others = tuple(Label(s.span, "activated here") for s in sources[:1] if s.span != step.span)
                yield Finding(step.span, f"`{step.name}` of an output of {names}", others=others, hint="leave out one")


RULE = Rule("L107", "double-activation", Severity.WARNING, check)

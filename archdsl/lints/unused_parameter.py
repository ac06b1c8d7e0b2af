"""A parameter of a block, network or function is never used.

Whoever sets it expects an effect. A known DenseNet port takes a stem width and ignores it, which costs 619,164
parameters at 190 layers.

Wrong:

    block unit(width, stride = 1) { out = in -> conv(width, 3) }

Right:

    block unit(width, stride = 1) { out = in -> conv(width, 3, stride=stride) }

Silence it with `# allow: unused-parameter` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.names import bindings
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """Parameters that no statement, default or contract refers to."""
    for binding in bindings(context.file):
        if binding.kind == "parameter" and not binding.uses and not binding.name.text.startswith("_"):
            title = f"parameter `{binding.name.text}` of `{binding.owner}` is never used"
            yield Finding(binding.name.span, title)


RULE = Rule("L303", "unused-parameter", Severity.WARNING, check)

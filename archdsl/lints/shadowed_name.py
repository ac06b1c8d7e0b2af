"""A name hides another of the file or of the block around it.

Inside, the outer one cannot be reached any more, and a reader who knows it will read the wrong one. Parameters may be
called like a primitive (`dropout`), since a primitive is only ever called.

Wrong:

    widths = [16, 32, 64]
    network Net(widths = 3) { ... }

Right:

    widths = [16, 32, 64]
    network Net(count = 3) { ... }

Silence it with `# allow: shadowed-name` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Label, Severity
from archdsl.lints.names import bindings
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """Names that another one in sight already has."""
    for binding in bindings(context.file):
        outer = binding.outer
        if outer is not None and binding.kind != "dimension" and binding.name.text != "_":
            others = (Label(outer.name.span, "this one"),)
            title = f"`{binding.name.text}` hides another `{binding.name.text}`"
            yield Finding(binding.name.span, title, others=others, hint="give one of them another name")


RULE = Rule("L305", "shadowed-name", Severity.WARNING, check)

"""A name is given a value that nothing uses.

What is computed for it costs time and weights and reaches no output; or the line that should have used it names
another. A name that begins with an underscore may go unused.

Wrong:

    pre  = in -> bn -> relu
    main = in -> conv(16, 3)        # meant: pre -> conv(16, 3)

Right:

    pre  = in -> bn -> relu
    main = pre -> conv(16, 3)

Silence it with `# allow: unused-name` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.names import bindings
from archdsl.lints.rule import Context, Finding, Rule

_WHAT = {"name": "is given a value", "input": "is taken in", "loop": "counts", "fn": "is declared"}


def check(context: Context) -> Iterator[Finding]:
    """Names inside blocks and networks that nothing refers to."""
    for binding in bindings(context.file):
        inside = binding.kind in ("name", "input") or (binding.kind == "fn" and binding.owner)
        if inside and not binding.uses and not binding.name.text.startswith("_"):
            yield Finding(binding.name.span, f"`{binding.name.text}` {_WHAT[binding.kind]} and never used")


RULE = Rule("L302", "unused-name", Severity.WARNING, check)

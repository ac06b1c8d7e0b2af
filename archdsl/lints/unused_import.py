"""An imported name is never used.

Wrong:

    import std.preact { wide, basic }        # and only `wide` below

Right:

    import std.preact { wide }

Silence it with `# allow: unused-import` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.names import bindings
from archdsl.lints.rule import Context, Finding, Rule


def check(context: Context) -> Iterator[Finding]:
    """Imports that nothing in the file refers to; an imported recipe is the file's own by being imported."""
    for binding in bindings(context.file):
        if binding.kind == "import" and not binding.uses and binding.name.text not in context.recipes:
            yield Finding(binding.name.span, f"`{binding.name.text}` is imported and never used")


RULE = Rule("L301", "unused-import", Severity.WARNING, check)

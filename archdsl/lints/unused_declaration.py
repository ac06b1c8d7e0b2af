"""A block, function, constant or extern of a file with networks is used by none of them.

Files without a network are libraries, and this rule leaves them alone.

Wrong:

    block bottleneck(width) { ... }
    network Net() { ... in -> basic(16) ... }

Right:

    network Net() { ... in -> basic(16) ... }

Silence it with `# allow: unused-declaration` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.names import bindings
from archdsl.lints.rule import Context, Finding, Rule

_KINDS = {"block": "block", "fn": "function", "constant": "constant", "extern": "extern"}


def check(context: Context) -> Iterator[Finding]:
    """Declarations at the top of a file that nothing refers to."""
    found = bindings(context.file)
    if not any(binding.kind == "network" for binding in found):
        return
    for binding in found:
        if binding.kind in _KINDS and not binding.owner and not binding.uses:
            yield Finding(binding.name.span, f"{_KINDS[binding.kind]} `{binding.name.text}` is never used")


RULE = Rule("L304", "unused-declaration", Severity.WARNING, check)

"""Two rows of a variants table are the same network.

Usually a row was copied and its numbers were not changed.

Wrong:

    variants {
        wrn_40_4 = WRN(40, 4)
        wrn_16_4 = WRN(40, 4)
    }

Right:

    variants {
        wrn_40_4 = WRN(40, 4)
        wrn_16_4 = WRN(16, 4)
    }

Silence it with `# allow: repeated-variant` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Label, Severity
from archdsl.lints.rule import Context, Finding, Rule
from archdsl.syntax import ast


def check(context: Context) -> Iterator[Finding]:
    """Rows whose calls read the same, spaces aside."""
    for declaration in context.file.declarations:
        if not isinstance(declaration, ast.Variants):
            continue
        first: dict[str, ast.Variant] = {}
        for row in declaration.rows:
            call = "".join(row.call.span.text.split())
            earlier = first.setdefault(call, row)
            if earlier is not row:
                others = (Label(earlier.call.span, f"as `{earlier.name.text}`"),)
                yield Finding(row.call.span, f"`{row.name.text}` repeats `{earlier.name.text}`", others=others)


RULE = Rule("L204", "repeated-variant", Severity.WARNING, check)

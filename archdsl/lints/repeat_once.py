"""A layer is repeated once.

`unit * 1` is `unit`. Usually a number was left over from another network of the family.

Noted:

    x = in -> basic(16) * 1

Otherwise:

    x = in -> basic(16)

Silence it with `# allow: repeat-once` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.names import expressions
from archdsl.lints.rule import Context, Finding, Rule
from archdsl.syntax import ast


def check(context: Context) -> Iterator[Finding]:
    """Products of a layer with a literal 1: the operand before it stands right of an arrow."""
    for value in expressions(context.file):
        if isinstance(value, ast.Arrow):
            for part in value.parts[1:]:
                if isinstance(part, ast.Chained) and part.operators[-1].text == "*" and _is_one(part.operands[-1]):
                    yield Finding(part.span, "repeated once", hint=f"`{part.operands[0].span.text}`")


def _is_one(value: ast.Expr) -> bool:
    return isinstance(value, ast.Number) and value.value == 1


RULE = Rule("L306", "repeat-once", Severity.NOTE, check)

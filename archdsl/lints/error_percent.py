"""An error rate is above 100 %.

Numbers are exact and `%` is a unit: `4.00` is four hundred percent, `4.00%` is the paper's number.

Wrong:

    wrn_28_10 = WRN(28, 10), error(cifar10) = 4.00

Right:

    wrn_28_10 = WRN(28, 10), error(cifar10) = 4.00%

Silence it with `# allow: error-percent` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.rule import Context, Finding, Rule
from archdsl.syntax import ast

_RATES = frozenset({"error", "top1", "top5", "accuracy"})


def check(context: Context) -> Iterator[Finding]:
    """Claims on rates with a value above 1."""
    for claim in _claims(context.file):
        if claim.metric.text in _RATES and isinstance(claim.value, ast.Number) and claim.value.value > 1:
            percent = f"{float(100 * claim.value.value):,.4g} %"
            hint = f"`{claim.value.span.text}%`"
            yield Finding(claim.value.span, f"{claim.metric.text} of {percent}", hint=hint)


def _claims(file: ast.File) -> Iterator[ast.Claim]:
    for declaration in file.declarations:
        if isinstance(declaration, ast.Variants):
            yield from (claim for row in declaration.rows for claim in row.claims)
        elif isinstance(declaration, ast.Block):
            yield from (c for s in declaration.body if isinstance(s, ast.Claims) for c in s.claims)


RULE = Rule("L203", "error-percent", Severity.WARNING, check)

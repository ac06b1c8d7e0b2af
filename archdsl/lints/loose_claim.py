"""A claimed number is printed with so few digits that another network would meet it too.

`~` claims that the exact number rounds to the digits printed, so `2M` holds for anything from 1.5 to 2.5 million. The
mistakes that ports make are smaller: shortcut B for A adds 1 % to ResNet-20, a missing last norm takes 0.03 % from
pre-activation ResNet-164. The exact number costs nothing: `archdsl summary` prints it.

Noted:

    expect params ~ 2M

Otherwise:

    expect params = 1_727_962

Silence it with `# allow: loose-claim` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from archdsl.diagnostic import Severity
from archdsl.lints.rule import Context, Finding, Rule
from archdsl.syntax import ast

_LOOSE = Fraction(1, 5)


def check(context: Context) -> Iterator[Finding]:
    """Rounded claims whose last digit is worth a fifth of the number or more."""
    for declaration in context.file.declarations:
        if isinstance(declaration, ast.Block):
            yield from (f for s in declaration.body if isinstance(s, ast.Claims) for f in _loose(s.claims))
        elif isinstance(declaration, ast.Variants):
            yield from (f for row in declaration.rows for f in _loose(row.claims))


def _loose(claims: tuple[ast.Claim, ...]) -> Iterator[Finding]:
    exact = {claim.metric.text for claim in claims if claim.operator.text == "="}
    for claim in claims:
        value = claim.value
        if claim.operator.text != "~" or claim.metric.text in exact or not isinstance(value, ast.Number):
            continue
        if value.value > 0 and value.unit / Fraction(value.value) >= _LOOSE:
            share = float(50 * value.unit / Fraction(value.value))
            yield Finding(claim.span, f"this holds for anything within {share:.3g} % of {value.span.text}")


RULE = Rule("L202", "loose-claim", Severity.NOTE, check)

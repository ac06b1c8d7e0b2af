"""A number quoted from the paper differs from the computed one by a factor of three or more.

`reported` numbers are quoted and not checked, since papers count differently. But a factor of three is no
convention: a unit was lost (`36.5` for `36.5M`), or another network's number was copied. The lecture's 10.2M for
stochastic depth with 1202 layers are in truth 19.4M, which this rule lets pass; 1.7 for 1.7M it does not.

Wrong:

    reported params ~ 36.5

Right:

    reported params ~ 36.5M

Silence it with `# allow: claim-magnitude` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from archdsl.diagnostic import Severity
from archdsl.lints.rule import Context, Finding, Network, Rule
from archdsl.syntax import ast

_FACTOR = 3


def check(context: Context) -> Iterator[Finding]:
    """Quoted parameters and costs of networks without variants of their own."""
    for block in context.file.declarations:
        if not isinstance(block, ast.Block):
            continue
        network = next((n for n in context.networks if n.graph.name == block.name.text and n.variant is None), None)
        for statement in block.body:
            if network and isinstance(statement, ast.Claims) and statement.keyword.text == "reported":
                for claim in statement.claims:
                    yield from _compared(claim, _computed(network, claim.metric.text))


def _computed(network: Network, metric: str) -> int | None:
    cost = network.cost
    return {"params": cost.params.total, "macs": cost.macs.total, "flops": cost.macs.flops}.get(metric)


def _compared(claim: ast.Claim, computed: int | None) -> Iterator[Finding]:
    if computed and isinstance(claim.value, ast.Number) and claim.value.value > 0:
        ratio = Fraction(claim.value.value) / computed
        if ratio >= _FACTOR or ratio <= Fraction(1, _FACTOR):
            title = f"reported {claim.metric.text} {claim.value.span.text}, but the network has {computed:,}"
            yield Finding(claim.span, title, hint="is a unit missing (K, M, G), or is it another network's number?")


RULE = Rule("L202", "claim-magnitude", Severity.WARNING, check)

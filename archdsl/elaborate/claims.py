"""Claims held against what is computed: `expect` of a network, and the columns of `variants`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from archdsl.elaborate import errors
from archdsl.elaborate.evaluate import evaluate_alone
from archdsl.elaborate.frame import Assembly, Frame, Session
from archdsl.elaborate.metrics import METRICS
from archdsl.elaborate.values import UNKNOWN, shown
from archdsl.record import record
from archdsl.scalar import Number, Scalar
from archdsl.syntax import ast

if TYPE_CHECKING:
    from archdsl.analyses.cost import Cost
    from archdsl.elaborate.load import Module
    from archdsl.elaborate.networks import Built


@record
class Quoted:
    """A claim as the file states it: `error(cifar10) = 4.00%` has a metric, a subject, an operator, a value, a text."""

    metric: str
    subject: str
    operator: str
    value: Number
    text: str


def quoted(built: Built, module: Module, session: Session) -> tuple[Quoted, ...]:
    """All claims about a network as it is built: of its variant's row, or its own where it has its defaults."""
    claims = built.variant.claims if built.variant is not None and built.as_claimed else ()
    if built.plain:
        claims += tuple(claim for statement in _claims(built.network.body) for claim in statement.claims)
    frame = Frame(session, module, Assembly())
    values = [(claim, evaluate_alone(claim.value, frame)) for claim in claims]
    return tuple(_quoted(claim, value) for claim, value in values if isinstance(value, Scalar))


def _quoted(claim: ast.Claim, value: Scalar) -> Quoted:
    subject = claim.subject.text if claim.subject is not None else ""
    return Quoted(claim.metric.text, subject, claim.operator.text, value.value, claim.value.span.text)


def check_claims(built: Built, cost: Cost, module: Module, session: Session) -> None:
    """Report the claims that do not hold: a variant's own, or the network's where it has its default parameters."""
    frame = Frame(session, module, Assembly())
    if built.variant is not None and built.as_claimed:
        _check(built.variant.claims, cost, frame, quoted=True)
    if built.plain:
        for statement in _claims(built.network.body):
            _check(statement.claims, cost, frame, quoted=statement.keyword.text == "reported")


def _claims(body: Iterable[ast.Statement]) -> Iterator[ast.Claims]:
    return (statement for statement in body if isinstance(statement, ast.Claims))


def _check(claims: tuple[ast.Claim, ...], cost: Cost, frame: Frame, quoted: bool) -> None:
    for claim in claims:
        if claim.metric.text in METRICS and (not quoted or claim.subject is None):
            _hold(claim, cost, frame)


def _hold(claim: ast.Claim, cost: Cost, frame: Frame) -> None:
    value = evaluate_alone(claim.value, frame)
    if value is UNKNOWN:
        return
    if not isinstance(value, Scalar):
        frame.report(errors.claim_form(claim.value.span, f"a claim is a number, not {shown(value)}"))
        return
    title, compute = METRICS[claim.metric.text]
    found = compute(cost)
    unit = claim.value.unit if isinstance(claim.value, ast.Number) else Fraction(1)
    if not _holds(claim.operator.text, Fraction(found), Fraction(value.value), unit):
        frame.report(_failure(claim, title, found, value, unit, cost))


def _holds(operator: str, found: Fraction, claimed: Fraction, unit: Fraction) -> bool:
    if operator == "~":
        return 2 * abs(found - claimed) <= unit
    return {"=": found == claimed, "<=": found <= claimed, ">=": found >= claimed}[operator]


def _failure(claim: ast.Claim, title: str, found: int, value: Scalar, unit: Fraction, cost: Cost) -> errors.Diagnostic:
    difference = found - Fraction(value.value)
    size = int(difference) if difference.denominator == 1 else round(float(difference))
    detail = f"off by {size:+,}" if claim.operator.text in ("=", "~") else ""
    text = f"{claim.operator.text} {claim.value.span.text}"
    return errors.claim_fails(claim.span, title, text, f"{found:,}", detail, _hint(claim, found, value, unit, cost))


def _hint(claim: ast.Claim, found: int, value: Scalar, unit: Fraction, cost: Cost) -> str | None:
    """Which other way of counting gives the claimed number, if one does."""
    if claim.operator.text in ("<=", ">="):
        return None
    for what, count in _other_counts(claim.metric.text, cost).items():
        if count != found and _holds(claim.operator.text, Fraction(count), Fraction(value.value), unit):
            return f"{what} give {count:,}"
    if claim.operator.text == "~" and 0 <= found - Fraction(value.value) < unit:
        return "the paper's figure looks cut off, not rounded; quote it with `reported`, and `expect` the exact count"
    return None


def _other_counts(metric: str, cost: Cost) -> dict[str, int]:
    """How papers count the same thing."""
    if metric in ("macs", "flops"):
        return {"multiply-accumulates": cost.macs.total, "twice the multiply-accumulates": cost.macs.flops}
    if metric == "params":
        weights = cost.params.conv_weight
        both = weights + cost.params.linear_weight
        return {"convolution weights alone": weights, "weights of convolutions and linear layers alone": both}
    return {}

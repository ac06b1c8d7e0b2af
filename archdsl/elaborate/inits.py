"""`init` lines to rules: which weights of a network or block start how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.elaborate import errors
from archdsl.elaborate.arguments import is_plain, match
from archdsl.elaborate.evaluate import evaluate
from archdsl.elaborate.values import UNKNOWN
from archdsl.ir.graph import InitRule
from archdsl.ops import OPS
from archdsl.ops.coerce import coerce
from archdsl.ops.op import Misfit
from archdsl.ops.op import Value as Attr
from archdsl.syntax import ast

if TYPE_CHECKING:
    from archdsl.elaborate.frame import Frame

WEIGHTS = ("weight", "bias")


def init_rule(statement: ast.Init, frame: Frame, block: ast.Block) -> InitRule | None:
    """The rule that an `init` line states; None where it makes no sense (reported)."""
    from archdsl.inits import INITS

    target = statement.target
    named = [t.name.text for s in block.body if isinstance(s, ast.Assign) for t in s.targets]
    if target.text not in OPS and target.text not in named:
        frame.report(errors.unknown_init(target.span, target.text, "layer", [*named, *OPS]))
        return None
    how = statement.rule.callee if isinstance(statement.rule, ast.Apply) else statement.rule
    if not isinstance(how, ast.Name) or how.text not in INITS:
        frame.report(errors.unknown_init(how.span, how.span.text, "rule", INITS))
        return None
    weight = statement.weight.text if statement.weight is not None else "weight"
    if statement.weight is not None and weight not in WEIGHTS:
        frame.report(errors.unknown_init(statement.weight.span, weight, "weight", WEIGHTS))
        return None
    args = _arguments(statement.rule, how.text, frame)
    if args is None:
        return None
    return InitRule(target.text, weight, how.text, args, statement.span)


def _arguments(rule: ast.Expr, name: str, frame: Frame) -> dict[str, Attr] | None:
    from archdsl.inits import INITS

    given = (
        [] if not isinstance(rule, ast.Apply) else [(a.name, evaluate(a.value, frame), a.span) for a in rule.arguments]
    )
    params = INITS[name].params
    bound = match(name, [p.name for p in params], {}, given, frame, rule.span)
    if bound is None or any(value is UNKNOWN for value in bound.values()):
        return None
    absent = tuple(p.name for p in params if p.required and p.name not in bound)
    if absent:
        frame.report(errors.missing_argument(rule.span, name, absent))
        return None
    found: dict[str, Attr] = {}
    for param in params:
        if not is_plain(bound.get(param.name)):
            coerced: Attr | Misfit = Misfit(f"`{param.name}` takes {param.kind.value}")
        else:
            coerced = coerce(param, bound.get(param.name, param.default))
        if isinstance(coerced, Misfit):
            frame.report(errors.wrong_argument(rule.span, name, coerced.reason, coerced.hint))
            return None
        found[param.name] = coerced
    return found

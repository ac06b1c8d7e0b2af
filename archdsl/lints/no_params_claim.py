"""A network claims no parameter count.

The count is the cheapest check that a spec still is the paper's network: it changes with almost every mistake.
Claimed in the file it is checked by every `archdsl lint`.

Noted:

    network LeNet() { ... }

Otherwise:

    network LeNet() {
        expect params = 61_706
        ...
    }

Silence it with `# allow: no-params-claim` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.rule import Context, Finding, Rule
from archdsl.syntax import ast


def check(context: Context) -> Iterator[Finding]:
    """Networks with no claim on parameters, in their body or in a row of variants that calls them."""
    claimed = {name for row in _rows(context.file) if _claims(row.claims) for name in _called(row)}
    for block in context.file.declarations:
        if isinstance(block, ast.Block) and block.keyword.text == "network" and block.name.text not in claimed:
            own = [claim for s in block.body if isinstance(s, ast.Claims) for claim in s.claims]
            if not _claims(own):
                hint = _suggestion(context, block.name.text)
                yield Finding(block.name.span, f"`{block.name.text}` claims no parameter count", hint=hint)


def _rows(file: ast.File) -> Iterator[ast.Variant]:
    for declaration in file.declarations:
        if isinstance(declaration, ast.Variants):
            yield from declaration.rows


def _called(row: ast.Variant) -> Iterator[str]:
    call = row.call
    if isinstance(call, ast.Apply) and isinstance(call.callee, ast.Name):
        yield call.callee.text


def _claims(claims: Iterable[ast.Claim]) -> bool:
    return any(claim.metric.text == "params" for claim in claims)


def _suggestion(context: Context, name: str) -> str:
    for network in context.networks:
        if network.graph.name == name and network.variant is None:
            return f"`expect params = {network.cost.params.total:_}`"
    return "`expect params ~ ...` with the paper's number"


RULE = Rule("L201", "no-params-claim", Severity.NOTE, check)

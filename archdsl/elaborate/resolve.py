"""Every name of a file looked up once, whether or not evaluation ever reaches it: in branches not taken, in blocks
never applied. Unknown names are said here, and only here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from archdsl.diagnostic import Diagnostics
from archdsl.elaborate import errors
from archdsl.elaborate.arguments import TYPES
from archdsl.elaborate.builtins import BUILTINS
from archdsl.elaborate.load import Module, home_of
from archdsl.elaborate.metrics import METRICS, QUOTED
from archdsl.ops import OPS
from archdsl.source import Span
from archdsl.syntax import ast

Scope = dict[str, Span]
_MOST_COMPARED = 10_000  # names; a file with more mistakes than that gets no more suggestions
_CLASS = re.compile(r"(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*:[A-Za-z_]\w*", re.ASCII)  # what an extern's text looks like


def resolve(module: Module, bag: Diagnostics) -> None:
    """Report the unknown names of a file."""
    resolver = _Resolver(module, bag)
    for declaration in module.file.declarations:
        resolver.declaration(declaration)


@dataclass
class _Resolver:
    module: Module
    bag: Diagnostics
    later: dict[str, Span] = field(default_factory=dict[str, Span])
    compared: int = 0  # names that unknown ones were compared with
    owner: str | None = None  # the block or network that is being gone through
    binds: bool = False  # whether inputs name the dimensions they get, as those of a block do

    def declaration(self, declaration: ast.Declaration) -> None:
        if isinstance(declaration, ast.Block):
            self.block(declaration)
        elif isinstance(declaration, ast.Function):
            self.function(declaration, {})
        elif isinstance(declaration, ast.Constant):
            self.expression(declaration.value, {})
        elif isinstance(declaration, ast.ExternDecl):
            if not _CLASS.fullmatch(declaration.path.value):
                self.bag.add(errors.extern_path(declaration.path.span))
            scope = self.parameters(declaration.params, {})
            scope = self.contract(declaration.contract, scope)
            self.expression(declaration.count, scope)
        elif isinstance(declaration, ast.Variants):
            for row in declaration.rows:
                self.expression(row.call, {})
                self.claim_list(row.claims, {}, quoted=True)

    def block(self, block: ast.Block) -> None:
        scope = self.parameters(block.params, {})
        if block.keyword.text == "block" and not _declares_inputs(block.body):
            scope["in"] = block.name.span
        if block.contract is not None:
            scope = self.contract(block.contract, scope)
        self.later = {name.text: name.span for name in _given(block.body)}
        self.owner, self.binds = block.name.text, block.keyword.text == "block"
        self.body(block.body, scope)
        self.later, self.owner = {}, None

    def parameters(self, params: tuple[ast.Param, ...], outer: Scope) -> Scope:
        scope = dict(outer)
        for param in params:
            if param.default is not None:
                self.expression(param.default, scope)
            if param.type is not None and param.type.text not in TYPES:
                self.bag.add(errors.unknown_type(param.type.span, param.type.text, TYPES))
            if param.name.text in scope and param.name.text not in outer:
                self.bag.add(errors.given_twice(param.name.span, param.name.text, scope[param.name.text]))
            scope[param.name.text] = param.name.span
        return scope

    def contract(self, contract: ast.Contract, scope: Scope) -> Scope:
        """Names on the left that mean nothing yet are dimension variables."""
        scope = dict(scope)
        for shape in contract.inputs:
            self.shape(shape, scope, binding=True)
        for shape in contract.outputs:
            self.shape(shape, scope, binding=False)
        return scope

    def shape(self, shape: ast.ListOf, scope: Scope, binding: bool) -> None:
        for item in shape.items:
            if isinstance(item, ast.Name) and binding and not self.known(item.text, scope):
                scope[item.text] = item.span
            elif not isinstance(item, ast.Wildcard):
                self.expression(item, scope)

    def body(self, statements: tuple[ast.Statement, ...], scope: Scope) -> None:
        for statement in statements:
            _STATEMENTS[type(statement)](self, statement, scope)

    def assign(self, statement: ast.Assign, scope: Scope) -> None:
        self.expression(statement.value, scope)
        for target in statement.targets:
            self.target(target, scope)

    def target(self, target: ast.Target, scope: Scope, binding: bool = False) -> None:
        if target.shape is not None:
            self.shape(target.shape, scope, binding)
        scope[target.name.text] = target.name.span

    def input(self, statement: ast.Input, scope: Scope) -> None:
        for target in statement.targets:  # a network's `in` is a mistake of its own
            self.target(target, scope, binding=self.binds or statement.keyword.text == "in")

    def output(self, statement: ast.Output, scope: Scope) -> None:
        self.expression(statement.value, scope)
        if statement.target.shape is not None:
            self.shape(statement.target.shape, scope, binding=False)

    def auxiliary(self, statement: ast.Aux, scope: Scope) -> None:
        self.expression(statement.value, scope)
        self.expression(statement.weight, scope)
        self.target(statement.target, scope)

    def branch(self, statement: ast.If, scope: Scope) -> None:
        self.expression(statement.condition, scope)
        then, otherwise = dict(scope), dict(scope)
        self.body(statement.then, then)
        self.body(statement.otherwise, otherwise)
        scope |= then | otherwise

    def require(self, statement: ast.Require, scope: Scope) -> None:
        self.expression(statement.condition, scope)

    def claims(self, statement: ast.Claims, scope: Scope) -> None:
        self.claim_list(statement.claims, scope, quoted=statement.keyword.text == "reported")

    def claim_list(self, claims: tuple[ast.Claim, ...], scope: Scope, quoted: bool) -> None:
        known = [*METRICS, *QUOTED] if quoted else list(METRICS)
        for claim in claims:
            if claim.metric.text not in known:
                self.bag.add(errors.unknown_metric(claim.metric.span, claim.metric.text, known))
            self.expression(claim.value, scope)

    def init(self, statement: ast.Init, scope: Scope) -> None:
        """Targets and rules have names of their own."""
        if isinstance(statement.rule, ast.Apply):
            for argument in statement.rule.arguments:
                self.expression(argument.value, scope)

    def function(self, function: ast.Function, scope: Scope) -> None:
        scope[function.name.text] = function.name.span
        self.expression(function.value, self.parameters(function.params, scope))

    def expression(self, expr: ast.Expr, scope: Scope) -> None:
        """Look up every name in an expression."""
        if isinstance(expr, ast.Name):
            self.name(expr, scope)
        elif isinstance(expr, ast.Comprehension):
            self.expression(expr.source, scope)
            inner = scope | {name.text: name.span for name in expr.names}
            self.expression(expr.item, inner)
            if expr.condition is not None:
                self.expression(expr.condition, inner)
        else:
            for part in _parts(expr):
                self.expression(part, scope)

    def known(self, name: str, scope: Scope) -> bool:
        return name in scope or name in self.module.names or name in OPS or name in BUILTINS

    def name(self, name: ast.Name, scope: Scope) -> None:
        if self.known(name.text, scope) or name.text in self.module.damaged:
            return
        if name.text in self.later:
            self.bag.add(errors.used_before(name.span, name.text, self.later[name.text]))
            return
        candidates = [*scope, *self.module.names, *OPS, *BUILTINS]
        self.compared += len(candidates)
        if self.compared > _MOST_COMPARED:
            candidates = []
        self.bag.add(errors.unknown_name(name.span, name.text, candidates, home_of(name.text), self.owner))


def _declares_inputs(body: tuple[ast.Statement, ...]) -> bool:
    return any(isinstance(statement, ast.Input) for statement in body)


def _given(body: tuple[ast.Statement, ...]) -> Iterator[ast.Name]:
    """The names that statements give, branches included."""
    for statement in body:
        if isinstance(statement, ast.Assign):
            yield from (target.name for target in statement.targets)
        elif isinstance(statement, (ast.Function,)):
            yield statement.name
        elif isinstance(statement, ast.Aux):
            yield statement.target.name
        elif isinstance(statement, ast.If):
            yield from _given(statement.then)
            yield from _given(statement.otherwise)


def _parts(expr: Any) -> Iterable[ast.Expr]:
    """The expressions directly inside one."""
    if isinstance(expr, ast.Apply):
        return (expr.callee, *(argument.value for argument in expr.arguments))
    if isinstance(expr, ast.Attribute):
        return (expr.value,)
    if isinstance(expr, ast.Index):
        return (expr.value, expr.index)
    if isinstance(expr, (ast.ListOf, ast.Group)):
        return expr.items
    if isinstance(expr, ast.Arrow):
        return expr.parts
    if isinstance(expr, ast.Choice):
        return (expr.condition, expr.then, expr.otherwise)
    if isinstance(expr, ast.Chained):
        return expr.operands
    if isinstance(expr, ast.Range):
        return (expr.first, expr.last)
    if isinstance(expr, ast.Unary):
        return (expr.operand,)
    return (expr.base, expr.exponent) if isinstance(expr, ast.Power) else ()


_STATEMENTS: dict[type, Any] = {
    ast.Assign: _Resolver.assign,
    ast.Input: _Resolver.input,
    ast.Output: _Resolver.output,
    ast.Aux: _Resolver.auxiliary,
    ast.If: _Resolver.branch,
    ast.Require: _Resolver.require,
    ast.Claims: _Resolver.claims,
    ast.Init: _Resolver.init,
    ast.Function: _Resolver.function,
}

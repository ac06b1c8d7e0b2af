"""Parser callbacks: each grammar rule's children to one node of the syntax tree, from the bottom up, without recursion.

Children are tokens (all of them, punctuation included: spans need them) and finished nodes. Nodes are made without a
source at hand; the parser sets `Builder.source` before each run.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from lark import Token

from archdsl.source import Source, Span
from archdsl.syntax import ast

Child = Any
_SCALES = {"K": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9), "%": Fraction(1, 100)}
_EXPONENTS_SHOWN = 40
_ESCAPES = {"n": "\n", "t": "\t"}


class Builder:
    """One method per rule of the grammar."""

    source: Source = Source("", "")

    # ---- places -------------------------------------------------------------------------------------------------

    def _span(self, children: list[Child]) -> Span:
        return Span(self.source, self._start(children[0]), self._end(children[-1]))

    def _start(self, child: Child) -> int:
        return child.start_pos or 0 if isinstance(child, Token) else child.span.start

    def _end(self, child: Child) -> int:
        return child.end_pos or 0 if isinstance(child, Token) else child.span.end

    def _name(self, token: Token) -> ast.Name:
        return ast.Name(str(token), self._span([token]))

    def _names(self, children: list[Child]) -> tuple[ast.Name, ...]:
        return tuple(self._name(c) for c in children if _is(c, "NAME"))

    # ---- files --------------------------------------------------------------------------------------------------

    def file(self, children: list[Child]) -> ast.File:
        nodes = _nodes(children)
        doc = nodes.pop(0) if nodes and isinstance(nodes[0], ast.Text) else None
        return ast.File(doc, tuple(nodes), (), (), Span(self.source, 0, len(self.source.text)))

    def doc(self, children: list[Child]) -> ast.Text:
        return self._text(children[0])

    def dotted(self, children: list[Child]) -> tuple[ast.Name, ...]:
        return self._names(children)

    def quoted(self, children: list[Child]) -> ast.Text:
        return self._text(children[0])

    def import_(self, children: list[Child]) -> ast.Import:
        names = tuple(c for c in children if isinstance(c, ast.Imported))
        return ast.Import(children[1], names, self._span(children))

    def imported(self, children: list[Child]) -> ast.Imported:
        names = self._names(children)
        return ast.Imported(names[0], names[1] if len(names) > 1 else None, self._span(children))

    def constant(self, children: list[Child]) -> ast.Constant:
        return ast.Constant(self._name(children[0]), self._expr(children[2]), self._span(children))

    def block(self, children: list[Child]) -> ast.Block:
        keyword, name, params, *rest = children
        contract = rest[0] if len(rest) > 1 else None
        doc, statements = rest[-1]
        head = self._name(keyword)
        span = Span(self.source, head.span.start, statements.end)
        return ast.Block(head, self._name(name), params.items, contract, statements.items, doc, span)

    def params(self, children: list[Child]) -> _Bag:
        return _Bag(tuple(_nodes(children)), self._span(children))

    def param(self, children: list[Child]) -> ast.Param:
        names = self._names([c for c in children if isinstance(c, Token)])
        has_type = _is(children[1], "COLON") if len(children) > 1 else False
        default = self._expr(children[-1]) if any(_is(c, "EQUAL") for c in children) else None
        return ast.Param(self._name(children[0]), names[1] if has_type else None, default, self._span(children))

    def contract(self, children: list[Child]) -> ast.Contract:
        inputs, outputs = (c for c in children if isinstance(c, _Bag))
        return ast.Contract(inputs.items, outputs.items, self._span(children))

    def shapes(self, children: list[Child]) -> _Bag:
        return _Bag(tuple(_nodes(children)), self._span(children))

    def body(self, children: list[Child]) -> tuple[ast.Text | None, _Bag]:
        nodes = _nodes(children)
        doc = nodes.pop(0) if nodes and isinstance(nodes[0], ast.Text) else None
        return doc, _Bag(tuple(nodes), self._span(children))

    def function(self, children: list[Child]) -> ast.Function:
        _, name, params, _, value = children
        return ast.Function(self._name(name), params.items, self._expr(value), None, self._span(children))

    def variants(self, children: list[Child]) -> ast.Variants:
        return ast.Variants(tuple(_nodes(children)), self._span(children))

    def variant(self, children: list[Child]) -> ast.Variant:
        claims = tuple(c for c in children if isinstance(c, ast.Claim))
        return ast.Variant(self._name(children[0]), self._expr(children[2]), claims, self._span(children))

    def recipe(self, children: list[Child]) -> ast.Recipe:
        return ast.Recipe(self._name(children[1]), tuple(_nodes(children)), self._span(children))

    def setting(self, children: list[Child]) -> ast.Setting:
        return ast.Setting(self._name(children[0]), self._expr(children[2]), self._span(children))

    def extern(self, children: list[Child]) -> ast.ExternDecl:
        _, name, params, contract, _, path, _, key, _, count = children
        if str(key) != "params":
            raise Unfit(key, ("`params`",))
        span = self._span(children)
        return ast.ExternDecl(self._name(name), params.items, contract, self._text(path), self._expr(count), None, span)

    # ---- statements ---------------------------------------------------------------------------------------------

    def target(self, children: list[Child]) -> ast.Target:
        shape = children[2] if len(children) > 1 else None
        return ast.Target(self._name(children[0]), shape, self._span(children))

    def assign(self, children: list[Child]) -> ast.Assign:
        targets = tuple(c for c in children if isinstance(c, ast.Target))
        return ast.Assign(targets, self._expr(children[-1]), False, self._span(children))

    def shared(self, children: list[Child]) -> ast.Assign:
        return ast.Assign((children[1],), self._expr(children[3]), True, self._span(children))

    def input(self, children: list[Child]) -> ast.Input:
        targets = tuple(c for c in children if isinstance(c, ast.Target))
        return ast.Input(self._name(children[0]), targets, self._span(children))

    def output(self, children: list[Child]) -> ast.Output:
        keyword = self._name(children[0])
        head = children[1 : next(i for i, c in enumerate(children) if _is(c, "EQUAL"))]
        name = self._name(head[0]) if head and _is(head[0], "NAME") else keyword
        shape = next((c for c in head if isinstance(c, ast.ListOf)), None)
        target = ast.Target(name, shape, name.span if shape is None else name.span.to(shape.span))
        return ast.Output(keyword, target, self._expr(children[-1]), self._span(children))

    def auxiliary(self, children: list[Child]) -> ast.Aux:
        _, target, _, value, _, key, _, weight = children
        if str(key) != "weight":
            raise Unfit(key, ("`weight`",))
        return ast.Aux(target, self._expr(value), self._expr(weight), self._span(children))

    def if_(self, children: list[Child]) -> ast.If:
        bodies = [c for c in children[2:] if not isinstance(c, Token)]
        then = bodies[0][1].items
        otherwise: tuple[ast.Statement, ...] = ()
        end = bodies[0][1].end
        if len(bodies) > 1:
            last = bodies[1]
            otherwise = (last,) if isinstance(last, ast.If) else last[1].items
            end = last.span.end if isinstance(last, ast.If) else last[1].end
        span = Span(self.source, self._start(children[0]), end)
        return ast.If(self._expr(children[1]), then, otherwise, span)

    def require(self, children: list[Child]) -> ast.Require:
        message = self._text(children[3]) if len(children) > 2 else None
        return ast.Require(self._expr(children[1]), message, self._span(children))

    def claims(self, children: list[Child]) -> ast.Claims:
        claims = tuple(c for c in children if isinstance(c, ast.Claim))
        return ast.Claims(self._name(children[0]), claims, self._span(children))

    def claim(self, children: list[Child]) -> ast.Claim:
        subject = None
        if _is(children[1], "LPAR"):
            inner = children[2]
            text = self._text(inner) if inner.type == "TEXT" else None
            subject = ast.Name(text.value, text.span) if text else self._name(inner)
        metric, operator = self._name(children[0]), self._name(children[-2])
        return ast.Claim(metric, subject, operator, self._expr(children[-1]), self._span(children))

    def init(self, children: list[Child]) -> ast.Init:
        target, *weight = self._names(children[:-1])
        return ast.Init(target, weight[0] if weight else None, self._expr(children[-1]), self._span(children))

    # ---- expressions --------------------------------------------------------------------------------------------

    def _expr(self, child: Child) -> ast.Expr:
        """A child as an expression: tokens that stand for themselves become nodes here."""
        if not isinstance(child, Token):
            return child
        if child.type == "NUMBER":
            return self._number(child)
        if child.type == "TEXT":
            return self._text(child)
        return self._word(child)

    def word(self, children: list[Child]) -> ast.Expr:
        return self._word(children[0])

    def _word(self, token: Token) -> ast.Expr:
        name = self._name(token)
        if token == "_":
            return ast.Wildcard(name.span)
        if token in ("true", "false"):
            return ast.Literal(token == "true", name.span)
        return ast.Literal(None, name.span) if token == "none" else name

    def _number(self, token: Token) -> ast.Number:
        span = self._span([token])
        text = str(token).replace("_", "")
        scale = _SCALES.get(text[-1], Fraction(1))
        mantissa, _, exponent = text.rstrip("KMG%").partition("e" if "e" in text else "E")
        if len(exponent.lstrip("+-")) > 2 or abs(int(exponent or 0)) > _EXPONENTS_SHOWN:
            raise Unfit(token, (f"an exponent of at most {_EXPONENTS_SHOWN}",))
        decimals = len(mantissa.partition(".")[2])
        unit = scale * Fraction(10) ** (int(exponent or 0) - decimals)
        value = unit * int(mantissa.replace(".", ""))
        return ast.Number(value.numerator if value.denominator == 1 else value, unit, span)

    def _text(self, token: Token) -> ast.Text:
        span = self._span([token])
        raw = str(token)
        if raw.startswith('"""'):
            return ast.Text(_dedent(raw[3:-3]), span)
        return ast.Text(re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), raw[1:-1]), span)

    def arrow(self, children: list[Child]) -> ast.Arrow:
        return ast.Arrow(tuple(self._operands(children)), self._span(children))

    def _operands(self, children: list[Child]) -> list[ast.Expr]:
        return [self._expr(c) for c in children[::2]]

    def choice(self, children: list[Child]) -> ast.Choice:
        then, _, condition, _, otherwise = children
        return ast.Choice(self._expr(then), self._expr(condition), self._expr(otherwise), self._span(children))

    def chained(self, children: list[Child]) -> ast.Chained:
        operators = tuple(self._name(c) for c in children[1::2])
        return ast.Chained(tuple(self._operands(children)), operators, self._span(children))

    def range(self, children: list[Child]) -> ast.Range:
        return ast.Range(self._expr(children[0]), self._expr(children[2]), self._span(children))

    def unary(self, children: list[Child]) -> ast.Unary:
        return ast.Unary(self._name(children[0]), self._expr(children[1]), self._span(children))

    def power(self, children: list[Child]) -> ast.Power:
        return ast.Power(self._expr(children[0]), self._expr(children[2]), self._span(children))

    def group(self, children: list[Child]) -> ast.Expr:
        items = tuple(self._expr(c) for c in children[1:-1] if not _is(c, "COMMA"))
        return ast.Group(items, self._span(children))

    def list(self, children: list[Child]) -> ast.ListOf:
        inner = [c for c in children[1:-1] if not _is(c, "COMMA")]
        if inner and isinstance(inner[-1], _Loop):
            items: tuple[ast.Expr, ...] = (self._comprehension(inner[0], inner[1]),)
        else:
            items = tuple(self._expr(c) for c in inner)
        return ast.ListOf(items, self._span(children))

    def apply(self, children: list[Child]) -> ast.Apply:
        arguments = children[2].items if isinstance(children[2], _Bag) else ()
        return ast.Apply(self._expr(children[0]), arguments, self._span(children))

    def attribute(self, children: list[Child]) -> ast.Attribute:
        return ast.Attribute(self._expr(children[0]), self._name(children[2]), self._span(children))

    def index(self, children: list[Child]) -> ast.Index:
        return ast.Index(self._expr(children[0]), self._expr(children[2]), self._span(children))

    def arguments(self, children: list[Child]) -> _Bag:
        return _Bag(tuple(_nodes(children)), self._span(children))

    def named(self, children: list[Child]) -> ast.Argument:
        return ast.Argument(self._name(children[0]), self._expr(children[2]), self._span(children))

    def positional(self, children: list[Child]) -> ast.Argument:
        return ast.Argument(None, self._expr(children[0]), self._span(children))

    def comprehended(self, children: list[Child]) -> ast.Argument:
        value = self._comprehension(children[0], children[1])
        return ast.Argument(None, value, value.span)

    def comprehension(self, children: list[Child]) -> _Loop:
        at = next(i for i, c in enumerate(children) if _is(c, "IN"))
        condition = self._expr(children[-1]) if len(children) > at + 2 else None
        return _Loop(self._names(children[:at]), self._expr(children[at + 1]), condition, self._span(children))

    def _comprehension(self, item: Child, loop: _Loop) -> ast.Comprehension:
        value = self._expr(item)
        return ast.Comprehension(value, loop.names, loop.source, loop.condition, value.span.to(loop.span))


# two rules are called by words that Python keeps for itself
setattr(Builder, "import", Builder.import_)
setattr(Builder, "if", Builder.if_)


class _Bag:
    """Several nodes on their way to the rule that wants them."""

    def __init__(self, items: tuple[Any, ...], span: Span) -> None:
        self.items = items
        self.span = span
        self.end = span.end


class _Loop:
    """The `for` part of a comprehension on its way to its item."""

    def __init__(self, names: tuple[ast.Name, ...], source: ast.Expr, condition: ast.Expr | None, span: Span) -> None:
        self.names = names
        self.source = source
        self.condition = condition
        self.span = span


class Unfit(Exception):
    """A token the grammar admits and its place does not."""

    def __init__(self, token: Token, expected: tuple[str, ...]) -> None:
        super().__init__(str(token))
        self.token = token
        self.expected = expected


def _is(child: Child, kind: str) -> bool:
    return isinstance(child, Token) and child.type == kind


def _nodes(children: list[Child]) -> list[Any]:
    return [c for c in children if not isinstance(c, Token)]


def _dedent(text: str) -> str:
    lines = [line.strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").strip().split("\n")]
    return "\n".join(lines)

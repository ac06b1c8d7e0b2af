"""Numbers as Python expressions: polynomials in a natural order, fractions as exact decimals or quotients."""

from __future__ import annotations

import ast
from collections.abc import Callable
from fractions import Fraction

from archdsl.emit.torch.code import loop_hint
from archdsl.emit.torch.forms import Form, Inexact, Literal, names_in
from archdsl.emit.torch.polynomial import Atom, Factor, Monomial, Polynomial
from archdsl.emit.torch.pretty import flat
from archdsl.scalar import Expr, Number

Name = Callable[[str], ast.expr]
_OPERATORS: dict[str, ast.operator] = {
    "+": ast.Add(),
    "-": ast.Sub(),
    "*": ast.Mult(),
    "/": ast.Div(),
    "//": ast.FloorDiv(),
    "%": ast.Mod(),
}


def form_node(form: Form, name: Name) -> ast.expr:
    """The expression of a number; `name` says how a symbol is spelled."""
    if isinstance(form, Literal):
        return number_node(form.value)
    if isinstance(form, Inexact):
        return expr_node(form.expr, name)
    normal = expr_node(polynomial_expr(form.polynomial), name)
    if form.raw is None or not set(names_in(form.raw)) <= form.polynomial.symbols():
        return normal
    raw = expr_node(form.raw, name)
    return raw if len(flat(raw)) <= len(flat(normal)) else normal


def expr_node(expr: Expr, name: Name) -> ast.expr:
    """The Python of an expression."""
    if isinstance(expr, str):
        return name(expr)
    if not isinstance(expr, tuple):
        return number_node(expr)
    operator, *operands = expr
    nodes = [expr_node(operand, name) for operand in operands]
    if operator == "neg":
        return ast.UnaryOp(ast.USub(), nodes[0])
    if operator in _OPERATORS:
        return ast.BinOp(nodes[0], _OPERATORS[operator], nodes[1])
    return ast.Call(ast.Name(str(operator)), nodes, [])


def number_node(value: Number) -> ast.expr:
    """A number: digits, the decimal where it is exact, otherwise a quotient."""
    if isinstance(value, int):
        return ast.UnaryOp(ast.USub(), ast.Constant(-value)) if value < 0 else ast.Constant(value)
    if value < 0:
        return ast.UnaryOp(ast.USub(), number_node(-value))
    decimal = float(value)
    if Fraction(repr(decimal)) == value:
        return ast.Constant(decimal)
    return ast.BinOp(ast.Constant(value.numerator), ast.Div(), ast.Constant(value.denominator))


def number_text(value: Number) -> str:
    """A number as it stands in a sentence."""
    return flat(number_node(value))


def polynomial_expr(polynomial: Polynomial) -> Expr:
    """A polynomial as people write it: symbols before numbers, loop variables last, a difference after its minuend."""
    terms = sorted(polynomial.terms, key=_natural)
    if not terms:
        return 0
    first = next((term for term in terms if term[1] > 0), terms[0])
    terms.remove(first)
    expr = _term(*first)
    for monomial, coefficient in terms:
        sign = "+" if coefficient > 0 else "-"
        expr = (sign, expr, _term(monomial, abs(coefficient)))
    return expr


def _natural(term: tuple[Monomial, int]) -> tuple[bool, bool, int, str]:
    monomial = term[0]
    return _moves(monomial), not monomial, len(monomial), repr(monomial)


def _moves(monomial: Monomial) -> bool:
    return any(isinstance(factor, str) and loop_hint(factor) is not None for factor in monomial)


def _term(monomial: Monomial, coefficient: int) -> Expr:
    factors = [_factor(factor) for factor in sorted(monomial, key=lambda f: (not _moves((f,)), repr(f)))]
    if not factors:
        return coefficient
    parts: list[Expr] = [abs(coefficient), *factors] if abs(coefficient) != 1 else factors
    expr = parts[0]
    for part in parts[1:]:
        expr = ("*", expr, part)
    return ("neg", expr) if coefficient < 0 else expr


def _factor(factor: Factor) -> Expr:
    if not isinstance(factor, Atom):
        return factor
    return (factor.operator, *(polynomial_expr(operand) for operand in factor.operands))

"""Whole-number expressions in normal form, so that `(c + g) + g` and `c + 2 * g` are seen to be the same.

A polynomial is a sum of integer multiples of products of symbols. What is not polynomial (`a // b`, `a % b`, `max`)
stands in it as an atom whose operands are polynomials again.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar, Union, cast

from archdsl.scalar import Expr

T = TypeVar("T")
Memo = dict[int, tuple[Expr, T]]
_MOST_TERMS = 48


@dataclass(frozen=True, slots=True)
class Atom:
    """An operation that a polynomial cannot look into."""

    operator: str
    operands: tuple[Polynomial, ...]


Factor = Union[str, Atom]
Monomial = tuple[Factor, ...]


@dataclass(frozen=True, slots=True)
class Polynomial:
    """A sum of terms in a fixed order; no coefficient is zero."""

    terms: tuple[tuple[Monomial, int], ...]

    @property
    def constant(self) -> int | None:
        """The value of a polynomial without symbols; None for any other."""
        if not self.terms:
            return 0
        (monomial, coefficient), *others = self.terms
        return coefficient if not monomial and not others else None

    def symbols(self) -> frozenset[str]:
        """All symbols, those inside atoms included."""
        found: set[str] = set()
        for monomial, _ in self.terms:
            for factor in monomial:
                found |= {factor} if isinstance(factor, str) else _symbols_of(factor)
        return frozenset(found)

    def __add__(self, other: Polynomial) -> Polynomial:
        return _sum([self, other])

    def __sub__(self, other: Polynomial) -> Polynomial:
        return _sum([self, other.times(-1)])

    def times(self, factor: int) -> Polynomial:
        """The polynomial multiplied by a number."""
        return Polynomial(tuple((m, c * factor) for m, c in self.terms)) if factor else constant(0)

    def __mul__(self, other: Polynomial) -> Polynomial:
        if len(self.terms) * len(other.terms) > _MOST_TERMS:
            return _atom("*", (self, other))
        products: Counter[Monomial] = Counter()
        for left, a in self.terms:
            for right, b in other.terms:
                products[_ordered((*left, *right))] += a * b
        return _from_counts(products)


def constant(value: int) -> Polynomial:
    """The polynomial that is a number."""
    return Polynomial((((), value),) if value else ())


def symbol(name: str) -> Polynomial:
    """The polynomial that is a symbol."""
    return Polynomial((((name,), 1),))


def normal_form(expr: Expr, memo: Memo[Polynomial]) -> Polynomial:
    """The polynomial of an expression over whole numbers."""
    return folded(expr, _leaf, _combined, memo)


def folded(expr: Expr, leaf: Callable[[Expr], T], node: Callable[[str, list[T]], T], memo: Memo[T]) -> T:
    """The value of an expression, bottom up. Without recursion: sums over a thousand layers are deep.

    `memo` keeps what was seen, by identity, so that expressions that grow from unit to unit cost only their growth.
    """
    todo = [expr]
    while todo:
        top = todo[-1]
        if not isinstance(top, tuple) or id(top) in memo:
            todo.pop()
            continue
        parts = cast("tuple[Expr, ...]", top[1:])
        missing = [part for part in parts if isinstance(part, tuple) and id(cast(object, part)) not in memo]
        if missing:
            todo.extend(missing)
            continue
        values = [memo[id(cast(object, part))][1] if isinstance(part, tuple) else leaf(part) for part in parts]
        memo[id(top)] = (top, node(str(top[0]), values))
        todo.pop()
    return memo[id(expr)][1] if isinstance(expr, tuple) else leaf(expr)


def substituted(polynomial: Polynomial, values: Mapping[str, Polynomial]) -> Polynomial:
    """The polynomial with symbols replaced."""
    return _sum([_product(monomial, values).times(c) for monomial, c in polynomial.terms])


def _product(monomial: Monomial, values: Mapping[str, Polynomial]) -> Polynomial:
    product = constant(1)
    for factor in monomial:
        product = product * _replaced(factor, values)
    return product


def _replaced(factor: Factor, values: Mapping[str, Polynomial]) -> Polynomial:
    if isinstance(factor, str):
        return values.get(factor, symbol(factor))
    return _atom(factor.operator, tuple(substituted(operand, values) for operand in factor.operands))


def _leaf(expr: Expr) -> Polynomial:
    return symbol(expr) if isinstance(expr, str) else constant(int(expr))  # pyright: ignore[reportArgumentType]


def _combined(sign: str, operands: list[Polynomial]) -> Polynomial:
    if sign == "neg":
        return operands[0].times(-1)
    combine = {"+": Polynomial.__add__, "-": Polynomial.__sub__, "*": Polynomial.__mul__}.get(sign)
    return combine(*operands) if combine else _atom(sign, tuple(operands))


def _atom(sign: str, operands: tuple[Polynomial, ...]) -> Polynomial:
    numbers = [operand.constant for operand in operands]
    known = [number for number in numbers if number is not None]
    if len(known) == len(numbers):
        return constant(OPERATORS[sign](*known))
    return Polynomial((((Atom(sign, operands),), 1),))


def _symbols_of(atom: Atom) -> frozenset[str]:
    return frozenset[str]().union(*(operand.symbols() for operand in atom.operands))


def _sum(polynomials: Iterable[Polynomial]) -> Polynomial:
    counts: Counter[Monomial] = Counter()
    for polynomial in polynomials:
        for monomial, coefficient in polynomial.terms:
            counts[monomial] += coefficient
    return _from_counts(counts)


def _from_counts(counts: Mapping[Monomial, int]) -> Polynomial:
    terms = [(monomial, c) for monomial, c in counts.items() if c]
    return Polynomial(tuple(sorted(terms, key=lambda term: _order(term[0]))))


def _ordered(factors: Iterable[Factor]) -> Monomial:
    return tuple(sorted(factors, key=repr))


def _order(monomial: Monomial) -> tuple[int, str]:
    return len(monomial), repr(monomial)


def _floored(a: int, b: int) -> int:
    return a // b


OPERATORS: dict[str, Callable[..., int]] = {
    "*": operator.mul,
    "//": _floored,
    "%": operator.mod,
    "max": max,
    "min": min,
}

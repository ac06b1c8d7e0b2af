"""The syntax tree: one frozen class per construct. Every node has its span; comments stand beside the tree, in order.

Operator chains are flat (`a + b + c` is one `Sum` of three terms), so that the depth of the tree is bounded by the
depth of brackets, which the lexer bounds.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Union

from archdsl.record import record
from archdsl.source import Span


@record
class Name:
    """A name. `in` and `out` are names too."""

    text: str
    span: Span


@record
class Number:
    """An exact number. `digits` are its decimals as printed, `unit` the value of the last of them (for `~`)."""

    value: int | Fraction
    unit: Fraction
    span: Span


@record
class Text:
    """A quoted string, unescaped."""

    value: str
    span: Span


@record
class Literal:
    """`true`, `false` or `none`."""

    value: bool | None
    span: Span


@record
class Wildcard:
    """`_` in a shape: any size."""

    span: Span


@record
class Argument:
    """An argument of a call; `name` is None for a positional one."""

    name: Name | None
    value: Expr
    span: Span


@record
class Apply:
    """A call `callee(arguments)`."""

    callee: Expr
    arguments: tuple[Argument, ...]
    span: Span


@record
class Attribute:
    """`value.name`: a dimension of a tensor."""

    value: Expr
    name: Name
    span: Span


@record
class Index:
    """`value[index]`."""

    value: Expr
    index: Expr
    span: Span


@record
class ListOf:
    """`[a, b, c]`."""

    items: tuple[Expr, ...]
    span: Span


@record
class Group:
    """`(a)` or `(a, b)`; with one item and no comma just brackets."""

    items: tuple[Expr, ...]
    span: Span


@record
class Comprehension:
    """`item for names in source if condition`, inside brackets or a call."""

    item: Expr
    names: tuple[Name, ...]
    source: Expr
    condition: Expr | None
    span: Span


@record
class Arrow:
    """`a -> b -> c`."""

    parts: tuple[Expr, ...]
    span: Span


@record
class Choice:
    """`then if condition else otherwise`."""

    then: Expr
    condition: Expr
    otherwise: Expr
    span: Span


@record
class Chained:
    """Operands joined by operators of one precedence, left to right: `or`, `and`, `+ -`, `* / // %`, comparisons."""

    operands: tuple[Expr, ...]
    operators: tuple[Name, ...]
    span: Span


@record
class Range:
    """`first..last`, both included."""

    first: Expr
    last: Expr
    span: Span


@record
class Unary:
    """`-x` or `not x`."""

    operator: Name
    operand: Expr
    span: Span


@record
class Power:
    """`base ^ exponent`."""

    base: Expr
    exponent: Expr
    span: Span


Expr = Union[
    Name,
    Number,
    Text,
    Literal,
    Wildcard,
    Apply,
    Attribute,
    Index,
    ListOf,
    Group,
    Comprehension,
    Arrow,
    Choice,
    Chained,
    Range,
    Unary,
    Power,
]


@record
class Param:
    """A parameter of a network, block, function or extern: `name: type = default`."""

    name: Name
    type: Name | None
    default: Expr | None
    span: Span


@record
class Contract:
    """`: [C, H, W] -> [width, H/2, W/2]` in a block's head; several shapes on a side stand in parentheses."""

    inputs: tuple[ListOf, ...]
    outputs: tuple[ListOf, ...]
    span: Span


@record
class Target:
    """A name being given, with its shape annotation if there is one."""

    name: Name
    shape: ListOf | None
    span: Span


@record
class Assign:
    """`a: [..] = value`; several targets take a list apart. `shared f = ...` makes one set of weights."""

    targets: tuple[Target, ...]
    value: Expr
    shared: bool
    span: Span


@record
class Input:
    """`input image: [3, 32, 32]` in a network, `in left, right` in a block."""

    keyword: Name
    targets: tuple[Target, ...]
    span: Span


@record
class Output:
    """`output: [..] = value` or `out = value`; a name between where there are several."""

    keyword: Name
    target: Target
    value: Expr
    span: Span


@record
class Aux:
    """`auxiliary head: [classes] = value, weight = 0.3`."""

    target: Target
    value: Expr
    weight: Expr
    span: Span


@record
class If:
    """`if condition { ... } else { ... }`; `else if` is an `If` inside `otherwise`."""

    condition: Expr
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]
    span: Span


@record
class Require:
    """`require condition, "message"`."""

    condition: Expr
    message: Text | None
    span: Span


@record
class Claim:
    """`params ~ 36.5M`, `error(cifar10) = 4.00%`: a metric, its subject, `=` `~` `<=` `>=`, a value."""

    metric: Name
    subject: Name | None
    operator: Name
    value: Expr
    span: Span


@record
class Claims:
    """`expect claim, claim` (checked) or `reported claim, claim` (quoted from the paper)."""

    keyword: Name
    claims: tuple[Claim, ...]
    span: Span


@record
class Init:
    """`init conv.weight = he_normal("fan_out")`."""

    target: Name
    weight: Name | None
    rule: Expr
    span: Span


@record
class Function:
    """`fn name(params) = value`, at the top of a file or inside a body."""

    name: Name
    params: tuple[Param, ...]
    value: Expr
    doc: Text | None
    span: Span


Statement = Union[Assign, Input, Output, Aux, If, Require, Claims, Init, Function]


@record
class Block:
    """`block name(params): contract { ... }` or `network Name(params) { ... }`."""

    keyword: Name
    name: Name
    params: tuple[Param, ...]
    contract: Contract | None
    body: tuple[Statement, ...]
    doc: Text | None
    span: Span


@record
class Imported:
    """One name of an import, with its local name if it is renamed (`basic as unit`)."""

    name: Name
    alias: Name | None
    span: Span


@record
class Import:
    """`import std.preact { wide }` or `import "other.arch" { unit }`."""

    path: tuple[Name, ...] | Text
    names: tuple[Imported, ...]
    span: Span


@record
class Constant:
    """`name = value` at the top of a file."""

    name: Name
    value: Expr
    span: Span


@record
class Variant:
    """One row of a `variants` table."""

    name: Name
    call: Expr
    claims: tuple[Claim, ...]
    span: Span


@record
class Variants:
    """`variants { row row ... }`."""

    rows: tuple[Variant, ...]
    span: Span


@record
class Setting:
    """`key = value` of a recipe."""

    key: Name
    value: Expr
    span: Span


@record
class Recipe:
    """`recipe name { key = value ... }`."""

    name: Name
    settings: tuple[Setting, ...]
    span: Span


@record
class ExternDecl:
    """`extern name(params): [..] -> [..] = "package.module:Class", params = count`."""

    name: Name
    params: tuple[Param, ...]
    contract: Contract
    path: Text
    count: Expr
    doc: Text | None
    span: Span


Declaration = Union[Import, Block, Function, Constant, Variants, Recipe, ExternDecl]


@record
class Comment:
    """A comment; `alone` where nothing stands before it on its line."""

    text: str
    alone: bool
    span: Span


@record
class File:
    """A whole file. `blank_lines` are the numbers of its empty lines, for the formatter."""

    doc: Text | None
    declarations: tuple[Declaration, ...]
    comments: tuple[Comment, ...]
    blank_lines: tuple[int, ...]
    span: Span

"""Python expressions and statements as text, laid out as `ruff format` does.

Only what generated modules need is known here: names, attributes, calls, numbers, texts, arithmetic, lists, tuples,
comprehensions and slices. Parentheses stand only where precedence asks for them.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from archdsl.emit.errors import InternalError
from archdsl.emit.torch.layout import STEP, WIDTH, Doc, Group, IfBroken, Indent, Line, joined, lay_out

_COMMA: tuple[Doc, ...] = (",", Line(" "))
_TRAILING = IfBroken(",")
_POSTFIX, _POWER, _SIGN, _TIMES, _PLUS, _COMPARE, _CHOICE = 18, 15, 14, 13, 12, 6, 2
_BINARY: dict[type[ast.operator], tuple[str, int]] = {
    ast.Add: ("+", _PLUS),
    ast.Sub: ("-", _PLUS),
    ast.Mult: ("*", _TIMES),
    ast.Div: ("/", _TIMES),
    ast.FloorDiv: ("//", _TIMES),
    ast.Mod: ("%", _TIMES),
    ast.MatMult: ("@", _TIMES),
    ast.Pow: ("**", _POWER),
}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Is: "is",
    ast.IsNot: "is not",
}
# Layers in a row read best one below the other as soon as they need more than one line.
_LISTED = frozenset({"nn.Sequential", "nn.ModuleList"})


def statement_lines(target: str, value: ast.expr, indent: int) -> list[str]:
    """The lines of `<target><value>`, where target is "", "return " or "name = "."""
    lines = lay_out((target, *_standing_alone(value)), indent)
    if len(lines[0]) > WIDTH and len(flat(value)) <= WIDTH - indent - STEP:  # even what stands before the bracket
        lines = lay_out((target, Group(("(", *_block(expression(value)), ")"))), indent)
    return lines


def flat(value: ast.expr) -> str:
    """An expression on one line, however long."""
    return _flat_text(expression(value))


def bracketed(opening: str, items: tuple[str, ...], closing: str, indent: int) -> list[str]:
    """The lines of a bracketed list of plain items, such as the parameters of a function."""
    inner = Group(_listed([(item,) for item in items]))
    return lay_out((Group((opening, *_block((inner,)), closing)),), indent)


def _flat_text(parts: tuple[Doc, ...]) -> str:
    texts: list[str] = []
    todo = list(reversed(parts))
    while todo:
        part = todo.pop()
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Line):
            texts.append(part.flat)
        elif not isinstance(part, IfBroken):
            todo.extend(reversed(part.parts))
    return "".join(texts)


def _standing_alone(value: ast.expr) -> tuple[Doc, ...]:
    """An expression that is a statement's value: what has no brackets of its own gets them where it must break."""
    if isinstance(value, ast.Tuple):
        return (Group((IfBroken("("), *_block(_listed(_all(value.elts))), IfBroken(")"))),)
    if isinstance(value, (ast.BinOp, ast.Compare, ast.IfExp, ast.Attribute, ast.Name)):
        inner = Group((IfBroken("("), *_block(expression(value)), IfBroken(")")))
        return (inner,)
    return expression(value)


def expression(node: ast.expr) -> tuple[Doc, ...]:
    """The document of an expression."""
    printer = _PRINTERS.get(type(node))
    if printer is None:
        raise InternalError(f"no way to print a {type(node).__name__}")
    return printer(node)


def _all(nodes: list[ast.expr]) -> list[tuple[Doc, ...]]:
    return [expression(node) for node in nodes]


def _block(parts: tuple[Doc, ...]) -> tuple[Doc, ...]:
    return (Indent((Line(), *parts)), Line())


def _listed(items: list[tuple[Doc, ...]]) -> tuple[Doc, ...]:
    return (*joined(items, _COMMA), _TRAILING)


def _operand(node: ast.expr, least: int) -> tuple[Doc, ...]:
    """An operand, in parentheses where it binds less than `least`."""
    parts = expression(node)
    return parts if _strength(node) >= least else (Group(("(", *_block(parts), ")")),)


def _strength(node: ast.expr) -> int:
    if isinstance(node, ast.BinOp):
        return _BINARY[type(node.op)][1]
    if isinstance(node, ast.UnaryOp):
        return _SIGN
    if isinstance(node, ast.Constant):
        negative = isinstance(node.value, (int, float)) and node.value < 0
        return _SIGN if negative else _POSTFIX
    if isinstance(node, ast.Compare):
        return _COMPARE
    return _CHOICE if isinstance(node, ast.IfExp) else _POSTFIX


def _name(node: ast.Name) -> tuple[Doc, ...]:
    return (node.id,)


def _constant(node: ast.Constant) -> tuple[Doc, ...]:
    return (text_literal(node.value) if isinstance(node.value, str) else repr(node.value),)


def text_literal(value: str) -> str:
    """A string literal of printable ASCII, in the quotes that need fewer backslashes."""
    body = ascii(value + "'\"")[1:-1].replace("\\'", "'")
    body = body[: -len("'\"")]
    if '"' in value and "'" not in value:
        return f"'{body}'"
    return '"' + body.replace('"', '\\"') + '"'


def _attribute(node: ast.Attribute) -> tuple[Doc, ...]:
    return (*_receiver(node.value), f".{node.attr}")


def _receiver(node: ast.expr) -> tuple[Doc, ...]:
    """What a dot, a bracket or a parenthesis follows: on one line, only the last brackets of a chain may break."""
    text = _flat_text(_operand(node, _POSTFIX))
    return (f"({text})",) if isinstance(node, ast.Constant) and isinstance(node.value, int) else (text,)


def _call(node: ast.Call) -> tuple[Doc, ...]:
    function = _receiver(node.func)
    if not node.args and not node.keywords:
        return (*function, "()")
    arguments = [*_all(node.args), *((_keyword(k)) for k in node.keywords)]
    if len(node.args) == 1 and not node.keywords:
        return (*function, *_sole_argument(node.args[0], arguments[0]))
    if flat(node.func) in _LISTED:
        return (*function, Group(("(", *_block(_listed(arguments)), ")")))
    return (*function, Group(("(", *_block((Group(_listed(arguments)),)), ")")))


def _sole_argument(node: ast.expr, parts: tuple[Doc, ...]) -> tuple[Doc, ...]:
    """One argument alone: no trailing comma, unless the argument itself would take several lines as a list does."""
    if isinstance(node, ast.GeneratorExp):
        return (Group(("(", *_block((_comprehended(node),)), ")")),)
    return (Group(("(", *_block(parts), ")")),)


def _keyword(node: ast.keyword) -> tuple[Doc, ...]:
    value = expression(node.value) if isinstance(node.value, ast.Tuple) else _standing_alone(node.value)
    return (f"{node.arg}=", *value)


def _binary(node: ast.BinOp) -> tuple[Doc, ...]:
    sign, strength = _BINARY[type(node.op)]
    if sign == "**":
        return (*_operand(node.left, _POSTFIX), _power_sign(node), *_operand(node.right, strength))
    parts = _operand(node.right, strength + 1)
    while isinstance(node.left, ast.BinOp) and _BINARY[type(node.left.op)][1] == strength:
        parts = (Line(" "), f"{sign} ", *parts)
        node, sign = node.left, _BINARY[type(node.left.op)][0]
        parts = (*_operand(node.right, strength + 1), *parts)
    return (Group((*_operand(node.left, strength), Line(" "), f"{sign} ", *parts)),)


def _power_sign(node: ast.BinOp) -> str:
    simple = all(isinstance(side, (ast.Name, ast.Constant, ast.Attribute)) for side in (node.left, node.right))
    return "**" if simple else " ** "


def _unary(node: ast.UnaryOp) -> tuple[Doc, ...]:
    sign = "not " if isinstance(node.op, ast.Not) else "-"
    return (sign, *_operand(node.operand, _SIGN))


def _compare(node: ast.Compare) -> tuple[Doc, ...]:
    parts = _operand(node.left, _COMPARE + 1)
    for operator, side in zip(node.ops, node.comparators, strict=True):
        parts = (*parts, Line(" "), f"{_COMPARISONS[type(operator)]} ", *_operand(side, _COMPARE + 1))
    return (Group(parts),)


def _choice(node: ast.IfExp) -> tuple[Doc, ...]:
    parts = (*_operand(node.body, _CHOICE + 1), Line(" "), "if ", *_operand(node.test, _CHOICE + 1))
    return (Group((*parts, Line(" "), "else ", *_operand(node.orelse, _CHOICE))),)


def _list(node: ast.List) -> tuple[Doc, ...]:
    if not node.elts:
        return ("[]",)
    return (Group(("[", *_block(_listed(_all(node.elts))), "]")),)


def _tuple(node: ast.Tuple) -> tuple[Doc, ...]:
    if len(node.elts) == 1:
        return ("(", *expression(node.elts[0]), ",)")
    if not node.elts:
        return ("()",)
    return (Group(("(", *_block(_listed(_all(node.elts))), ")")),)


def _starred(node: ast.Starred) -> tuple[Doc, ...]:
    return ("*", *_operand(node.value, _POSTFIX))


def _list_comprehension(node: ast.ListComp) -> tuple[Doc, ...]:
    return (Group(("[", *_block((_comprehended(node),)), "]")),)


def _generator(node: ast.GeneratorExp) -> tuple[Doc, ...]:
    return (Group(("(", *_block((_comprehended(node),)), ")")),)


def _comprehended(node: ast.ListComp | ast.GeneratorExp) -> Group:
    parts = expression(node.elt)
    for clause in node.generators:
        target = ", ".join(flat(part) for part in _targets(clause.target))
        parts = (*parts, Line(" "), f"for {target} in ", *expression(clause.iter))
    return Group(parts)


def _targets(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _subscript(node: ast.Subscript) -> tuple[Doc, ...]:
    items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    inner = Group(joined(_all(items), _COMMA))
    return (*_receiver(node.value), Group(("[", *_block((inner,)), "]")))


def _slice(node: ast.Slice) -> tuple[Doc, ...]:
    """A slice; its colon gets spaces around it beside anything longer than a name or a number."""
    ends = [end for end in (node.lower, node.upper, node.step) if end is not None]
    long = any(isinstance(end, (ast.BinOp, ast.Call, ast.Subscript)) for end in ends)
    lower, upper = (flat(end) if end else "" for end in (node.lower, node.upper))
    before, after = (" " if long and side else "" for side in (lower, upper))
    text = f"{lower}{before}:{after}{upper}"
    if node.step is None:
        return (text,)
    space = " " if long else ""
    return (f"{text}{space if upper else ''}:{space}{flat(node.step)}",)


_PRINTERS: dict[type[ast.expr], Callable[..., tuple[Doc, ...]]] = {
    ast.Name: _name,
    ast.Constant: _constant,
    ast.Attribute: _attribute,
    ast.Call: _call,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.Compare: _compare,
    ast.IfExp: _choice,
    ast.List: _list,
    ast.Tuple: _tuple,
    ast.Starred: _starred,
    ast.ListComp: _list_comprehension,
    ast.GeneratorExp: _generator,
    ast.Subscript: _subscript,
    ast.Slice: _slice,
}

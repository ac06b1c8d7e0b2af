"""Changing one value of a recipe from the command line: `--set recipe.optimizer.lr=0.05`."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import cast

from archdsl.recipe.border import RawCall, quoted, show, validate
from archdsl.recipe.problem import Problem
from archdsl.recipe.records import LONGEST_TEXT, Recipe, Record


def override(recipe: Recipe, key: str, text: str) -> tuple[Recipe | None, tuple[Problem, ...]]:
    """The recipe with one value replaced, as in `--set recipe.optimizer.lr=0.05`; the whole is validated again.

    >>> override(Recipe(), "optimizer.lr", "0.05")[0].optimizer.lr
    0.05
    >>> override(Recipe(), "schedule", "steps(at=[60, 120], gamma=0.2)")[0].schedule.at
    (60.0, 120.0)
    """
    parts = key.split(".")
    try:
        raw = _replaced(_raw_of(recipe, but=_RIVAL.get(key)), parts, _parse(text))
    except _RefusedError as refusal:
        return None, (Problem(tuple(parts), *refusal.args),)
    return validate(cast("Mapping[str, object]", raw))


class _RefusedError(Exception):
    """A message and perhaps a hint, on their way to becoming a `Problem`."""


_RIVAL = {"epochs": "iterations", "iterations": "epochs"}  # setting one drops the other


def _raw_of(recipe: Recipe, but: str | None) -> dict[str, object]:
    return {name: _raw_value(value) for name, value in recipe if value is not None and name != but}


def _raw_value(value: object) -> object:
    if isinstance(value, tuple):
        return [_raw_value(v) for v in cast("tuple[object, ...]", value)]
    if isinstance(value, Record):
        fields = {name: _raw_value(v) for name, v in value if name != "kind" and v is not None}
        return RawCall(type(value).model_fields["kind"].default, (), fields)
    return value


def _replaced(node: object, path: list[str], value: object) -> object:
    """`node` with the value at `path` exchanged; nodes on the way are copied, never changed."""
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(node, RawCall):
        return RawCall(node.name, (), cast("dict[str, object]", _replaced(node.kwargs, path, value)))
    if isinstance(node, list):
        return _replaced_at(cast("list[object]", node), head, rest, value)
    if isinstance(node, dict):
        fields = cast("dict[str, object]", node)
        return {**fields, head: _replaced(fields.get(head), rest, value)}
    raise _RefusedError(f"nothing here has a part called {quoted(head)}")


def _replaced_at(items: list[object], head: str, rest: list[str], value: object) -> object:
    if not head.isascii() or not head.isdigit() or int(head[:6]) >= len(items):
        raise _RefusedError(f"{quoted(head)} is no place in a list of {len(items)}", "places count from 0")
    index = int(head)
    return [*items[:index], _replaced(items[index], rest, value), *items[index + 1 :]]


def _parse(text: str) -> object:
    """A value from the command line: a number, `true`, `none`, text, a list, a name or a call."""
    if len(text) > LONGEST_TEXT:
        raise _RefusedError(f"a value of {len(text)} characters is too long")
    try:
        return _literal(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _RefusedError(
            f"cannot read {show(text)}", "write a number, a text in quotes, or e.g. sgd(lr=0.1)"
        ) from None


_WORDS: dict[str, object] = {"true": True, "false": False, "none": None}


def _literal(node: ast.expr) -> object:
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return [_literal(element) for element in elements]
        case ast.Name(id=name):
            return _WORDS[name.lower()] if name.lower() in _WORDS else RawCall(name)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            return RawCall(name, tuple(map(_literal, args)), {k.arg or "**": _literal(k.value) for k in keywords})
        case _:
            raise ValueError(ast.dump(node))

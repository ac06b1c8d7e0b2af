"""Recipes: settings to plain data, checked against the schema of `archdsl.recipe`, with findings at their lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from archdsl.elaborate import errors
from archdsl.elaborate.evaluate import evaluate_alone
from archdsl.elaborate.frame import Assembly, Frame, Session
from archdsl.elaborate.load import Module
from archdsl.elaborate.networks import Networks
from archdsl.elaborate.teachers import Teacher, built, misfits, plain, unfit_recipe
from archdsl.elaborate.values import UNKNOWN
from archdsl.ir.graph import Graph
from archdsl.scalar import Scalar
from archdsl.source import Span
from archdsl.suggest import nearest
from archdsl.syntax import ast

if TYPE_CHECKING:
    from archdsl.recipe import Problem, Recipe


@dataclass(frozen=True)
class CheckedRecipe:
    """A recipe of a file: as written, and as validated (None where it does not hold)."""

    name: str
    raw: dict[str, object]
    recipe: Recipe | None
    teacher: Teacher | None = None


def check_recipe(
    declaration: ast.Recipe, module: Module, session: Session, students: Sequence[Graph] = ()
) -> CheckedRecipe:
    """The recipe as data; what is wrong with it is reported at its place.

    students: the networks that it may be meant for; one of them must fit the recipe's teacher.
    """
    checked = _validated(declaration, module, session)
    if checked.recipe is None or checked.recipe.teacher is None:
        return checked
    frame = Frame(session, module, Assembly())
    return replace(checked, teacher=_teacher(declaration, checked.recipe, frame, students))


def _validated(declaration: ast.Recipe, module: Module, session: Session) -> CheckedRecipe:
    from archdsl.recipe import validate

    frame = Frame(session, module, Assembly())
    raw: dict[str, object] = {}
    seen: dict[str, Span] = {}
    for setting in declaration.settings:
        key = setting.key.text
        if key in seen:
            frame.report(errors.given_twice(setting.key.span, key, seen[key]))
            continue
        seen[key] = setting.key.span
        raw[key] = _reference(setting, frame) if key in _REFERENCES else _data(setting.value, frame)
    if any(_broken(value) for value in raw.values()):
        return CheckedRecipe(declaration.name.text, raw, None)
    recipe, problems = validate(raw)
    _report(problems, declaration, frame)
    return CheckedRecipe(declaration.name.text, raw, recipe)


def _report(problems: Iterable[Problem], declaration: ast.Recipe, frame: Frame) -> bool:
    """Say what is wrong, each at its place; whether anything is."""
    problems = list(problems)
    for problem in problems:
        frame.report(errors.recipe_problem(_place(declaration, problem.path), problem.message, problem.hint))
    return bool(problems)


# --- teachers

_REFERENCES = {"teacher": "a network", "teacher_recipe": "a recipe"}


def _reference(setting: ast.Setting, frame: Frame) -> Any:
    """The text of a setting that refers to a network or a recipe in sight."""
    wanted = _REFERENCES[setting.key.text]
    callee = setting.value.callee if isinstance(setting.value, ast.Apply) and wanted == "a network" else setting.value
    known = [name for name, (_, declared) in frame.module.names.items() if _what(declared) == wanted]
    if isinstance(callee, ast.Name) and callee.text in known:
        return setting.value.span.text
    if not isinstance(callee, ast.Name) or callee.text not in frame.module.damaged:
        close = nearest(callee.text, known) if isinstance(callee, ast.Name) else None
        hint = f"did you mean `{close}`?" if close else f"{wanted} of this file, or an imported one"
        message = f"`{setting.key.text}` needs {wanted}, found `{callee.span.text}`"
        frame.report(errors.recipe_problem(callee.span, message, hint))
    return UNKNOWN


def _what(declared: object) -> str:
    if isinstance(declared, ast.Block):
        return f"a {declared.keyword.text}"
    return "a recipe" if isinstance(declared, ast.Recipe) else ""


def _teacher(declaration: ast.Recipe, recipe: Recipe, frame: Frame, students: Sequence[Graph]) -> Teacher | None:
    """The recipe's teacher, unless something about it is wrong (reported)."""
    network = built(_setting(declaration, "teacher").value, Networks(frame.module, frame.session.bag))
    training = _teacher_recipe(declaration, recipe, frame)
    found = _all_misfits(recipe, network.graph, students) if network is not None else ()
    if _report(found, declaration, frame) or network is None or training is None:
        return None
    return Teacher(network, training)


def _all_misfits(recipe: Recipe, teacher: Graph, students: Sequence[Graph]) -> Sequence[Problem]:
    """Why no network can learn from the teacher: what speaks against the first that is not the teacher itself."""
    others = [student for student in students if student.name != teacher.name] or students
    found = [list(misfits(recipe, teacher, student)) for student in others]
    return found[0] if found and all(found) else ()


def _teacher_recipe(declaration: ast.Recipe, recipe: Recipe, frame: Frame) -> Recipe | None:
    if recipe.teacher_recipe is None:
        return plain(recipe)
    home, other = frame.module.names[recipe.teacher_recipe]
    assert isinstance(other, ast.Recipe)
    found = _validated(other, home, frame.session).recipe
    return None if found is None or _report(unfit_recipe(recipe, found), declaration, frame) else found


def _setting(declaration: ast.Recipe, key: str) -> ast.Setting:
    return next(setting for setting in declaration.settings if setting.key.text == key)


# --- data


def _broken(value: object) -> bool:
    return value is UNKNOWN or (isinstance(value, list) and any(map(_broken, value)))  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]


def _data(expr: ast.Expr, frame: Frame) -> Any:
    """A setting as plain data: words and calls stay words and calls, numbers are computed."""
    from archdsl.recipe import RawCall

    if isinstance(expr, ast.Name) and frame.look_up(expr.text) is None and not _is_constant(expr, frame):
        return RawCall(expr.text)
    if isinstance(expr, ast.Apply) and isinstance(expr.callee, ast.Name):
        args = tuple(_data(a.value, frame) for a in expr.arguments if a.name is None)
        kwargs = {a.name.text: _data(a.value, frame) for a in expr.arguments if a.name is not None}
        return RawCall(expr.callee.text, args, kwargs)
    if isinstance(expr, ast.ListOf) and not any(isinstance(i, ast.Comprehension) for i in expr.items):
        return [_data(item, frame) for item in expr.items]
    return _plain(evaluate_alone(expr, frame))


def _is_constant(name: ast.Name, frame: Frame) -> bool:
    found = frame.module.names.get(name.text)
    return found is not None and isinstance(found[1], ast.Constant)


def _plain(value: Any) -> Any:
    if isinstance(value, Scalar):
        return value.value
    return [_plain(part) for part in value] if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownVariableType]


def _place(declaration: ast.Recipe, path: tuple[str | int, ...]) -> Span:
    """The innermost place that a path into the data leads to."""
    setting = next((s for s in declaration.settings if path and s.key.text == path[0]), None)
    if setting is None:
        return declaration.name.span
    if len(path) == 1:
        return setting.span
    return _inner(setting.value, path[1:])


def _inner(expr: ast.Expr, path: tuple[str | int, ...]) -> Span:
    if not path:
        return expr.span
    step, rest = path[0], path[1:]
    if isinstance(expr, ast.ListOf) and isinstance(step, int) and step < len(expr.items):
        return _inner(expr.items[step], rest)
    if isinstance(expr, ast.Apply):
        by_place = [a for a in expr.arguments if a.name is None]
        if isinstance(step, int) and step < len(by_place):
            return _inner(by_place[step].value, rest)
        named = next((a for a in expr.arguments if a.name is not None and a.name.text == step), None)
        if named is not None:
            return _inner(named.value, rest) if rest else named.span
    return expr.span

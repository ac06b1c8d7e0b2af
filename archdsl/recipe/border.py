"""From plain data to a `Recipe`, or to everything that is wrong with it, each with the place in the data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, cast

from pydantic import ValidationError

from archdsl.recipe.consistency import conflicts
from archdsl.recipe.problem import Path, Problem
from archdsl.recipe.records import CHOICES, LISTS, Recipe, Record
from archdsl.suggest import nearest

LARGEST = 2**53  # beyond it a float no longer counts in ones
LONGEST_LIST = 1000
BROKEN = object()  # in the place of a value that was refused


@dataclass(frozen=True)
class RawCall:
    """A call as written: `pad_crop(4)`, or a bare name such as `flip`."""

    name: str
    args: tuple[object, ...] = ()
    kwargs: dict[str, object] = field(default_factory=dict[str, object])


def validate(raw: Mapping[str, object]) -> tuple[Recipe | None, tuple[Problem, ...]]:
    """The recipe that `raw` describes, or all that is wrong with it.

    >>> validate({"optimizer": RawCall("sgd", (Fraction(1, 10),))})[0].optimizer.lr
    0.1
    >>> validate({"epocs": 3})[1][0].hint
    'did you mean `epochs`?'
    """
    border = _Border()
    plain = border.recipe(raw)
    try:
        recipe = Recipe.model_validate(plain)
    except ValidationError as error:
        found = _problems(error, plain, border.origins)
        border.problems += [problem for problem in found if not border.follows(problem)]
        recipe = None
    if recipe is not None and not border.problems:
        border.problems += [replace(found, path=_written(found.path, border.origins)) for found in conflicts(recipe)]
    return (None if border.problems else recipe), tuple(border.problems)


@dataclass
class _Border:
    """Carries raw values over to what pydantic takes, remembering where each came from."""

    problems: list[Problem] = field(default_factory=list[Problem])
    origins: dict[Path, Path] = field(default_factory=dict[Path, Path])

    def recipe(self, raw: Mapping[str, object]) -> dict[str, object]:
        plain: dict[str, object] = {}
        for key, value in raw.items():
            if key in Recipe.model_fields:
                plain[key] = self.field(key, value, (key,), (key,))
            else:
                self.refuse((key,), f"a recipe has no {quoted(key)}", _did_you_mean(key, Recipe.model_fields))
        return _whole(plain)

    def field(self, key: str, value: object, here: Path, origin: Path) -> object:
        """The value of one setting, of a recipe or of a stage."""
        if key not in CHOICES or value is None:
            return self.value(value, here, origin)
        if key not in LISTS:
            return self.item(key, value, here, origin)
        if not isinstance(value, list):  # one item stands for a list of one
            item = self.item(key, value, (*here, 0), origin)
            return BROKEN if item is BROKEN else (item,)
        return self.items(key, cast("list[object]", value), here, origin)

    def items(self, key: str, values: list[object], here: Path, origin: Path) -> object:
        """The sound items of a list; a broken one is left out, so that the others are still looked at."""
        if len(values) > LONGEST_LIST:
            return self.refuse(origin, f"a list of {len(values)} is too long")
        self.origins[here] = origin
        sound: list[object] = []
        for place, value in enumerate(values):
            item = self.item(key, value, (*here, len(sound)), (*origin, place))
            sound += [] if item is BROKEN else [item]
        return tuple(sound)

    def item(self, family: str, value: object, here: Path, origin: Path) -> object:
        """One choice out of a family, as the mapping that pydantic tells apart by its `kind`."""
        self.origins[here] = origin
        choices = CHOICES[family]
        if not isinstance(value, RawCall):
            return self.refuse(origin, f"{family} needs {_one_of(choices)}, found {show(value)}", _unquoted(value))
        if value.name not in choices:
            hint = _did_you_mean(value.name, choices) or f"known: {_one_of(choices)}"
            return self.refuse(origin, f"no {family} is called {quoted(value.name)}", hint)
        return {"kind": value.name, **self.arguments(value, choices[value.name], here, origin)}

    def arguments(self, call: RawCall, record: type[Record], here: Path, origin: Path) -> dict[str, object]:
        """The arguments by name; those without one take the record's fields in order."""
        names = [name for name in record.model_fields if name != "kind"]
        if len(call.args) > len(names):
            self.refuse((*origin, len(names)), f"{call.name} takes at most {len(names)} arguments")
        given: dict[str, object] = {}
        for where, name, argument in _bound(call, names):
            if name not in names:
                self.refuse((*origin, where), f"{call.name} has no {quoted(name)}", _did_you_mean(name, names))
            elif name in given:
                self.refuse((*origin, where), f"`{name}` is given twice")
            else:
                given[name] = self.field(name, argument, (*here, name), (*origin, where))
        return _whole(given)

    def value(self, value: object, here: Path, origin: Path) -> object:
        """A plain value: exact numbers become int or float here and nowhere else."""
        self.origins[here] = origin
        if isinstance(value, list):
            return self.values(cast("list[object]", value), here, origin)
        if isinstance(value, RawCall):
            found = f"a value is needed here, found {quoted(value.name)}"
            return self.refuse(origin, found, "a text is written in quotes")
        if isinstance(value, int | float | Fraction) and not _bounded(value):
            return self.refuse(origin, "this number is out of all bounds")
        if isinstance(value, Fraction):
            return int(value) if value.denominator == 1 else float(value)
        return value

    def values(self, values: list[object], here: Path, origin: Path) -> object:
        if len(values) > LONGEST_LIST:
            return self.refuse(origin, f"a list of {len(values)} is too long")
        converted = [self.value(v, (*here, i), (*origin, i)) for i, v in enumerate(values)]
        return BROKEN if BROKEN in converted else tuple(converted)

    def refuse(self, path: Path, message: str, hint: str | None = None) -> object:
        self.problems.append(Problem(path, message, hint))
        return BROKEN

    def follows(self, problem: Problem) -> bool:
        """Whether something further in has been refused already, so that this may be no more than its echo."""
        return any(known.path[: len(problem.path)] == problem.path for known in self.problems)


def _whole(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not BROKEN}


def _bound(call: RawCall, names: list[str]) -> Iterator[tuple[str | int, str, object]]:
    for index, (name, value) in enumerate(zip(names, call.args, strict=False)):
        yield index, name, value
    for name, value in call.kwargs.items():
        yield name, name, value


def _bounded(value: float | Fraction) -> bool:
    return not (isinstance(value, float) and not math.isfinite(value)) and abs(value) <= LARGEST


# --- saying what is wrong

_MESSAGES = {
    "missing": "`{name}` is missing",
    "too_few": "`{name}` has too few values",
    "int_type": "`{name}` needs a whole number, found {found}",
    "float_type": "`{name}` needs a number, found {found}",
    "bool_type": "`{name}` is true or false, found {found}",
    "string_type": "`{name}` needs a text in quotes, found {found}",
    "tuple_type": "`{name}` needs a list, found {found}",
    "literal_error": "`{name}` is one of {expected}, found {found}",
    "greater_than": "`{name}` must be above {gt:g}, found {found}",
    "greater_than_equal": "`{name}` must be at least {ge:g}, found {found}",
    "less_than": "`{name}` must be below {lt:g}, found {found}",
    "less_than_equal": "`{name}` must be at most {le:g}, found {found}",
    "too_short": "`{name}` needs at least {min_length}, found {actual_length}",
    "too_long": "`{name}` takes at most {max_length}, found {actual_length}",
    "string_too_short": "`{name}` must not be empty",
    "string_too_long": "`{name}` takes at most {max_length} characters",
    "value_error": "{error}",
}


def _problems(error: ValidationError, plain: object, origins: dict[Path, Path]) -> Iterator[Problem]:
    for details in error.errors(include_url=False):
        path = _without_tags(details["loc"], plain)
        context: dict[str, Any] = details.get("ctx", {})
        words = {"name": _field_name(path), "found": show(details["input"]), **context}
        kind = "too_few" if details["type"] == "missing" and isinstance(path[-1], int) else details["type"]
        template = _MESSAGES.get(kind, "{msg}")
        yield Problem(_origin(path, origins), template.format(msg=details["msg"], **words))


def _without_tags(loc: Path, plain: object) -> Path:
    """pydantic's location less the kinds it passes through, which are no part of what was written."""
    path: list[str | int] = []
    here: Any = plain
    for part in loc:
        if _is_tag(part, here):
            continue
        path.append(part)
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            here = None
    return tuple(path)


def _is_tag(part: str | int, here: object) -> bool:
    if not isinstance(here, dict):
        return False
    fields = cast("dict[object, object]", here)
    return fields.get("kind") == part and part not in fields


def _origin(path: Path, origins: dict[Path, Path]) -> Path:
    """Where the value was written; a missing one is blamed on the call that lacks it."""
    while path and path not in origins:
        path = path[:-1]
    return origins.get(path, path)


def _written(path: Path, origins: dict[Path, Path]) -> Path:
    """The same where nothing is missing: a setting that was never written is blamed on the recipe."""
    return _origin(path, origins) if any(known[:1] == path[:1] for known in origins) else ()


def _field_name(path: Path) -> str:
    return next((part for part in reversed(path) if isinstance(part, str)), "recipe")


def show(value: object) -> str:
    """A value for a message: short, printable, whatever it is."""
    if isinstance(value, RawCall):
        return quoted(value.name)
    if isinstance(value, bool | None):
        return str(value).lower()
    if isinstance(value, int | float | Fraction):
        return str(value) if _bounded(value) else "a huge number"
    if isinstance(value, str):
        return ascii(value[:40])
    return "a list" if isinstance(value, list | tuple) else "something else"


def quoted(name: str) -> str:
    """A name for a message, harmless whatever it holds."""
    return "`" + ascii(name[:40])[1:-1] + "`"


def _one_of(names: Mapping[str, object]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _did_you_mean(name: str, known: Mapping[str, object] | list[str]) -> str | None:
    near = nearest(name[:40], known)
    return f"did you mean `{near}`?" if near else None


def _unquoted(value: object) -> str | None:
    return "write the name without quotes" if isinstance(value, str) else None

"""An option that was refused: what was given, and what can be. No torch in here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

_FLAGS = {"changes": "--set"}
Form = Mapping[str, Any]
"""What an option takes, as a JSON schema says it."""


def refusal(options: type[BaseModel], error: ValidationError) -> str:
    """The first thing that is wrong with `options`, in one line."""
    problem = error.errors()[0]
    if not problem["loc"]:  # flags that do not go together say so themselves
        return problem["msg"].removeprefix("Value error, ")
    name, given = str(problem["loc"][0]), problem["input"]
    form = _form(options.model_json_schema()["properties"].get(name, {}))
    flag = _FLAGS.get(name, "--" + name.replace("_", "-"))
    return f"{flag} takes {_allowed(form)}, not {_found(form, given)}"


def _form(form: Form) -> Form:
    """Of one value, where there may be none, or several."""
    if "anyOf" in form:
        return _form(next(choice for choice in form["anyOf"] if choice.get("type") != "null"))
    return _form(form["items"]) if "items" in form else form


def _allowed(form: Form) -> str:
    kind = form.get("type")
    if "enum" in form:
        *others, last = form["enum"]
        return f"{', '.join(others)} or {last}"
    if kind in ("integer", "number"):
        return f"{'a whole number' if kind == 'integer' else 'a number'} {_range(form)}"
    if "maxLength" in form:
        return f"at most {form['maxLength']:,} characters"
    return "no value" if kind == "boolean" else "a text"


def _range(form: Form) -> str:
    if "minimum" in form:
        return f"from {form['minimum']:,} to {form['maximum']:,}"
    return f"above {form['exclusiveMinimum']:,} and up to {form['maximum']:,}"


def _found(form: Form, given: object) -> str:
    if isinstance(given, str):
        return f"{len(given):,}" if "maxLength" in form else repr(given[:80])
    return f"{given:,}" if isinstance(given, int) else f"{given:g}" if isinstance(given, float) else repr(given)

"""What the command line gives, checked at the border: names that exist, values of the right type.

`-p depth=40` is read in two steps. `overrides` takes the texts apart when the flags are read; `parameters` turns them
into values once the network is known, with findings that point into the command line as others point into a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, InstanceOf, StringConstraints, ValidationError
from pydantic import create_model as create

from archdsl import limits
from archdsl.codes import code
from archdsl.diagnostic import Diagnostic, Diagnostics, Label, Severity
from archdsl.inputs import Misuse
from archdsl.source import Source, Span
from archdsl.suggest import nearest

Given = int | Fraction | bool | str

_BIG = 10**limits.DIGITS.value
_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
_NUMBER = re.compile(r"(-?[0-9]{1,18})(?:\.([0-9]{1,18}))?(?:[eE](-?[0-9]{1,2}))?([KMG%]?)")
_SUFFIX = {"": Fraction(1), "K": Fraction(1000), "M": Fraction(10**6), "G": Fraction(10**9), "%": Fraction(1, 100)}


class Override(BaseModel):
    """One `-p NAME=VALUE`, taken apart."""

    model_config = _STRICT

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=limits.NAME.value)]
    value: Annotated[str, StringConstraints(pattern=r"^[ -~]+$", max_length=256)]


def overrides(values: Sequence[str]) -> dict[str, str]:
    """Names to texts; raises `Misuse` for what is not `NAME=VALUE`, and for a name given twice."""
    if len(values) > limits.OVERRIDES.value:
        raise Misuse(f"-p: at most {limits.OVERRIDES}")
    given: dict[str, str] = {}
    for value in values:
        one = _override(value)
        if one.name in given:
            raise Misuse(f"-p {one.name} is given twice")
        given[one.name] = one.value
    return given


def parameters(raw: Mapping[str, str], known: Mapping[str, str | None], bag: Diagnostics) -> dict[str, Given]:
    """The values of `raw`, a text by parameter; `known` has the declared type of every parameter, None without one.

    What does not fit goes to `bag` and is left out.
    """
    given = {name: _literal(text) for name, text in raw.items()}
    problems = _problems(given, known)
    for name, kind in problems.items():
        bag.add(_problem(name, raw[name], kind, known))
    return {name: value for name, value in given.items() if name not in problems}


def _problems(given: Mapping[str, Given], known: Mapping[str, str | None]) -> dict[str, str]:
    """Which names do not fit, and pydantic's word for why."""
    wanted = [(name, kind) for name, kind in known.items() if name in given]
    fields: dict[str, Any] = {f"p{i}": (_types(kind), Field(alias=name)) for i, (name, kind) in enumerate(wanted)}
    model: type[BaseModel] = create("Parameters", __config__=_STRICT, **fields)
    try:
        model(**given)
    except ValidationError as error:
        return {str(problem["loc"][0]): problem["type"] for problem in error.errors(include_input=False)}
    return {}


@code("A401", "unknown-parameter")
def unknown_parameter(span: Span, known: Sequence[str]) -> Diagnostic:
    """The command line gives a parameter that the network does not have.

    Wrong: `archdsl summary specs/wrn-28-10.arch -p dept=40`. Right: `archdsl summary specs/wrn-28-10.arch -p depth=40`.
    """
    close = nearest(span.text, known)
    has = f"it has {', '.join(known)}" if known else "it has none"
    hint = f"did you mean `{close}`?" if close else None
    title = f"the network has no parameter `{span.text}`"
    return Diagnostic("A401", Severity.ERROR, title, Label(span, has), hint=hint)


@code("A402", "wrong-parameter")
def wrong_parameter(span: Span, name: str, wanted: str) -> Diagnostic:
    """The command line gives a parameter a value that it cannot have.

    Numbers, `true`, `false` and words can be given; lists and layers only stand in files.

    Wrong: `-p depth=deep`. Right: `-p depth=40`.
    """
    return Diagnostic("A402", Severity.ERROR, f"`{name}` takes {wanted}", Label(span, "not this"))


def _override(value: str) -> Override:
    name, sign, text = value.partition("=")
    try:
        return Override(name=name.strip(), value=text.strip())
    except ValidationError:
        advice = "a name and a value in plain characters" if sign else "NAME=VALUE"
        raise Misuse(f"-p takes {advice}, such as -p depth=40, not {value[:80]!r}") from None


def _problem(name: str, text: str, kind: str, known: Mapping[str, str | None]) -> Diagnostic:
    source = Source("-p", f"{name}={text}")
    if kind == "extra_forbidden":
        return unknown_parameter(Span(source, 0, len(name)), list(known))
    return wrong_parameter(Span(source, len(name) + 1, len(source.text)), name, _WANTED.get(known[name] or "", _PLAIN))


def _literal(text: str) -> Given:
    """A number, `true`, `false`, or the text itself, with or without quotes."""
    if text in ("true", "false"):
        return text == "true"
    if match := _NUMBER.fullmatch(text):
        return _exact(*match.groups())
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _exact(whole: str, part: str | None, power: str | None, suffix: str) -> int | Fraction:
    digits = part or ""
    value = Fraction(int(whole + digits), 10 ** len(digits)) * Fraction(10) ** int(power or 0) * _SUFFIX[suffix]
    return value.numerator if value.denominator == 1 else value


def _bounded(value: object) -> object:
    if isinstance(value, Fraction) and (abs(value) > _BIG or value.denominator > _BIG):
        raise ValueError("too large or too fine")
    return value


_Whole = Annotated[int, Field(ge=-limits.SIZE.value, le=limits.SIZE.value)]
_Exact = Annotated[int, Field(ge=-_BIG, le=_BIG)] | Annotated[InstanceOf[Fraction], BeforeValidator(_bounded)]
_TYPES: dict[str, Any] = {"int": _Whole, "number": _Exact, "bool": bool, "text": str}
_WANTED = {
    "int": "a whole number",
    "number": "a number",
    "bool": "true or false",
    "text": "a text",
    "list": "a list, which only a file can give",
    "layer": "a layer, which only a file can give",
}
_PLAIN = "a number, true, false or a text"


def _types(kind: str | None) -> Any:
    """What pydantic checks a parameter against; nothing fits a list or a layer."""
    if kind is None:
        return bool | _Exact | str
    return _TYPES.get(kind, Annotated[str, BeforeValidator(_refuse(kind))])


def _refuse(kind: str) -> Callable[[object], object]:
    def refuse(value: object) -> object:
        raise ValueError(kind)

    return refuse

"""The page of a code: the docstring of the function that makes its diagnostics, of a rule's module, of a primitive."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

from archdsl.codes import is_coded
from archdsl.ops.op import Op
from archdsl.suggest import nearest

# Every module whose functions make diagnostics. A new one is added here; a test finds those that are not.
MODULES = ("archdsl.syntax.errors", "archdsl.elaborate.errors", "archdsl.config")


@dataclass(frozen=True, slots=True)
class Page:
    """What `archdsl explain` has to say on a code or a primitive."""

    code: str
    slug: str
    text: str

    def __str__(self) -> str:
        return f"{self.code}: {self.slug}\n\n{self.text}\n" if self.slug else f"{self.code}\n\n{self.text}\n"


def pages() -> Iterator[Page]:
    """All pages of codes, in the order of the modules that make them; lint rules last."""
    from archdsl.lints import RULES

    for name in MODULES:
        coded = filter(is_coded, vars(import_module(name)).values())
        yield from (Page(make.code, make.slug, inspect.cleandoc(make.__doc__ or "")) for make in coded)
    for rule in RULES:
        module = inspect.getmodule(rule.check)
        yield Page(rule.code, rule.slug, inspect.cleandoc((module and module.__doc__) or ""))


def page(name: str) -> Page | None:
    """The page of a code (`T203`), of its slug (`shape-mismatch`) or of a primitive (`conv`)."""
    for candidate in pages():
        if name.lower() in (candidate.code.lower(), candidate.slug):
            return candidate
    return _primitive(name)


def closest(name: str) -> str | None:
    """The code, slug or primitive that was probably meant."""
    from archdsl.ops import OPS

    known = [word for candidate in pages() for word in (candidate.code, candidate.slug)]
    return nearest(name, [*known, *OPS])


def _primitive(name: str) -> Page | None:
    from archdsl.ops import OPS

    op = OPS.get(name)
    return Page(_signature(op), "", "\n".join([inspect.cleandoc(op.doc), *_parameters(op)])) if op else None


def _signature(op: Op) -> str:
    return f"{op.name}({', '.join(p.name if p.required else f'{p.name}={_shown(p.default)}' for p in op.params)})"


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return str(list(value))  # pyright: ignore[reportUnknownArgumentType]
    return {"None": "none", "True": "true", "False": "false"}.get(str(value), str(value))


def _parameters(op: Op) -> Iterator[str]:
    if op.params:
        yield ""
    for param in op.params:
        kind = " | ".join(f'"{choice}"' for choice in param.choices) or param.kind.value
        yield f"{param.name} ({kind}{', or none' if param.optional else ''}): {param.doc}".rstrip(": .") + "."

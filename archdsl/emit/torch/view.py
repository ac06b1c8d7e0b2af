"""A generated module as lines of text, ready for the template, which only loops over them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PyStatement:
    """One statement, on one line or several."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PyField:
    """A statement that gives a class one of its attributes."""

    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PyClass:
    """An `nn.Module`. `constructor` is the head of `__init__`, empty where the class needs none."""

    name: str
    doc: tuple[str, ...]
    constructor: tuple[str, ...]
    fields: tuple[PyField, ...]
    initialisation: tuple[PyStatement, ...]
    forward: tuple[str, ...]
    statements: tuple[PyStatement, ...]


@dataclass(frozen=True, slots=True)
class PyFile:
    """A whole module. `helpers` are the sources of what the classes use, `check` what it does when it is run."""

    doc: tuple[str, ...]
    imports: tuple[str, ...]
    helpers: tuple[str, ...]
    classes: tuple[PyClass, ...]
    check: tuple[PyStatement, ...]

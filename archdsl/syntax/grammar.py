"""The grammar as a parser. `grammars/arch.lark` is the one definition; `tables.json` holds its LALR tables, built
beforehand because building them costs ten times as much as loading them. A grammar that is newer than its tables (in a
checkout being worked on) is simply built.

Rebuild with `python -m archdsl.syntax.grammar`. Lark's own cache is not used: it is a pickle in a shared folder.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Protocol

    from lark import Lark, Token
    from lark.lexer import TerminalDef

    from archdsl.syntax.ast import File
    from archdsl.syntax.build import Builder

    class Parse(Protocol):
        """A parse under way: what this package uses of lark's `InteractiveParser`."""

        def feed_token(self, token: Token) -> object: ...
        def feed_eof(self, last_token: Token | None = None) -> File: ...
        def accepts(self) -> set[str]: ...

    class Parser(Protocol):
        """What this package uses of `Lark`."""

        terminals: Collection[TerminalDef]

        def parse_interactive(self) -> Parse: ...


_HERE = Path(__file__).parent
TABLES = _HERE / "tables.json"


def grammar_text() -> str:
    """The text of `arch.lark`: beside the package in an installed wheel, at the top of the checkout otherwise."""
    for folder in (_HERE.parent / "grammars", _HERE.parent.parent / "grammars"):
        if (path := folder / "arch.lark").is_file():
            return path.read_text(encoding="utf-8")
    raise FileNotFoundError("grammars/arch.lark is missing from this installation of archdsl")


def digest(text: str) -> str:
    """What ties tables to the grammar they were built from."""
    return hashlib.sha256(text.encode()).hexdigest()


def build(text: str, transformer: Builder | None = None) -> Lark:
    """A parser built from the grammar's text (about 0.15 s)."""
    from lark import Lark

    options: dict[str, Any] = {"transformer": transformer} if transformer else {}
    return Lark(
        text, parser="lalr", lexer="basic", start="file", maybe_placeholders=False, keep_all_tokens=True, **options
    )


def tables_text() -> str:
    """The tables as text, as they are kept in `tables.json`."""
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    text = grammar_text()
    data, memo = build(text).memo_serialize([TerminalDef, Rule])  # pyright: ignore[reportUnknownMemberType]
    content = {"grammar": digest(text), "data": data, "memo": memo}
    return json.dumps(content, default=sorted, separators=(",", ":")) + "\n"


@cache
def builder() -> Builder:
    """The parser's callbacks, which make the syntax tree."""
    from archdsl.syntax.build import Builder

    return Builder()


@cache
def parser() -> Parser:
    """The parser."""
    text = grammar_text()
    tables: dict[str, Any] = json.loads(TABLES.read_bytes(), object_hook=_whole_keys) if TABLES.is_file() else {}
    if tables.get("grammar") != digest(text):
        return build(text, builder())
    return _load({"data": tables["data"], "memo": tables["memo"]}, builder())


def _load(tables: dict[str, Any], transformer: Builder) -> Parser:
    from lark import Lark

    load: Any = Lark.__new__(Lark)._load  # pyright: ignore
    return load(tables, transformer=transformer)


def _whole_keys(table: dict[str, Any]) -> dict[Any, Any]:
    """JSON turns Lark's integer keys into text; back."""
    return {int(key) if key.isdigit() else key: value for key, value in table.items()}


if __name__ == "__main__":
    from archdsl.fsio import write_atomic

    write_atomic(TABLES, tables_text().encode())

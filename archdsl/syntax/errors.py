"""What can be wrong with a text before it means anything: one function per code, its docstring its page."""

from __future__ import annotations

from archdsl.codes import code
from archdsl.diagnostic import Diagnostic, Label, Severity
from archdsl.limits import Limit
from archdsl.source import Span

_HABITS = {
    "'": "text stands in double quotes",
    ";": "one statement a line; a line break ends it",
    "&": "write `and`",
    "&&": "write `and`",
    "|": "write `or`",
    "||": "write `or`",
    "!": "write `not`",
    "**": "write `^` for powers",
    "@": "write `->` to apply a layer",
    "=>": "write `->`",
    "→": "write `->`",
    "×": "write `*`",
    "−": "write `-`",
}


def _error(code: str, title: str, span: Span, text: str = "", hint: str | None = None) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, title, Label(span, text), hint=hint)


@code("S100", "not-utf8")
def not_utf8(span: Span, byte: int, offset: int) -> Diagnostic:
    """A file is not UTF-8 text.

    `.arch` files are UTF-8. A file that starts with bytes of another encoding, or that is not text at all, is refused
    as a whole.

    Wrong: a file saved as Latin-1 with `é` in a comment. Right: the same file saved as UTF-8.
    """
    return _error(
        "S100", f"this file is not UTF-8 text: byte 0x{byte:02x} at offset {offset}", span, hint="save it as UTF-8"
    )


@code("S101", "unknown-character")
def unknown_character(span: Span) -> Diagnostic:
    """A character that begins nothing in the language.

    Names are ASCII letters, digits and `_`; text stands in double quotes.

    Wrong: `bréite = 3`, `mode = 'same'`. Right: `width = 3`, `mode = "same"`.
    """
    text = span.text
    what = "names are ASCII letters, digits and `_`" if any(map(str.isalpha, text)) else None
    return _error(
        "S101", f"`{text[:20]}` means nothing here", span, hint=_HABITS.get(text, _HABITS.get(text[:1], what))
    )


@code("S102", "hidden-character")
def hidden_character(span: Span) -> Diagnostic:
    r"""An invisible or reordering character.

    Control characters, zero-width characters and the Unicode marks that change the direction of text can make a file
    read differently from what it says. They are refused everywhere, comments and text included.

    Wrong: a `\u202e` inside a comment. Right: the comment without it.
    """
    point = ord(span.text)
    return _error("S102", f"the invisible character U+{point:04X} is not allowed", span, hint="delete it")


@code("S103", "open-text")
def open_text(span: Span) -> Diagnostic:
    """A text that is not closed on its line.

    Text stands between double quotes on one line; a doc comment stands between triple double quotes.

    Wrong: `level = "image`. Right: `level = "image"`.
    """
    return _error("S103", "this text is never closed", span, hint='close it with `"` on the same line')


@code("S104", "unclosed-bracket")
def unclosed_bracket(span: Span, met: Span | None) -> Diagnostic:
    """A bracket that is opened and never closed.

    Wrong: `conv(16, 3 -> bn`. Right: `conv(16, 3) -> bn`.
    """
    closer = {"(": ")", "[": "]", "{": "}"}[span.text]
    others = (Label(met, f"met `{met.text}` first"),) if met else ()
    title = f"`{span.text}` is never closed"
    return Diagnostic(
        "S104", Severity.ERROR, title, Label(span, "opened here"), others, hint=f"close it with `{closer}`"
    )


@code("S105", "stray-bracket")
def stray_bracket(span: Span) -> Diagnostic:
    """A closing bracket with nothing to close.

    Wrong: `x -> relu)`. Right: `x -> relu`.
    """
    return _error("S105", f"`{span.text}` closes nothing", span, hint="delete it, or open its pair")


@code("S106", "unexpected")
def unexpected(span: Span, found: str, expected: tuple[str, ...], hint: str | None) -> Diagnostic:
    """Something stands where the grammar has no place for it.

    Wrong: `main = in conv(16, 3)`. Right: `main = in -> conv(16, 3)`.
    """
    title = f"{found} cannot stand here"
    wanted = f"expected {_one_of(expected)}" if 0 < len(expected) <= 6 else ""
    return _error("S106", title, span, wanted, hint)


def _one_of(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


@code("M101", "over-limit")
def over_limit(limit: Limit, span: Span) -> Diagnostic:
    """A bound of archdsl is reached.

    Every text gets its answer in bounded time and memory; the bounds lie far above what networks need.
    `docs/language.md` lists them.

    Wrong: a million nested brackets. Right: a block with a name for each level.
    """
    start = Span(span.source, span.start, min(span.end, span.start + 40))
    unit = "" if limit.unit == "at most" else f" {limit.unit}"
    return _error("M101", f"{limit.name}: at most {limit.value:,}{unit}", start, "the limit is reached here", limit.doc)

"""Text to syntax tree. A statement that cannot be read is reported and left out, and the rest is read all the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, cast

from lark import Token
from lark.exceptions import UnexpectedToken, VisitError

from archdsl.diagnostic import Diagnostics
from archdsl.limits import NESTING, SOURCE
from archdsl.source import Source, Span
from archdsl.suggest import nearest
from archdsl.syntax import ast, errors
from archdsl.syntax.build import Unfit
from archdsl.syntax.grammar import builder, parser
from archdsl.syntax.lexer import Tokens, keywords, statement_around, tokenize

_MOST_SYNTAX_ERRORS = 20
_MOST_TOKENS_READ = 200_000  # over all repeated readings of one file: recovery stays linear


@dataclass(frozen=True)
class Parsed:
    """A tree, and the names that stood in what had to be left out: of those nothing is known."""

    file: ast.File
    damaged: frozenset[str]


def parse(source: Source, bag: Diagnostics) -> Parsed | None:
    """Read a text. Findings go to `bag`; None where there is nothing to go on with.

    The result's `damaged` names are to be taken as given elsewhere, whatever they mean.
    """
    end = _fitting(source.text, SOURCE.value)
    if end < len(source.text):
        bag.add(errors.over_limit(SOURCE, Span(source, end, end + 1)))
        return None
    first, second = Diagnostics(), Diagnostics()
    parsed = _parse(source, first, guess=False)
    if len(first) and not any(finding.code == errors.over_limit.code for finding in first):
        again = _parse(source, second, guess=True)
        if _unclosed(second) > _unclosed(first) or len(second) <= len(first):
            parsed, first = again, second
    for finding in first:
        bag.add(finding)
    return parsed


def _fitting(text: str, size: int) -> int:
    """How many characters of a text fit into `size` bytes."""
    if 4 * len(text) <= size:
        return len(text)
    data = text[: size + 1].encode("utf-8", "surrogatepass")
    return len(text) if len(data) <= size else len(data[:size].decode("utf-8", "ignore"))


def _unclosed(bag: Diagnostics) -> int:
    return sum(d.code == errors.unclosed_bracket.code for d in bag)


def _parse(source: Source, bag: Diagnostics, guess: bool) -> Parsed | None:
    found = tokenize(source, bag, guess)
    every_name = {str(t) for t in found.tokens if t.type == "NAME"} if found.broken else set[str]()
    if found.broken and not found.tokens and source.text.strip():
        return None
    file, dropped = _read(source, found, bag)
    if file is None:
        return None
    damaged = frozenset(dropped | found.dropped | (_words(source) - every_name if found.broken else set()))
    return Parsed(_with_trivia(source, file, found), damaged)


def _words(source: Source) -> set[str]:
    return set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", source.text))


def _with_trivia(source: Source, file: ast.File, found: Tokens) -> ast.File:
    starts = source.line_starts()
    blank = tuple(n for n in range(1, len(starts) + 1) if not source.line(n).strip()) if len(starts) < 20_000 else ()
    return ast.File(file.doc, file.declarations, tuple(found.comments), blank, file.span)


def _read(source: Source, found: Tokens, bag: Diagnostics) -> tuple[ast.File | None, set[str]]:
    """Parse; after each error without the statement it is in."""
    tokens, dropped, budget = found.tokens, set[str](), _MOST_TOKENS_READ
    for _ in range(_MOST_SYNTAX_ERRORS):
        budget -= len(tokens)
        index = _attempt(source, tokens, bag)
        if isinstance(index, ast.File):
            deepest = _too_deep(index, tokens)
            if deepest is not None:
                bag.add(errors.over_limit(NESTING, deepest))
                return None, dropped
            return index, dropped
        start, end = _worth_dropping(tokens, index)
        dropped |= {str(t) for t in tokens[start:end] if t.type == "NAME"}
        tokens = tokens[:start] + tokens[end:]
        if budget < 0:
            break
    return None, dropped


_NESTING = frozenset(["not", "-", "^", "else", "(", "[", "."])  # what can nest without a bracket around it


def _too_deep(file: ast.File, tokens: list[Token]) -> Span | None:
    """The place where operators, calls and choices nest too deeply: brackets are counted before, these in the tree."""
    if sum(token in _NESTING for token in tokens) <= NESTING.value // 2:
        return None
    waiting: list[tuple[Any, int]] = [(file, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > NESTING.value:
            return node.span
        for name in node.__slots__:
            value = getattr(node, name)
            parts = cast("tuple[Any, ...]", value) if isinstance(value, tuple) else (value,)
            waiting.extend((part, depth + 1) for part in parts if hasattr(part, "span"))
    return None


def _worth_dropping(tokens: list[Token], index: int) -> tuple[int, int]:
    """The statement to leave out: the one before, where its end was what did not fit."""
    index = min(index, len(tokens) - 1)
    if index and (tokens[index].type == "NEWLINE" or str(tokens[index]) == "}"):
        index -= 1
    start, end = statement_around(tokens, index, index + 1)
    return (start, end) if end > start else (index, index + 1)


def _attempt(source: Source, tokens: list[Token], bag: Diagnostics) -> ast.File | int:
    """The tree, or the index of the token at which reading failed (reported)."""
    builder().source = source
    state = parser().parse_interactive()
    index = 0
    try:
        for index, token in enumerate(tokens):  # noqa: B007  the index is used when reading fails
            state.feed_token(token)
        index = len(tokens)
        return state.feed_eof(tokens[-1] if tokens else None)
    except UnexpectedToken as failure:
        return _report(source, tokens, index, state.accepts() or failure.expected, bag)
    except VisitError as failure:
        return _unfit(source, tokens, index, failure.orig_exc, bag)
    except Unfit as failure:
        return _unfit(source, tokens, index, failure, bag)


def _unfit(source: Source, tokens: list[Token], index: int, failure: Exception, bag: Diagnostics) -> int:
    if not isinstance(failure, Unfit):
        raise failure
    at = Span(source, failure.token.start_pos or 0, failure.token.end_pos or 0)
    bag.add(errors.unexpected(at, f"`{str(failure.token)[:40]}`", failure.expected, None))
    return next((i for i, t in enumerate(tokens) if t is failure.token), index)


def _report(source: Source, tokens: list[Token], index: int, accepts: set[str], bag: Diagnostics) -> int:
    token = tokens[index] if index < len(tokens) else None
    start = (token.start_pos or 0) if token else len(source.text)
    span = Span(source, start, max((token.end_pos or 0) if token else start, start))
    if token is not None and token.type == "NEWLINE":
        span = Span(source, start, start + 1)
    found = _described(token)
    expected = tuple(sorted({_terminal(name) for name in accepts} - {""}))
    bag.add(errors.unexpected(span, found, expected, _hint(tokens, index, accepts)))
    return index


def _described(token: Token | None) -> str:
    if token is None:
        return "the end of the file"
    if token.type == "NEWLINE":
        return "the end of the line"
    kinds = {"NAME": "the name ", "NUMBER": "the number ", "TEXT": "the text "}
    text = str(token) if len(str(token)) <= 40 else str(token)[:39] + "…"
    what = "the keyword " if str(token) in keywords() else ""
    return f"{kinds.get(token.type, what)}`{text}`"


def _terminal(name: str) -> str:
    """A terminal of the grammar as a reader knows it."""
    known = {
        "NAME": "a name",
        "NUMBER": "a number",
        "TEXT": "a text",
        "NEWLINE": "the end of the line",
        "$END": "the end",
    }
    if name in known:
        return known[name]
    return next((f"`{t.pattern.value}`" for t in parser().terminals if t.name == name), "")


_FOREIGN = {
    "def": "a function is `fn name(x) = ...`, a block `block name(x) { ... }`",
    "class": "a block is `block name(x) { ... }`",
    "return": "the result of a block is `out = ...`",
    "elif": "write `else if`",
    "let": "just `name = ...`",
    "var": "just `name = ...`",
    "model": "a network is `network Name(...) { ... }`",
    "from": 'write `import std.residual { basic }` or `import "file.arch" { name }`',
    "while": "there are no loops: `layer * n` repeats, `[f(i) for i in 1..n]` makes a list",
    "lambda": "a function has a name: `fn name(x) = ...`",
}
_PHRASES = {
    "FOR": "there are no loops: `chain(f(i) for i in 1..n)` is a row of layers, `[f(i) for i in 1..n]` a list",
    "IF": "a choice is written `a if condition else b`; `if condition { ... } else { ... }` stands on lines of its own",
}


def _hint(tokens: list[Token], index: int, accepts: set[str]) -> str | None:
    """What was probably meant, for the mistakes that are made often."""
    token = tokens[index] if index < len(tokens) else None
    before = tokens[index - 1] if index else None
    words = [str(t) for t in (before, token) if t is not None]
    foreign = next((_FOREIGN[w] for w in words if w in _FOREIGN), None)
    if foreign or token is None:
        return foreign
    if token.type in _PHRASES:
        return _PHRASES[token.type]
    if str(token) in keywords() and "NAME" in accepts:
        return f"`{token}` is a word of the language; choose another name"
    return _after(before, token, tokens, index, accepts) if before is not None else None


def _after(before: Token, token: Token, tokens: list[Token], index: int, accepts: set[str]) -> str | None:
    """What the token before tells about the one that does not fit."""
    if str(token) == "=" and str(before) in keywords():
        return f"`{before}` is a word of the language; choose another name"
    if token.type == "NAME" and before.type == "NUMBER" and before.end_pos == token.start_pos:
        return "a name cannot begin with a digit; a product is written with `*`"
    if str(token) == "{" and before.type == "NAME":
        return f"parameters stand in `( )`, even where there are none: `{before}()`"
    if str(token) == "==" and "EQUAL" in accepts:
        return "a name is given a value with `=`"
    if str(token) == "=":
        return "equality is written `==`"
    if str(token) == "->" and _begins_statement(tokens, index - 1):
        return f"a result needs a name: `name = {before} -> ...`"
    if str(token) == "[" and before.type == "NAME" and "COLON" in accepts:
        return f"a shape is written behind a colon: `{before}: [...]`"
    if token.type in ("NAME", "NUMBER", "TEXT", "IN", "OUT") and before.type != "NEWLINE":
        return _between(before, token, _begins_statement(tokens, index - 1), {_terminal(name) for name in accepts})
    return None


def _begins_statement(tokens: list[Token], index: int) -> bool:
    """Whether a token is the first of its statement, setting or declaration."""
    return index == 0 or tokens[index - 1].type == "NEWLINE" or str(tokens[index - 1]) == "{"


_DECLARING = frozenset(["network", "block", "fn", "import", "extern", "recipe", "variants"])
_STATING = frozenset(
    ["input", "in", "output", "out", "auxiliary", "shared", "require", "expect", "reported", "init", "if"]
)
_FIRST_WORDS = _DECLARING | _STATING


def _between(before: Token, token: Token, first: bool, accepts: set[str]) -> str | None:
    """What is missing between two words that cannot stand side by side."""
    if before.type == token.type == "NAME" and len(before) > 2:
        likely = nearest(str(before), _FIRST_WORDS if first else keywords() - _FIRST_WORDS)
        if likely:
            return f"did you mean `{likely}`?"
    if "`,`" in accepts and "`->`" in accepts:
        return "a comma separates items; `->` applies a layer"
    if "`,`" in accepts:
        return "a comma separates them"
    return "`->` applies a layer" if "`->`" in accepts else None

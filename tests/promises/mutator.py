"""Texts changed at random, token by token, so that most mutants get past the lexer and many past the parser."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from promises.corpus import SEEDS
from promises.generator import NAMES, NUMBERS, ODD_NUMBERS, TEXTS, program, word

# On purpose not the compiler's own lexer.
_TOKEN = re.compile(
    r'"""(?s:.)*?"""|"(?:\\.|[^"\\\n])*"|#[^\r\n]*|[A-Za-z_]\w*|\d[\d_.]*(?:[eE][+-]?\d+)?[KMG%]?'
    r"|->|\.\.|//|[=!<>]=|[ \t]+|\r\n|(?s:.)"
)
_SIGNS = tuple("( ) [ ] { } , : . = ~ + - * / // % ^ -> .. == != < <= > >= _ \n".split(" "))
_WORDS = (
    *(
        "network",
        "block",
        "fn",
        "import",
        "as",
        "variants",
        "recipe",
        "extern",
        "input",
        "output",
        "in",
        "out",
        "shared",
    ),
    *("auxiliary", "if", "else", "require", "expect", "reported", "init", "for", "and", "or", "not", "true", "none"),
)
_ODD_CHARS = "\x00\x07\x1b\r\x85\u200b\u202e\u2028\ufeff\ud800é→𝔸ﬁ’“\\'`@$;&|?!\t\x0b\x0c\u00a0"


def tokens(text: str) -> list[str]:
    """The text in pieces; joined they are the text."""
    return _TOKEN.findall(text)


def mutant(rng: random.Random) -> str:
    """A seed, or a generated program, with a few changes."""
    return changed(rng.choice(SEEDS) if rng.random() < 0.8 else program(rng), rng)


def changed(text: str, rng: random.Random) -> str:
    """A text with a few tokens deleted, doubled, swapped, replaced, wrapped or put in from elsewhere."""
    parts = tokens(text)
    for _ in range(min(1 + int(rng.expovariate(0.7)), 8)):
        parts = [part for part in rng.choice(_CHANGES)(parts, rng) if part] or parts
    return "".join(parts)


def _at(parts: list[str], rng: random.Random) -> int:
    """A place of a token that is not blank, more often than not."""
    for _ in range(4):
        place = rng.randrange(len(parts)) if parts else 0
        if parts and not parts[place].isspace():
            return place
    return place


def _delete(parts: list[str], rng: random.Random) -> list[str]:
    at = _at(parts, rng)
    return parts[:at] + parts[at + rng.choice((1, 1, 1, 2, 5)) :]


def _double(parts: list[str], rng: random.Random) -> list[str]:
    at, size = _at(parts, rng), rng.choice((1, 1, 2, 8))
    return parts[: at + size] + parts[at : at + size] + parts[at + size :]


def _swap(parts: list[str], rng: random.Random) -> list[str]:
    a, b = sorted((_at(parts, rng), _at(parts, rng)))
    if a == b or not parts:
        return parts
    return [*parts[:a], parts[b], *parts[a + 1 : b], parts[a], *parts[b + 1 :]]


def _replace(parts: list[str], rng: random.Random) -> list[str]:
    """Another token in its place, of its own kind as a rule."""
    at = _at(parts, rng)
    if not parts:
        return parts
    return [*parts[:at], _another(parts[at], parts, rng), *parts[at + 1 :]]


def _another(token: str, parts: list[str], rng: random.Random) -> str:
    if rng.random() < 0.2:
        return _any(rng)
    if token[0].isdigit():
        return rng.choice(NUMBERS if rng.random() < 0.6 else ODD_NUMBERS)
    if token[0].isalpha():
        return rng.choice([p for p in parts if p[0].isalpha()] if rng.random() < 0.5 else NAMES)
    return rng.choice(TEXTS) if token[0] == '"' else rng.choice(_SIGNS)


def _any(rng: random.Random) -> str:
    return rng.choice(rng.choice((_SIGNS, _SIGNS, _WORDS, NAMES, NUMBERS, ODD_NUMBERS, TEXTS)))


def _insert(parts: list[str], rng: random.Random) -> list[str]:
    at = _at(parts, rng)
    return [*parts[:at], *(_any(rng) for _ in range(rng.choice((1, 1, 2)))), " ", *parts[at:]]


def _wrap(parts: list[str], rng: random.Random) -> list[str]:
    a, b = sorted((_at(parts, rng), _at(parts, rng)))
    left, right = rng.choice(("()", "[]", "{}", ("chain(", ")"), ("(", ") * 3"), ("-", ""), ("not ", "")))
    return [*parts[:a], left, *parts[a:b], right, *parts[b:]]


def _splice(parts: list[str], rng: random.Random) -> list[str]:
    """Lines of another seed, or a random word of the grammar, in the midst of this one."""
    lines = rng.choice(SEEDS).splitlines(keepends=True)
    start = rng.randrange(len(lines))
    piece = "".join(lines[start : start + rng.choice((1, 1, 3))])
    if rng.random() < 0.3:
        piece = word(rng, rng.choice(("statement", "expr", "item", "declaration")), 16)
    at = _at(parts, rng)
    return [*parts[:at], *tokens(piece), *parts[at:]]


def _cut(parts: list[str], rng: random.Random) -> list[str]:
    return parts[: _at(parts, rng)] if rng.random() < 0.5 else parts[_at(parts, rng) :]


def _odd_char(parts: list[str], rng: random.Random) -> list[str]:
    at = _at(parts, rng)
    char = rng.choice(_ODD_CHARS) if rng.random() < 0.7 else chr(rng.randrange(0x110000))
    return [*parts[:at], char, *parts[at:]]


_CHANGES: tuple[Callable[[list[str], random.Random], list[str]], ...] = (
    *(_replace,) * 6,
    *(_delete,) * 2,
    *(_insert,) * 2,
    *(_double,) * 2,
    *(_swap,) * 2,
    *(_wrap,) * 2,
    *(_splice,) * 2,
    _cut,
    _odd_char,
)


def noise(rng: random.Random) -> str:
    """Random bytes read as Latin-1, or random code points, or signs of the language in no order."""
    size = int(rng.expovariate(1 / 60))
    kind = rng.randrange(3)
    if kind == 0:
        return rng.randbytes(size).decode("latin-1")
    if kind == 1:
        return "".join(chr(rng.randrange(rng.choice((0x80, 0x800, 0x110000)))) for _ in range(size))
    return "".join(_any(rng) + rng.choice(("", " ")) for _ in range(size))


def text(rng: random.Random) -> str:
    """One input of R01."""
    roll = rng.random()
    if roll < 0.75:
        return mutant(rng)
    if roll < 0.85:
        return program(rng)
    return word(rng, room=rng.choice((12, 25, 40))) if roll < 0.93 else noise(rng)

"""Text to tokens. Here, before any tree exists, lie the bounds on length, depth and count; here newlines are sorted
into those that end a statement and those that mean nothing; here the brackets are matched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from lark import Token

from archdsl.diagnostic import Diagnostics
from archdsl.limits import DEPTH, DIGITS, NAME, TOKENS
from archdsl.source import Source, Span
from archdsl.syntax import errors
from archdsl.syntax.ast import Comment

_COMPARISONS = frozenset(["==", "!=", "<", ">", "<=", ">=", "~"])
# A line that begins with one of these goes on with the statement before it.
_CONTINUES = _COMPARISONS | {"->", "+", "-", "*", "/", "//", "%", "^", "..", ",", "and", "or", "else", "="}
# A line that ends with one of these goes on in the next.
_OPEN_ENDED = _CONTINUES - {"else"} | {":", "not", "{", "."}
_CLOSERS = {"(": ")", "[": "]", "{": "}"}

# Code points that are invisible, or that reorder what is seen: never part of an honest text.
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


BROKEN = "BROKEN"  # stands for what is no token; the statement around it is left out


@dataclass
class Tokens:
    """What the lexer found; `broken` where something had to be left out."""

    tokens: list[Token] = field(default_factory=list[Token])
    comments: list[Comment] = field(default_factory=list[Comment])
    broken: bool = False
    over: bool = False  # a limit is reached: there are no tokens
    dropped: set[str] = field(default_factory=set[str])  # the names in what was left out: nothing is known of them


@cache
def _pattern() -> re.Pattern[str]:
    """One pattern for all terminals of the grammar: longest operator first, blanks and comments beside them."""
    from archdsl.syntax.grammar import parser

    named, fixed = list[str](), list[str]()
    for terminal in parser().terminals:
        text = terminal.pattern.to_regexp()
        if terminal.pattern.type == "re":
            named.append(f"(?P<{terminal.name}>{text})")
        elif not terminal.pattern.value.isidentifier():
            fixed.append(text)
    fixed.sort(key=len, reverse=True)
    blank = [r"(?P<_BLANK>[ \t]++)", r"(?P<_COMMENT>#[^\r\n]*+)"]
    return re.compile("|".join([*blank, *named, f"(?P<_FIXED>{'|'.join(fixed)})"]))


@cache
def _fixed_names() -> dict[str, str]:
    """Keyword or sign to the name of its terminal."""
    from archdsl.syntax.grammar import parser

    return {t.pattern.value: t.name for t in parser().terminals if t.pattern.type == "str"}


def keywords() -> frozenset[str]:
    """The words a name cannot be."""
    return frozenset(word for word in _fixed_names() if word.isidentifier())


def tokenize(source: Source, bag: Diagnostics, guess: bool = False) -> Tokens:
    """All tokens of a text, without blanks and comments, with the newlines that end statements.

    Findings go to `bag`; a text beyond a limit gives no tokens at all. With `guess`, a line that looks like a new
    statement ends a round or square bracket left open: for texts known to be wrong.
    """
    found = Tokens()
    for match in FORBIDDEN.finditer(source.text):
        found.broken = True
        bag.add(errors.hidden_character(Span(source, match.start(), match.end())))
        if len(bag) > 20:
            break
    if not found.broken:
        raw = list(_scan(source, bag, found))
        if found.over:
            return found
        _match_brackets(source, _significant(source, raw, guess), bag, found)
    return found


def _scan(source: Source, bag: Diagnostics, found: Tokens) -> Iterator[Token]:
    """Tokens as they stand in the text, every newline included."""
    text, at, count = source.text, 0, 0
    match = _pattern().match
    fixed = _fixed_names()
    while at < len(text):
        hit = match(text, at)
        if hit is None:
            end = _report_unknown(source, at, bag)
            found.broken = True
            yield Token(BROKEN, text[at:end], at, end_pos=end)
            at = end
            continue
        kind, end = hit.lastgroup, hit.end()
        span_start, at = at, end
        if kind == "_BLANK":
            continue
        value = hit.group()
        if kind == "_COMMENT":
            found.comments.append(_comment(source, value, span_start, end))
            continue
        if kind == "_FIXED":
            kind = fixed[value]
        elif kind == "NAME":
            kind = fixed.get(value, "NAME")
        count += 1
        if count > TOKENS.value:
            bag.add(errors.over_limit(TOKENS, Span(source, span_start, end)))
            found.broken = found.over = True
            return
        if _over_limit(source, kind, span_start, end, bag):
            found.broken = True
            kind = BROKEN
        yield Token(kind or "", value, span_start, end_pos=end)


def _comment(source: Source, text: str, start: int, end: int) -> Comment:
    before = source.text[max(source.text.rfind("\n", 0, start), source.text.rfind("\r", 0, start)) + 1 : start]
    return Comment(text, not before.strip(), Span(source, start, end))


def _over_limit(source: Source, kind: str | None, start: int, end: int, bag: Diagnostics) -> bool:
    """Whether a name or number is too long to be meant (reported); the rest of the text is read all the same."""
    if end - start <= min(NAME.value, DIGITS.value):
        return False
    span = Span(source, start, end)
    if kind == "NAME" and end - start > NAME.value:
        bag.add(errors.over_limit(NAME, span))
    elif kind == "NUMBER" and sum(map(str.isdigit, span.text)) > DIGITS.value:
        bag.add(errors.over_limit(DIGITS, span))
    else:
        return False
    return True


# What is taken for one mistake: a text in single quotes, a run of signs, a word, or else a single character.
_STRAY = re.compile(r"'[^'\r\n]*+'|[^\s\w\"'#()\[\]{},]++|[^\W\d]\w*+|.", re.DOTALL)


def _report_unknown(source: Source, at: int, bag: Diagnostics) -> int:
    """Say what cannot begin a token here; go on behind it."""
    if source.text[at] == '"':
        end = re.compile(r"[^\r\n]*+").match(source.text, at).end()  # pyright: ignore[reportOptionalMemberAccess]
        bag.add(errors.open_text(Span(source, at, end)))
        return end
    hit = _STRAY.match(source.text, at)
    start, end = at, hit.end() if hit else at + 1
    while source.text[at].isalpha() and start and (source.text[start - 1].isalnum() or source.text[start - 1] == "_"):
        start -= 1  # the name that it is a part of
    bag.add(errors.unknown_character(Span(source, start, end)))
    return end


def _significant(source: Source, raw: list[Token], guess: bool) -> list[Token]:
    """The tokens without the newlines that mean nothing."""
    kept: list[Token] = []
    brackets: list[str] = []
    for index, token in enumerate(raw):
        if token.type != "NEWLINE":
            _track(brackets, token)
            kept.append(token)
        else:
            if guess and brackets and brackets[-1] != "{" and _looks_like_a_statement(source, raw, index, kept):
                while brackets and brackets[-1] != "{":
                    brackets.pop()
            if _ends_statement(raw, index, kept, brackets):
                kept.append(token)
    return kept


def _looks_like_a_statement(source: Source, raw: list[Token], index: int, kept: list[Token]) -> bool:
    """Whether the next line begins `name =` or `name:` or with a closing brace, no deeper than the line before."""
    ahead = [t for t in raw[index : index + 8] if t.type != "NEWLINE"][:2]
    if not ahead or not kept:
        return False
    if source.position(ahead[0].start_pos or 0)[1] > _indentation(source, kept[-1]):
        return False
    return str(ahead[0]) == "}" or (len(ahead) == 2 and str(ahead[1]) in ("=", ":")) or str(ahead[0]) in keywords()


def _indentation(source: Source, token: Token) -> int:
    """The column at which the line of `token` begins to say something."""
    line = source.line(source.position(token.start_pos or 0)[0])
    return len(line) - len(line.lstrip()) + 1


def _is_open_text(token: Token) -> bool:
    """Whether a token is a text that was never closed: it has swallowed the brackets behind it."""
    return token.type == BROKEN and str(token).startswith('"')


def _track(brackets: list[str], token: Token) -> None:
    value = str(token)
    if _is_open_text(token):
        while brackets and brackets[-1] != "{":
            brackets.pop()
    elif value in _CLOSERS and token.type != "TEXT":
        brackets.append(value)
    elif brackets and value == _CLOSERS[brackets[-1]]:
        brackets.pop()
    elif value == "}" and "{" in brackets:  # a round bracket left open: the body's end closes it, for what follows
        while brackets.pop() != "{":
            pass


def _ends_statement(raw: list[Token], index: int, kept: list[Token], brackets: list[str]) -> bool:
    if not kept or kept[-1].type == "NEWLINE" or (brackets and brackets[-1] != "{"):
        return False
    if str(kept[-1]) in _OPEN_ENDED and kept[-1].type != "TEXT":
        return False
    following = next((t for t in raw[index : index + 2] if t.type != "NEWLINE"), None)
    if following is None:
        following = next((t for t in raw[index + 1 : index + 50] if t.type != "NEWLINE"), None)
    return following is None or str(following) not in _CONTINUES or following.type == "TEXT"


def _match_brackets(source: Source, tokens: list[Token], bag: Diagnostics, found: Tokens) -> None:
    """Check that brackets pair up and stay within the depth bound; drop the statements where they do not."""
    stack: list[int] = []
    holes: list[tuple[int, int]] = []
    for index, token in enumerate(tokens):
        value = "" if token.type == "TEXT" else str(token)
        if token.type == BROKEN:
            holes.append((index, index + 1))
            while _is_open_text(token) and stack and str(tokens[stack[-1]]) != "{":
                holes.append((stack.pop(), index + 1))
        elif token.type == "NEWLINE":
            _break_open(source, tokens, index, stack, holes, bag)
        elif value in _CLOSERS:
            stack.append(index)
            if len(stack) > DEPTH.value:
                bag.add(errors.over_limit(DEPTH, _span(source, token)))
                found.broken = True
                return
        elif value in (")", "]", "}"):
            _close(source, tokens, index, stack, holes, bag)
    for opener in stack:
        bag.add(errors.unclosed_bracket(_span(source, tokens[opener]), None))
        holes.append((opener, len(tokens)))
    found.broken |= bool(holes)
    dropped = _dropped(tokens, holes)
    found.dropped |= {str(tokens[index]) for index in dropped if tokens[index].type == "NAME"}
    found.tokens = [token for index, token in enumerate(tokens) if index not in dropped]


def _break_open(
    source: Source, tokens: list[Token], index: int, stack: list[int], holes: list[tuple[int, int]], bag: Diagnostics
) -> None:
    """A newline that ends a statement inside a round or square bracket: the lexer guessed that it was left open."""
    while stack and str(tokens[stack[-1]]) != "{":
        opener = stack.pop()
        bag.add(errors.unclosed_bracket(_span(source, tokens[opener]), None))
        holes.append((opener, index))


def _close(
    source: Source, tokens: list[Token], index: int, stack: list[int], holes: list[tuple[int, int]], bag: Diagnostics
) -> None:
    token = tokens[index]
    if stack and _CLOSERS[str(tokens[stack[-1]])] == str(token):
        stack.pop()
        return
    if not any(_CLOSERS[str(tokens[i])] == str(token) for i in stack):
        bag.add(errors.stray_bracket(_span(source, token)))
        holes.append((index, index + 1))
        return
    first = None
    while _CLOSERS[str(tokens[stack[-1]])] != str(token):
        first = stack.pop()
        bag.add(errors.unclosed_bracket(_span(source, tokens[first]), _span(source, token)))
    stack.pop()
    if first is not None:
        holes.append((first, index))


def _dropped(tokens: list[Token], holes: list[tuple[int, int]]) -> set[int]:
    """The places of the tokens of statements in which something is wrong."""
    dropped: set[int] = set()
    for start, end in holes:
        if start not in dropped or end - 1 not in dropped:
            dropped.update(range(*statement_around(tokens, start, end)))
    return dropped


def statement_around(tokens: list[Token], start: int, end: int) -> tuple[int, int]:
    """The range of the whole statement that holds tokens `start` to `end`, its body included, its newline not."""
    begin = start
    while begin > 0 and not _is_edge(tokens[begin - 1]):
        begin -= 1
    stop, depth = min(max(end, begin), len(tokens)), 0
    for token in tokens[begin:stop]:
        depth += (str(token) == "{") - (str(token) == "}") if token.type != "TEXT" else 0
    depth = max(depth, 0)
    while stop < len(tokens) and (depth > 0 or not (tokens[stop].type == "NEWLINE" or str(tokens[stop]) == "}")):
        depth += (str(tokens[stop]) == "{") - (str(tokens[stop]) == "}") if tokens[stop].type != "TEXT" else 0
        stop += 1
    return begin, stop


def _is_edge(token: Token) -> bool:
    return token.type == "NEWLINE" or (token.type != "TEXT" and str(token) in "{}")


def _span(source: Source, token: Token) -> Span:
    return Span(source, token.start_pos or 0, token.end_pos or 0)

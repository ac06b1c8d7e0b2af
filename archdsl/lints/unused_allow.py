"""A comment allows a finding that is not there.

`# allow: slug` silences one rule on its line and the next. When the line was mended the comment should go, or it will
silence the next mistake; a misspelt slug silences nothing.

Wrong:

    x = in -> conv(16, 3) -> bn        # allow: dead-bias

Right:

    x = in -> conv(16, 3) -> bn

This rule cannot be silenced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from archdsl.diagnostic import Diagnostic, Severity
from archdsl.lints.rule import Context, Finding, Rule
from archdsl.source import Span
from archdsl.suggest import nearest
from archdsl.syntax.ast import Comment, File

_ALLOW = re.compile(r"#\s*allow:\s*([a-z0-9-]+(?:\s*,\s*[a-z0-9-]+)*)")


@dataclass(eq=False, slots=True)
class Allowance:
    """One slug of an allow comment, the lines it holds for, and whether it was needed."""

    slug: str
    span: Span
    lines: range
    used: bool = False


@dataclass(eq=False, slots=True)
class Allowances:
    """All allow comments of a file."""

    listed: list[Allowance] = field(default_factory=list[Allowance])

    @classmethod
    def of(cls, file: File) -> Allowances:
        """Read the comments; one that stands alone holds for the next line that is not a comment too."""
        alone = {c.span.position[0] for c in file.comments if c.alone}
        return cls([a for comment in file.comments for a in _allowances(comment, alone)])

    def silences(self, diagnostic: Diagnostic, slug: str) -> bool:
        """Whether a comment allows this finding; remembers that it was needed."""
        span = diagnostic.primary.span
        lines = range(span.position[0], span.source.position(max(span.start, span.end - 1))[0] + 1)
        fitting = [a for a in self.listed if a.slug == slug and _meet(a.lines, lines) and a.span.source is span.source]
        for allowance in fitting:
            allowance.used = True
        return bool(fitting)

    def findings(self, slugs: Iterable[str]) -> Iterator[Finding]:
        """What is left over."""
        known = list(slugs)
        for allowance in self.listed:
            if allowance.slug not in known:
                likely = nearest(allowance.slug, known)
                hint = f"did you mean `{likely}`?" if likely else None
                yield Finding(allowance.span, f"no rule is called `{allowance.slug}`", hint=hint)
            elif not allowance.used:
                yield Finding(allowance.span, f"nothing here needs `allow: {allowance.slug}`")


def _meet(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


def _allowances(comment: Comment, alone: set[int]) -> Iterator[Allowance]:
    match = _ALLOW.match(comment.text)
    if match is None:
        return
    line = comment.span.position[0]
    last = line
    if comment.alone:
        while last in alone:
            last += 1
    start = comment.span.start
    for slug in re.finditer(r"[a-z0-9-]+", match.group(1)):
        offset = start + match.start(1) + slug.start()
        yield Allowance(
            slug.group(), Span(comment.span.source, offset, offset + len(slug.group())), range(line, last + 1)
        )


def check(context: Context) -> Iterator[Finding]:
    """Nothing by itself: what is left over is known when all other rules have run: see `findings`."""
    return iter(())


RULE = Rule("L901", "unused-allow", Severity.WARNING, check)

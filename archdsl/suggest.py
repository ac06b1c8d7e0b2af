"""The name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from os.path import commonprefix


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate closest to `name`, or None where nothing is close.

    The same letters in another case come first (`Conv` for `conv`), then the fewest slips: a letter too many, too
    few, another one, or two exchanged; at most one slip for three letters. Ties go to the first in the alphabet.
    """
    known = sorted(set(candidates) - {name})
    for candidate in known:
        if candidate.casefold() == name.casefold():
            return candidate
    most = (len(name) + 2) // 3 if len(name) > 1 else 0
    ranked = [(_slips(name, candidate, most), candidate) for candidate in known]
    close = [pair for pair in ranked if pair[0] <= most]
    return min(close)[1] if close else None


def _slips(a: str, b: str, most: int) -> int:
    """The slips that turn `a` into `b`; some number over `most` where there are more."""
    if abs(len(a) - len(b)) > most:
        return most + 1
    a, b = _apart(a, b)
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i in range(1, len(a) + 1):
        before, row = row, _next_row(a, b, i, before, row)
        if min(row) > most and min(before) > most:
            return most + 1
    return row[-1]


def _apart(a: str, b: str) -> tuple[str, str]:
    """What is left of two names without the letters that both begin or end with, but for one of each."""
    same = len(commonprefix([a, b]))  # noqa: RUF071  characters are what is compared here
    a, b = a[max(0, same - 1) :], b[max(0, same - 1) :]
    same = len(commonprefix([a[::-1], b[::-1]]))  # noqa: RUF071
    cut = max(0, min(same, len(a), len(b)) - 1)
    return a[: len(a) - cut], b[: len(b) - cut]


def _next_row(a: str, b: str, i: int, before: list[int], row: list[int]) -> list[int]:
    new = [i]
    for j in range(1, len(b) + 1):
        best = min(row[j] + 1, new[j - 1] + 1, row[j - 1] + (a[i - 1] != b[j - 1]))
        if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
            best = min(best, before[j - 2] + 1)
        new.append(best)
    return new

"""x"""

from __future__ import annotations


def check(text: str, helpers: tuple[str, ...], externs: tuple[str, ...]) -> None:
    return

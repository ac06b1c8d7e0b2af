"""What ties a diagnostic to its page: `@code` on the function that makes it; the docstring is the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeGuard

from archdsl.diagnostic import Diagnostic

P = ParamSpec("P")


class Coded(Protocol[P]):
    """A function that makes the diagnostics of one code."""

    code: str
    slug: str
    __doc__: str | None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Diagnostic: ...


def code(number: str, slug: str) -> Callable[[Callable[P, Diagnostic]], Coded[P]]:
    """Tag the function that makes the diagnostics of one code: `@code("T203", "shape-mismatch")`.

    Its docstring is what `archdsl explain T203` prints: what it means, a wrong example, a right one.
    """

    def tag(make: Callable[P, Diagnostic]) -> Coded[P]:
        make.code = number  # type: ignore[attr-defined]
        make.slug = slug  # type: ignore[attr-defined]
        return make  # type: ignore[return-value]

    return tag


def is_coded(value: object) -> TypeGuard[Coded[...]]:
    """Whether `value` is a function tagged by `@code`."""
    return callable(value) and isinstance(getattr(value, "code", None), str)

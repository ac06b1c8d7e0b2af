"""Back ends: from a checked graph to the text of a program. Each is loaded only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from archdsl.ir.graph import Graph


class Backend(Protocol):
    """What every back end offers: the text of a standalone program for a network."""

    def __call__(
        self, network: Graph, source_name: str, source_hash: str, variant: str | None, params: int, macs: int
    ) -> str: ...


def _torch() -> Backend:
    from archdsl.emit.torch.emitter import emit

    return emit


BACKENDS: dict[str, Callable[[], Backend]] = {"torch": _torch}

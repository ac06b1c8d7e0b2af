"""How the ranks of one attempt find each other, and what an attempt leaves for those after it.

`torchrun` keeps one store for all attempts of a launch. A rank that read there where one of an earlier attempt could be
reached would look for the dead, so all that an attempt writes lies below a name that its leader has made up. Counting
attempts would not do: where machines come and go, each launcher has a count of its own.
"""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence

import torch.distributed as dist

from archdsl.train.trouble import Lost

_LOOK_EVERY = 0.05  # seconds
_LEADER, _OPENED = "archdsl/leader", "archdsl/opened"


def met(store: dist.Store, rank: int, size: int, timeout: float) -> dist.Store:
    """The part of the store that belongs to this attempt alone. `Lost` where a rank does not come in time."""
    until = time.monotonic() + timeout
    late = f"within {timeout:g} s"

    def patient() -> bool:
        time.sleep(_LOOK_EVERY)
        return time.monotonic() < until

    me = secrets.token_hex(8)
    name = _gathered(store, me, size, late, patient) if rank == 0 else _joined(store, me, rank, late, patient)
    return dist.PrefixStore(_place(name), store)


def open_to_later(store: dist.Store) -> None:
    """Let later attempts of this launch go on in the run folder: it is of this launch."""
    store.set(_OPENED, "1")


def opened_earlier(store: dist.Store) -> bool:
    """Whether an earlier attempt of this launch has begun the run folder."""
    return store.check([_OPENED])


def _gathered(store: dist.Store, me: str, size: int, late: str, patient: Callable[[], bool]) -> str:
    """Wait, as the leader, for all others, and tell them that they are the ones who are meant."""
    others = range(1, size)
    store.set(_LEADER, me)
    while missing := [rank for rank in others if not store.check([_place(me, rank)])]:
        if not patient():
            raise Lost(f"{_ranks(missing)} of {size} did not come {late}")
    store.set(_place(me, "all"), ",".join(store.get(_place(me, rank)).decode() for rank in others))
    return me


def _joined(store: dist.Store, me: str, rank: int, late: str, patient: Callable[[], bool]) -> str:
    """The name of this attempt; what an earlier leader left does not speak of this very process."""
    told = ""
    while True:
        if store.check([_LEADER]) and (leader := store.get(_LEADER).decode()) != told:
            told = leader
            store.set(_place(leader, rank), me)
        if told and store.check([_place(told, "all")]) and me in store.get(_place(told, "all")).decode().split(","):
            return told
        if not patient():
            raise Lost(f"rank 0 did not call this rank {late}" if not told else f"not all ranks came {late}")


def _place(leader: str, who: object = None) -> str:
    return f"archdsl/{leader}" if who is None else f"archdsl/{leader}/{who}"


def _ranks(numbers: Sequence[int]) -> str:
    return f"rank{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"

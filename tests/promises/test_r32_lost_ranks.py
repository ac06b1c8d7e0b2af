"""R32: a rank that is killed, stopped, wrong or gone early ends the job and is named; the others never wait for ever.

Kills and stops come from outside at random times: while ranks set up, train, judge or save. Promised: 40 in CI; exit code
77 within 10 s, or within the timeout and 40 s where the rank only hangs. CI here takes 8, `make prove` all and more.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from launching import Launch, launch
from soak import Tally, scaled

__all__ = ["launch"]  # a fixture

TIMEOUT = 2.0


def struck(out: Path, launch: Launch, chance: random.Random, what: str, size: int) -> dict[str, Any]:
    """A run one of whose ranks something happens to, and which rank that is."""
    rank = chance.randrange(size)
    given: dict[str, Any] = {"fault": {"rank": rank, "step": chance.randrange(1, 12), "what": what}}
    if what.startswith("SIG"):
        given = {"signals": [(chance.uniform(0, 1.0), what, [rank])]}
    done = launch(out, size, "chance", options={"timeout": TIMEOUT, "save_steps": 3}, patience=TIMEOUT + 40, **given)
    return {**done, "rank": rank}


def check(done: dict[str, Any], limit: float) -> int:
    """All others end with 77 and name the rank, in time; whether it came before all was done."""
    rank, size = done["rank"], len(done["codes"])
    others = [k for k in range(size) if k != rank]
    assert done["seconds"] < limit, done
    if all(done["codes"][k] == 0 for k in others):
        return 0
    for k in others:
        assert done["codes"][k] == 77, done
        assert f"rank {k}: error: rank {rank} of {size} lost: dead, or silent for 2 s" in done["texts"][k]
        assert "--resume goes on from the newest checkpoint" in done["texts"][k]
    return 1


def hold(tmp_path: Path, launch: Launch, what: str, count: int) -> int:
    """`count` runs in which it mattered."""
    found = number = 0
    limit = TIMEOUT + 40 if what == "SIGSTOP" else 10
    while found < count:
        chance = random.Random(f"r32/{what}/{number}")
        found += check(struck(tmp_path / str(number), launch, chance, what, chance.choice((2, 3))), limit)
        number += 1
    return found


@pytest.mark.parametrize(("what", "count"), [("SIGKILL", 4), ("raise", 1), ("exit", 2), ("SIGSTOP", 1)])
def test_a_lost_rank_is_named_in_time(tmp_path: Path, launch: Launch, what: str, count: int):
    assert hold(tmp_path, launch, what, count) == count


def test_a_rank_that_is_waited_for_is_noticed(tmp_path: Path, launch: Launch):
    """The negative control: a timeout longer than anybody's patience."""
    options, stop = {"timeout": 600.0}, {"rank": 1, "step": 3, "what": "SIGSTOP"}
    done = launch(tmp_path / "a", 2, "chance", options=options, fault=stop, patience=5)
    with pytest.raises(AssertionError):
        check({**done, "rank": 1}, 10)


@pytest.mark.prove
@pytest.mark.promised("R32", of="lost ranks")
@pytest.mark.parametrize("what", ["SIGKILL", "raise", "exit", "SIGSTOP"])
def test_forty_lost_ranks(tmp_path: Path, launch: Launch, what: str, soak: Tally):
    soak.cases, soak.seed = hold(tmp_path, launch, what, scaled(10 if what == "SIGSTOP" else 20)), "r32"

"""R19: a crash at any system call leaves the old file or the new one, whole.

Work that writes files is killed as it makes a system call on a file of its folder, at each in turn: the real calls, struck
by strace, in every run of the tests: none torn.
"""

from __future__ import annotations

import signal

import pytest
from soak import Tally, share

from promises.strikes import NAIVE, WRITERS, Point, Server, Work

KILL = "{0.call}:signal=SIGKILL:when={0.number}"


def crashes(work: Work, points: list[Point], tally: Tally) -> list[str]:
    """What was torn, over a death at each of the points."""
    torn: list[str] = []
    for point in points:
        work.begin()
        with tally.case():
            done = work.struck(KILL.format(point))
        assert done["status"] == -signal.SIGKILL, f"{point} was not reached"
        if what := work.torn():
            torn.append(f"{point}: {what}")
            continue
        done = work.do()
        assert done["status"] == 0, f"after {point}: {done['said']}"
        assert work.left() == [], f"after {point}"
        assert not work.torn()
    return torn


@pytest.mark.promised("R19", of="deaths at a system call")
@pytest.mark.parametrize("name", WRITERS)
def test_death_at_any_call_leaves_whole_files_and_the_next_writer_cleans_up(server: Server, name: str, soak: Tally):
    work = Work(server, name)
    points = work.clean[2]
    assert len([point for point in points if point.changes]) >= 4, "made, written, synced, renamed"
    assert crashes(work, share(points), soak) == []


@pytest.mark.parametrize("name", NAIVE)
def test_a_plain_write_is_torn(server: Server, name: str):
    """The negative control."""
    work = Work(server, name)
    assert crashes(work, work.clean[2], Tally())

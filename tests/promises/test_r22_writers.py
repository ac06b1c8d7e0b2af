"""R22: two writers never mix, and two trainers never share a run.

Four processes write one file 500 times each while it is read; a run's lock is taken from a process that dies by SIGKILL. In
every run of the tests 10,000 reads and 100 locks.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from soak import Tally, scaled

from archdsl.fsio import FileTrouble, lock, write_atomic

SIZE = 50_000
Write = Callable[[Path, bytes], object]


def torn_reads(path: Path, write: Write, reads: int, each: int, tally: Tally) -> int:
    """How many of at least so many reads find a mixture, while four processes write `each` times, again and again."""
    path.write_bytes(b"x" * SIZE)
    torn = 0
    while tally.cases < reads:
        context = multiprocessing.get_context("fork")
        writers = [context.Process(target=_write_many, args=(path, write, letter, each)) for letter in "abcd"]
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers):
            with tally.case():
                data = path.read_bytes()
            torn += data != data[:1] * SIZE
        for writer in writers:
            writer.join()
        assert [writer.exitcode for writer in writers] == [0] * 4
    return torn


def _write_many(path: Path, write: Write, letter: str, count: int) -> None:
    for _ in range(count):
        write(path, letter.encode() * SIZE)


def test_four_writers_never_mix(tmp_path: Path):
    assert torn_reads(tmp_path / "a", write_atomic, 10_000, 500, Tally()) == 0
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.prove
@pytest.mark.promised("R22", of="reads of a file with four writers")
def test_four_writers_never_mix_in_ten_thousand_reads(tmp_path: Path, soak: Tally):
    assert torn_reads(tmp_path / "a", write_atomic, scaled(10_000), 500, soak) == 0
    assert os.listdir(tmp_path) == ["a"]


def test_plain_writers_mix(tmp_path: Path):
    """The negative control."""
    assert torn_reads(tmp_path / "a", Path.write_bytes, 500, 200, Tally()) > 0


def locks(path: Path, count: int, tally: Tally) -> None:
    """A process that holds the lock refuses it to us, and leaves it to us when it is killed."""
    for _ in range(count):
        ready, tell = os.pipe()
        holder = os.fork()
        if holder == 0:
            with lock(path):
                os.write(tell, b"x")
                signal.pause()
        with tally.case():
            os.read(ready, 1)
            with pytest.raises(FileTrouble, match=f"process {holder} is using it"), lock(path):
                pass
            os.kill(holder, signal.SIGKILL)
            os.waitpid(holder, 0)
            with lock(path):
                pass
        os.close(ready)
        os.close(tell)


def test_a_lock_is_refused_while_it_is_held_and_free_after_a_kill(tmp_path: Path):
    locks(tmp_path / "run.lock", 100, Tally())


@pytest.mark.prove
@pytest.mark.promised("R22", of="locks of killed processes")
def test_a_hundred_locks(tmp_path: Path, soak: Tally):
    locks(tmp_path / "run.lock", scaled(100), soak)


def test_a_lock_that_is_a_file_stays_after_a_kill(tmp_path: Path):
    """The negative control: a file that says who is there cannot know who died."""
    path = tmp_path / "run.lock"
    holder = os.fork()
    if holder == 0:
        path.open("x").close()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(holder, 0)
    with pytest.raises(FileExistsError):
        path.open("x")


def test_only_one_of_eight_that_start_at_once_gets_the_run(tmp_path: Path):
    """All eight stay until the last has tried."""
    for _ in range(5):
        context = multiprocessing.get_context("fork")
        start, won = context.Barrier(8), context.Value("i", 0)
        racers = [context.Process(target=_race, args=(tmp_path / "run.lock", start, won)) for _ in range(8)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        assert won.value == 1


def _race(path: Path, start, won) -> None:
    start.wait()
    try:
        with lock(path):
            with won.get_lock():
                won.value += 1
            start.wait()
    except FileTrouble:
        start.wait()

"""Processes that read pictures ahead of training, watched by the one that waits for them.

A worker's memory is shared with its parent, so that pixels are not sent; only numbers are. A worker that is gone, or
has not answered in time, is named with the picture that it was reading, and all of them are ended with it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archdsl.train.data.pictures import Frame
from archdsl.train.trouble import DataTrouble, Lost
from archdsl.visible import visible

AHEAD = 2  # batches that each worker may be ahead
_LOOK_FOR_PARENT = 5.0  # seconds

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Team:
    """How many processes, and how long to wait for one."""

    size: int = 0
    """0 reads the pictures in the training process itself."""
    patience: float = 60.0
    """Seconds that a worker may take for a batch."""


def stream(paths: Sequence[Path], frame: Frame, batches: Sequence[Sequence[int]], team: Team) -> Generator[Pixels]:
    """The pictures [B, H, W, C] of one batch after the other; each is valid until the next is asked for.

    What comes out does not depend on `team`. Raises `DataTrouble` for a bad picture, `Lost` for a worker that is gone
    or stuck; closing it, and any exception, ends all workers.
    """
    if not team.size:
        yield from (_read(paths, frame, batch) for batch in batches)
        return
    largest = max(map(len, batches), default=0)
    context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    workers: list[_Worker] = []
    try:
        for _ in range(min(team.size, len(batches))):
            workers.append(_Worker(context, paths, frame, largest))
        for number in range(min(len(workers) * AHEAD, len(batches))):
            workers[number % len(workers)].ask(batches[number])
        for number in range(len(batches)):
            worker = workers[number % len(workers)]
            yield worker.answer(team.patience)
            if number + len(workers) * AHEAD < len(batches):
                worker.ask(batches[number + len(workers) * AHEAD])
    finally:
        for worker in workers:
            worker.end()


def _read(paths: Sequence[Path], frame: Frame, batch: Sequence[int]) -> Pixels:
    pixels = np.empty((len(batch), frame.height, frame.width, frame.channels), np.uint8)
    for place, number in enumerate(batch):
        pixels[place] = frame.read(paths[number])
    return pixels


class _Worker:
    """One process, seen from the one that started it."""

    def __init__(self, context: Any, paths: Sequence[Path], frame: Frame, largest: int) -> None:
        self.paths = paths
        shape = (AHEAD, largest, frame.height, frame.width, frame.channels)
        memory = context.RawArray("B", int(np.prod(shape)))
        self.reading = context.RawValue("q", 0)
        self.slots = _slots(memory, shape)
        self.asked: list[Sequence[int]] = []
        self.answered = 0
        self.pipe, other = context.Pipe()
        arguments = (other, memory, shape, self.reading, paths, frame, os.getpid())
        self.process = context.Process(target=_serve, args=arguments, daemon=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads: a worker needs no lock
            self.process.start()
        other.close()

    def ask(self, batch: Sequence[int]) -> None:
        """Have the pictures of `batch` read, after those asked for before."""
        self.asked.append(batch)
        try:
            self.pipe.send(batch)
        except OSError:  # it is gone: `answer` says so
            return

    def answer(self, patience: float) -> Pixels:
        """The pictures of the batch that was asked for first."""
        batch = self.asked.pop(0)
        ready = wait([self.pipe, self.process.sentinel], patience)
        try:
            trouble = self.pipe.recv() if self.pipe in ready else self._lost(batch, bool(ready), patience)
        except (EOFError, OSError):
            trouble = self._lost(batch, True, patience)
        if trouble is not None:
            raise trouble
        slot = self.slots[self.answered % AHEAD, : len(batch)]
        self.answered += 1
        return slot

    def _lost(self, batch: Sequence[int], gone: bool, patience: float) -> Lost:
        number = self.reading.value
        path = visible(str(self.paths[number if number in batch else batch[0]]))
        if not gone:
            return Lost(f"a worker (process {self.process.pid}) has not answered for {patience:g} s; it reads {path}")
        self.process.join(patience)
        return Lost(f"a worker (process {self.process.pid}) {_end(self.process.exitcode)} while it read {path}")

    def end(self) -> None:
        """It has nothing to put in order, and may be stopped or stuck: no other signal is sure to end it."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _end(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with code {code}"
    return f"was killed by {signal.Signals(-code).name}"


def _slots(memory: Any, shape: tuple[int, ...]) -> Pixels:
    return np.frombuffer(memory, np.uint8).reshape(shape)


def _serve(
    pipe: Connection,
    memory: Any,
    shape: tuple[int, ...],
    reading: Any,
    paths: Sequence[Path],
    frame: Frame,
    parent: int,
) -> None:
    """The life of a worker. It ends with its parent, and leaves signals to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    slots = _slots(memory, shape)
    number = 0
    while True:
        while not pipe.poll(_LOOK_FOR_PARENT):
            if os.getppid() != parent:
                return
        pipe.send(_filled(slots[number % AHEAD], pipe.recv(), reading, paths, frame))
        number += 1


def _filled(
    slot: Pixels, batch: Sequence[int], reading: Any, paths: Sequence[Path], frame: Frame
) -> DataTrouble | None:
    """Read the pictures of a batch into their slot; the trouble with the first that cannot be read."""
    for place, number in enumerate(batch):
        reading.value = number
        try:
            slot[place] = frame.read(paths[number])
        except DataTrouble as trouble:
            return trouble
        except Exception as error:
            return DataTrouble(visible(f"{paths[number]}: {type(error).__name__} while it was read"))
    return None

"""R33: a worker that is dead or stuck, and a picture that cannot be read, are named within the timeout, not waited for."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archdsl.train.data import Request, load
from archdsl.train.data.folder import Streamed
from archdsl.train.data.pictures import Frame
from archdsl.train.trouble import DataTrouble, Lost, TrainTrouble

TIMES = 15
PATIENCE = 1.0
SPARE = 4.0  # seconds, for a machine that has other things to do


def hit(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def fail() -> None:
    raise ZeroDivisionError


FAULTS: dict[str, tuple[Callable[[], None], type[TrainTrouble], str]] = {
    "killed": (hit(signal.SIGKILL), Lost, "was killed by SIGKILL while it read {path}"),
    "stopped": (hit(signal.SIGSTOP), Lost, "has not answered for 1 s; it reads {path}"),
    "ended": (lambda: os._exit(3), Lost, "ended with code 3 while it read {path}"),
    "exception": (fail, DataTrouble, "{path}: ZeroDivisionError while it was read"),
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("r33")
    for part in ("train", "test"):
        for name in "ab":
            (root / part / name).mkdir(parents=True)
            for number in range(20):
                Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(root / part / name / f"{number}.png")
    return root


def split(pictures: Path, workers: int) -> Streamed:
    images = load("folder", Request(pictures, frame=Frame(3, 8, 8), workers=workers, patience=PATIENCE))
    assert isinstance(images.train, Streamed)
    return images.train


@pytest.mark.parametrize("name", FAULTS)
def test_what_happened_is_said_with_the_picture(name: str, pictures: Path, monkeypatch: pytest.MonkeyPatch):
    act, kind, message = FAULTS[name]
    read = Frame.read
    for seed in range(TIMES):
        chance = random.Random(seed)
        train = split(pictures, chance.randint(1, 4))
        victim = chance.choice(train.paths)

        def struck(self: Frame, path: Path, victim: Path = victim) -> object:
            if path == victim:
                act()
            return read(self, path)

        monkeypatch.setattr(Frame, "read", struck)
        began = time.monotonic()
        with pytest.raises(kind) as trouble:
            list(train.in_order(chance.randint(1, 9)))
        assert time.monotonic() - began < PATIENCE + SPARE
        assert message.format(path=victim) in str(trouble.value)
        assert active_children() == [], "the others are ended with it"


def test_a_worker_killed_from_outside_is_noticed(pictures: Path):
    for _ in range(5):
        stream = split(pictures, 2).in_order(2)
        next(stream)
        os.kill(active_children()[0].pid or 0, signal.SIGKILL)
        with pytest.raises(Lost, match="was killed by SIGKILL while it read"):
            list(stream)


def test_nothing_is_said_where_nothing_happens(pictures: Path):
    assert sum(len(labels) for _, labels in split(pictures, 3).in_order(7)) == 40

"""R33: a worker that is dead or stuck, and a picture that cannot be read, are named within the timeout, not waited for.

Sixty readings, 15 with each fault; and whole runs, which end with 77, or with 3 where a picture is gone, and go on from their
last checkpoint to the same bits.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import RECIPE, digest, go, job
from PIL import Image
from soak import Tally

from archdsl.train import checkpoint, loop
from archdsl.train.augment import Batch
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


@pytest.mark.promised("R33", of="workers and pictures")
@pytest.mark.parametrize("name", FAULTS)
def test_what_happened_is_said_with_the_picture(
    name: str, pictures: Path, monkeypatch: pytest.MonkeyPatch, soak: Tally
):
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
        with soak.case(), pytest.raises(kind) as trouble:
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


# ---- a whole run -------------------------------------------------------------------------------------------------

WORK = job(RECIPE.model_copy(update={"batch": 4, "epochs": 2}), image=(3, 8, 8), arguments={"classes": 2})
SAVED = 3  # the step after which it happens, and the first save
ANSWER = 5.0  # seconds that a worker of a run has: nothing else may be late on a busy machine


def train(out: Path, pictures: Path, after: Callable[[], None] = lambda: None, **options: Any) -> tuple[int, str]:
    """Train on pictures that two workers read; `after` the first save something happens."""
    between = loop.Trainer._between_steps

    def faulty(self: loop.Trainer, steps: int, batch: Batch) -> None:
        between(self, steps, batch)
        if self.progress.step == SAVED:
            after()

    options = {"workers": 2, "worker_timeout": ANSWER, "save_steps": SAVED, **options}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Trainer, "_between_steps", faulty)
        return go(out, WORK, data="folder", data_dir=pictures, **options)


def strike(number: int) -> Callable[[], None]:
    """At one of the workers, which still has pictures to read."""
    return lambda: os.kill(active_children()[0].pid or 0, number)


@pytest.mark.promised("R33", of="runs")
@pytest.mark.parametrize("what", ["killed", "stopped", "gone"])
def test_a_run_ends_in_time_and_goes_on(tmp_path: Path, pictures: Path, one_thread: None, what: str):
    picture = pictures / "train" / "a" / "7.png"
    data = picture.read_bytes()
    faults = {"killed": strike(signal.SIGKILL), "stopped": strike(signal.SIGSTOP), "gone": picture.unlink}
    out, began = tmp_path / "a", time.monotonic()
    code, text = train(out, pictures, faults[what])
    assert time.monotonic() - began < ANSWER + 5 * SPARE
    picture.write_bytes(data)
    said = {"killed": "was killed by SIGKILL while it read ", "stopped": "has not answered for 5 s; it reads "}
    assert code == (3 if what == "gone" else 77), text
    assert said.get(what, f"error: cannot read {picture}: No such file or directory") in text
    assert active_children() == []
    saved = checkpoint.newest(out, pytest.fail)
    assert saved is not None
    assert saved.step >= SAVED
    code, text = train(out, pictures, resume=True)
    assert code == 0, text
    assert train(tmp_path / "whole", pictures)[0] == 0
    assert digest(out) == digest(tmp_path / "whole")


WAITING = """
import os, signal, torch
from torch.utils.data import DataLoader, Dataset


class Pictures(Dataset):
    def __len__(self):
        return 100

    def __getitem__(self, number):
        if number == 30:
            os.kill(os.getpid(), signal.SIGSTOP)
        return torch.zeros(3)


for number, _ in enumerate(DataLoader(Pictures(), 4, num_workers=2)):
    print(number, flush=True)
"""


def test_a_plain_loader_waits_for_ever():
    """The negative control: torch's own, as it is by default."""
    loader = subprocess.Popen(
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert loader.stdout is not None
    assert [loader.stdout.readline() for _ in range(3)] == ["0\n", "1\n", "2\n"]
    with pytest.raises(subprocess.TimeoutExpired):
        loader.wait(PATIENCE + SPARE)
    os.killpg(loader.pid, signal.SIGKILL)  # its workers, too
    loader.wait()
    loader.stdout.close()

"""R26: leaving out one part of the state is noticed.

Each part of a checkpoint is dropped in turn as a run resumes, and the run refuses it in one line: all that there are. Each kind
of part is also emptied: that is refused, too, or the run ends in other bits, which every test of resuming would see. A loss
curve would not: it is the same without the average. Of several ranks each needs its own random states.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from harness import RECIPE, digest, few, go, job
from launching import Launch, launch
from soak import Tally

from archdsl.recipe import Recipe
from archdsl.recipe.records import Adam, AdamW, Plateau, RmsProp, Sgd, Warmup
from archdsl.train import checkpoint, loop, run
from archdsl.train.augment import Batch

__all__ = ["launch"]  # a fixture

DRAWING = """
import random
import numpy as np
from torch import nn


class Drawing(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.1)
        self.linear = nn.Linear(8, 10)

    def forward(self, x):
        x = self.drop(self.norm(self.conv(x)).relu().mean((2, 3)))
        if self.training:
            x = x * (0.9 + 0.1 * random.random() + 0.1 * np.random.rand())
        return self.linear(x)
"""

JOBS = {
    "average": (job(RECIPE, DRAWING, "Drawing"), 10),
    "falling": (
        job(Recipe(optimizer=Sgd(lr=1e-6), schedule=Plateau(patience=1, gamma=0.5, of="test"), epochs=5, batch=32)),
        24,
    ),
    "warming": (job(Recipe(warmup=Warmup(until_error=0.99), epochs=10, batch=32)), 55),
}
PARTS = [
    *(("average", "weights", name) for name in ("conv.weight", "norm.running_mean", "norm.num_batches_tracked")),
    *(("average", "training", name) for name in ("optimizer/conv.weight/momentum_buffer", "average/conv.weight")),
    *(("average", "training", name) for name in ("chance/cpu", "sums")),
    *(("average", "chance", name) for name in ("python", "numpy")),
    *(("average", "progress", name) for name in ("epoch", "seen", "step", "average_updates", "rows")),
    ("falling", "progress", "drops"),
    ("warming", "progress", "warm_end"),
]
NEEDED = [  # what cannot be emptied with effect here: it only may not be missing
    *(("average", "state", name) for name in ("identity", "fingerprint", "scaler", "chance", "progress")),
    ("average", "progress", "seconds"),
    ("warming", "training", "window"),
]
MAPPINGS = ("weights", "training", "state", "chance", "progress")
REFUSAL = re.compile(
    r"error: \S+( holds another run, and nothing was done: |: the checkpoint of step \d+ does not fit this run: )"
)


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch, one_thread: None):
    monkeypatch.setattr(run, "load", few)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """Of each job a run that was stopped, and the digest of one that was not."""
    found: dict[str, tuple[Path, str]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "load", few)
        for name, (work, step) in JOBS.items():
            place = tmp_path_factory.mktemp(name)
            assert go(place / "whole", work)[0] == 0
            with pytest.MonkeyPatch.context() as inner:
                _stop_after(inner, step)
                assert go(place / "part", work)[0] == 75
            found[name] = place / "part", digest(place / "whole")
    return found


def _stop_after(patch: pytest.MonkeyPatch, step: int) -> None:
    original = loop.Trainer._between_steps

    def between(self: loop.Trainer, steps: int, batch: Batch) -> None:
        if self.progress.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, steps, batch)

    patch.setattr(loop.Trainer, "_between_steps", between)


def without(saved: checkpoint.Checkpoint, part: str, name: str, how: str) -> None:
    """Take a part out of a checkpoint that was read."""
    place = mapping(saved, part)
    if how == "dropped":
        del place[name]
    else:
        place[name] = _empty(name, place[name])


def mapping(saved: checkpoint.Checkpoint, part: str) -> Any:
    return saved.state if part == "state" else saved.state.get(part) or getattr(saved, part)


def kind(part: str, key: str) -> tuple[str, str]:
    """Parts that are alike: weights among each other, what optimiser or average keep of each."""
    return part, "" if part == "weights" else key.partition("/")[0]


def read(stopped: Path) -> checkpoint.Checkpoint:
    saved = checkpoint.newest(stopped, pytest.fail)
    assert saved is not None
    return saved


def _empty(name: str, value: Any) -> Any:
    match name:
        case "python":  # its generator, some numbers further on
            return [value[0], [*value[1][:-1], (value[1][-1] + 4) % 624], value[2]]
        case "numpy":
            return [value[0], value[1], (value[2] + 4) % 624, *value[3:]]
        case "chance/cpu":
            return torch.Generator().manual_seed(99).get_state()
        case "rows":
            return []
        case "warm_end":
            return None
        case _:
            return torch.zeros_like(value) if isinstance(value, torch.Tensor) else 0


def outcome(out: Path, stopped: tuple[Path, str], work: Any, change: Any) -> str:
    """How a run ends that resumes from a checkpoint with a change."""
    shutil.copytree(stopped[0], out)
    original = checkpoint.load

    def load(place: Path) -> checkpoint.Checkpoint:
        saved = original(place)
        change(saved)
        return saved

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "load", load)
        code, text = go(out, work, resume=True)
    if code == 3:
        lines = [line for line in text.splitlines() if line.startswith("error: ")]
        return "refused" if len(lines) == 1 and REFUSAL.match(lines[0]) else text
    assert code == 0, f"{code}: {text}"
    return "the same" if digest(out) == stopped[1] else "caught"


@pytest.mark.promised("R26", of="parts left out")
@pytest.mark.parametrize(("name", "part", "key"), PARTS, ids=lambda v: str(v))
def test_a_part_that_is_emptied_is_noticed(
    tmp_path: Path, stopped: dict[str, tuple[Path, str]], name: str, part: str, key: str, soak: Tally
):
    with soak.case():
        found = outcome(tmp_path / "a", stopped[name], JOBS[name][0], lambda s: without(s, part, key, "emptied"))
    assert found in ("refused", "caught")


@pytest.mark.promised("R26", of="parts left out")
@pytest.mark.parametrize("part", MAPPINGS)
@pytest.mark.parametrize("name", JOBS)
def test_any_part_that_is_missing_is_refused_in_one_line(
    tmp_path: Path, stopped: dict[str, tuple[Path, str]], name: str, part: str, soak: Tally
):
    wrong: dict[str, str] = {}
    for number, key in enumerate(mapping(read(stopped[name][0]), part)):
        change = partial(without, part=part, name=key, how="dropped")
        with soak.case():
            found = outcome(tmp_path / str(number), stopped[name], JOBS[name][0], change)
        if found != "refused":
            wrong[key] = found
    assert wrong == {}


def test_every_kind_of_part_is_here(stopped: dict[str, tuple[Path, str]]):
    there = {kind(part, key) for part in MAPPINGS for key in mapping(read(stopped["average"][0]), part)}
    assert there == {kind(part, key) for _, part, key in (*PARTS, *NEEDED)}


@pytest.mark.parametrize(("name", "part", "key"), NEEDED, ids=lambda v: str(v))
def test_what_is_only_needed_is_there(stopped: dict[str, tuple[Path, str]], name: str, part: str, key: str):
    """And so was dropped above."""
    assert key in mapping(read(stopped[name][0]), part)


MEMORIES = {
    "sgd": Sgd(lr=0.05, momentum=0.0, momentum_to=0.9, momentum_epochs=1.0),
    "dampened": Sgd(lr=0.05, dampening=0.5),
    "rmsprop": RmsProp(lr=1e-3, momentum=0.5),
    "adam": Adam(lr=1e-3),
    "adamw": AdamW(lr=1e-3),
}


@pytest.mark.promised("R26", of="parts left out")
@pytest.mark.parametrize("name", MEMORIES)
def test_any_part_of_an_optimiser_that_is_missing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, soak: Tally
):
    work = job(RECIPE.model_copy(update={"optimizer": MEMORIES[name], "epochs": 1}))
    with monkeypatch.context() as patch:
        _stop_after(patch, 3)
        assert go(tmp_path / "part", work)[0] == 75
    keys = [key for key in read(tmp_path / "part").training if key.startswith("optimizer/")]
    assert len(keys) >= 4, "at least one for each parameter"
    for number, key in enumerate(keys):
        change = partial(without, part="training", name=key, how="dropped")
        with soak.case():
            assert outcome(tmp_path / str(number), (tmp_path / "part", ""), work, change) == "refused", key


def test_a_rank_whose_random_states_are_missing_is_refused_by_all(tmp_path: Path, launch: Launch):
    """Another number of ranks needs only those that there are then."""
    stop = {"rank": 1, "step": 5, "what": "SIGTERM"}
    assert launch(tmp_path / "a", 2, "chance", fault=stop)["codes"] == [75, 75]
    saved = read(tmp_path / "a")
    rest = {name: tensor for name, tensor in saved.training.items() if name != "rank1"}
    assert len(rest) == len(saved.training) - 1
    checkpoint.save(tmp_path / "a", replace(saved, training=rest))
    for size in (2, 3):
        done = launch(tmp_path / "a", size, "chance", options={"resume": True})
        assert done["codes"] == [3] * size, done["texts"]
        assert all("the checkpoint of step 5 does not fit this run: it lacks rank1\n" in text for text in done["texts"])
    done = launch(tmp_path / "a", 1, "chance", options={"resume": True})
    assert done["codes"] == [0], done["texts"]
    assert "not bit for bit: ranks was 2, is 1" in done["texts"][0]


@pytest.mark.parametrize("size", [1, 3])
def test_another_number_of_ranks_goes_on(tmp_path: Path, launch: Launch, size: int):
    """The negative control."""
    stop = {"rank": 1, "step": 5, "what": "SIGTERM"}
    assert launch(tmp_path / "a", 2, "chance", fault=stop)["codes"] == [75, 75]
    done = launch(tmp_path / "a", size, "chance", options={"resume": True})
    assert done["codes"] == [0] * size, done["texts"]
    assert f"not bit for bit: ranks was 2, is {size}" in done["texts"][0]


@pytest.mark.parametrize("name", JOBS)
def test_nothing_is_noticed_where_nothing_is_left_out(tmp_path: Path, stopped: dict[str, tuple[Path, str]], name: str):
    """The negative control."""
    assert outcome(tmp_path / "a", stopped[name], JOBS[name][0], lambda saved: None) == "the same"

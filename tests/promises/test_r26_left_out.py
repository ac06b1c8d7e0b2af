"""R26: leaving out one part of the state is noticed.

Each part of a checkpoint in turn is dropped or emptied as a run resumes: the run refuses it in one line, or does not end in
the same bits, which every test of resuming would see. A loss curve would not: it is the same without the average.
"""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from harness import RECIPE, digest, few, go, job
from soak import Tally

from archdsl.recipe import Recipe
from archdsl.recipe.records import Plateau, Sgd, Warmup
from archdsl.train import checkpoint, loop, run
from archdsl.train.augment import Batch

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
    *(("average", "state", name) for name in ("identity", "scaler", "chance", "progress")),
    ("warming", "training", "window"),
]


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
    place: Any = saved.state if part == "state" else saved.state.get(part) or getattr(saved, part)
    if how == "dropped":
        del place[name]
    else:
        place[name] = _empty(name, place[name])


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
        return "refused" if len([line for line in text.splitlines() if line.startswith("error: ")]) == 1 else text
    return "the same" if code == 0 and digest(out) == stopped[1] else "caught"


@pytest.mark.promised("R26", of="parts left out")
@pytest.mark.parametrize(("name", "part", "key"), PARTS, ids=lambda v: str(v))
def test_a_part_that_is_dropped_or_emptied_is_noticed(
    tmp_path: Path, stopped: dict[str, tuple[Path, str]], name: str, part: str, key: str, soak: Tally
):
    for how in ("dropped", "emptied"):
        with soak.case():
            found = outcome(tmp_path / how, stopped[name], JOBS[name][0], lambda s, how=how: without(s, part, key, how))
        assert found in ("refused", "caught"), how


@pytest.mark.parametrize(("name", "part", "key"), NEEDED, ids=lambda v: str(v))
def test_a_part_that_is_missing_is_refused_in_one_line(
    tmp_path: Path, stopped: dict[str, tuple[Path, str]], name: str, part: str, key: str
):
    found = outcome(tmp_path / "a", stopped[name], JOBS[name][0], lambda saved: without(saved, part, key, "dropped"))
    assert found == "refused"


@pytest.mark.parametrize("name", JOBS)
def test_nothing_is_noticed_where_nothing_is_left_out(tmp_path: Path, stopped: dict[str, tuple[Path, str]], name: str):
    """The negative control."""
    assert outcome(tmp_path / "a", stopped[name], JOBS[name][0], lambda saved: None) == "the same"

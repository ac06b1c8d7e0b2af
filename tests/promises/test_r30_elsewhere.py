"""R30: another torch, thread count, device or flag is said aloud; old checkpoints keep loading.

Every entry of a checkpoint's fingerprint is changed in turn, and the run that goes on says so. `tests/train/kept/` has a run of
each release, stopped amid its second epoch: it is loaded, goes on to its end, and is as good as it was then.
"""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from harness import few, go, job
from soak import Tally

from archdsl.recipe import Recipe
from archdsl.train import checkpoint, loop, run, saving
from archdsl.train.augment import Batch

KEPT = Path(__file__).parents[1] / "train" / "kept"
FINGERPRINT = {
    "archdsl": "0.0.1",
    "torch": "1.13.0",
    "processor": "another one",
    "instructions": "NO AVX",
    "device": "cuda",
    "precision": "torch.float16",
    "engine": "graph",
    "threads": 64,
    "micro_batch": 16,
    "ranks": 8,
    "sync_batch_norm": True,
    "mkldnn": False,
    "float32_matmul": "medium",
    "deterministic": "another",
}


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch, one_thread: None):
    monkeypatch.setattr(run, "load", few)


def stop_after(patch: pytest.MonkeyPatch, step: int) -> None:
    original = loop.Trainer._between_steps

    def between(self: loop.Trainer, steps: int, batch: Batch) -> None:
        if self.progress.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, steps, batch)

    patch.setattr(loop.Trainer, "_between_steps", between)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("stopped") / "a"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "load", few)
        stop_after(patch, 20)
        assert go(place, job())[0] == 75
    return place


def said(place: Path, stopped: Path, **changes: Any) -> list[str]:
    """What a run says that goes on from a checkpoint whose fingerprint has these changes."""
    shutil.copytree(stopped, place)
    original = saving.restore

    def restore(plan: Any, stepper: Any, saved: checkpoint.Checkpoint) -> Any:
        saved.state["fingerprint"].update(changes)
        return original(plan, stepper, saved)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saving, "restore", restore)
        code, text = go(place, job(), resume=True)
    assert code == 0, text
    return [line for line in text.splitlines() if "not bit for bit" in line]


def test_every_entry_of_the_fingerprint_is_here(stopped: Path):
    state = json.loads((checkpoint.directory(stopped, 20) / checkpoint.STATE).read_text())
    assert set(state["fingerprint"]) == set(FINGERPRINT)


@pytest.mark.promised("R30", of="fingerprints")
@pytest.mark.parametrize("name", FINGERPRINT)
def test_what_differs_is_said_aloud(tmp_path: Path, stopped: Path, name: str, soak: Tally):
    with soak.case():
        lines = said(tmp_path / "a", stopped, **{name: FINGERPRINT[name]})
    assert len(lines) == 1
    assert f"not bit for bit: {name} was {FINGERPRINT[name]}, is " in lines[0]


def test_nothing_is_said_where_nothing_differs(tmp_path: Path, stopped: Path):
    """The negative control."""
    assert said(tmp_path / "a", stopped) == []


REAL: dict[str, dict[str, Any]] = {
    "threads": {"threads": 2},
    "precision": {"precision": "bf16"},
    "micro_batch": {"micro_batch": 16},
}


@pytest.mark.parametrize("name", REAL)
def test_what_really_differs_is_said_aloud(tmp_path: Path, stopped: Path, name: str):
    shutil.copytree(stopped, tmp_path / "a")
    code, text = go(tmp_path / "a", job(), resume=True, **REAL[name])
    assert code == 0
    assert f"not bit for bit: {name} was " in text


# ---- checkpoints of earlier releases -----------------------------------------------------------------------------


def kept(place: Path) -> Any:
    """The job of a run that was kept, from its own files."""
    recipe = Recipe.model_validate_json((place / "recipe.json").read_bytes())
    return job(recipe, (place / "model.txt").read_text(), "Tiny")


def last_row(place: Path) -> dict[str, float]:
    with (place / "metrics.csv").open(encoding="utf-8") as file:
        return {name: float(value or "nan") for name, value in list(csv.DictReader(file))[-1].items()}


@pytest.mark.promised("R30", of="checkpoints of releases")
@pytest.mark.parametrize("release", sorted(path.name for path in KEPT.iterdir()))
def test_a_checkpoint_of_a_release_loads_and_goes_on(tmp_path: Path, release: str, soak: Tally):
    """If this fails after a change of the recipe, the network or the state, old runs can no longer be resumed: say so."""
    out = tmp_path / "a"
    shutil.copytree(KEPT / release, out)
    with soak.case():
        code, text = go(out, kept(out), resume=True)
    assert code == 0, text
    assert "going on after step 10" in text
    expected = json.loads((KEPT / release / "expected.json").read_text())
    found = last_row(out)
    assert found["step"] == expected["step"]
    assert math.isclose(found["train_loss"], expected["train_loss"], rel_tol=1e-3), "as good as on the machine of then"
    assert math.isclose(found["test_loss"], expected["test_loss"], rel_tol=1e-3)


def test_there_is_a_checkpoint_of_this_release():
    from archdsl.ice import version

    assert (KEPT / version()).is_dir(), "make one with `python tests/train/keep.py`"


def test_the_kept_one_is_of_another_network_if_one_weight_is_more(tmp_path: Path):
    """The negative control: it does not go on with just anything."""
    out = tmp_path / "a"
    shutil.copytree(next(KEPT.iterdir()), out)
    work = kept(out)
    changed = job(work.recipe, work.module.replace("8,", "9,").replace("(8)", "(9)"), "Tiny")
    code, text = go(out, changed, resume=True)
    assert code == 3
    assert "holds another run, and nothing was done: model.py was " in text

"""A checkpoint is whole or does not count. Damage of every kind: `promises/test_r27_damage.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest
import torch

from archdsl.fsio import FileTrouble
from archdsl.train import checkpoint
from archdsl.train.checkpoint import MANIFEST, STATE, WEIGHTS, Checkpoint, Damaged


def make(step: int) -> Checkpoint:
    return Checkpoint(
        step,
        {"w": torch.randn(4, 3, 3, 3).to(memory_format=torch.channels_last), "n": torch.tensor(step)},
        {"m": torch.randn(5), "chance/cpu": torch.get_rng_state()[:100]},
        {"progress": {"step": step}},
    )


def notes() -> tuple[list[str], Callable[[str], None]]:
    told: list[str] = []
    return told, told.append


def test_there_and_back(tmp_path: Path):
    original = make(12)
    checkpoint.save(tmp_path, original)
    back = checkpoint.load(checkpoint.directory(tmp_path, 12))
    assert back.step == 12
    assert back.state == original.state
    assert all(torch.equal(back.weights[k], v) for k, v in original.weights.items())
    assert all(torch.equal(back.training[k], v) for k, v in original.training.items())


def test_the_newest_whole_one_counts(tmp_path: Path):
    told, note = notes()
    assert checkpoint.newest(tmp_path, note) is None
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, make(step))
    (checkpoint.directory(tmp_path, 3) / STATE).write_bytes(b"")
    found = checkpoint.newest(tmp_path, note)
    assert found is not None
    assert found.step == 2
    assert len(told) == 1
    (checkpoint.directory(tmp_path, 2) / MANIFEST).unlink()
    found = checkpoint.newest(tmp_path, note)
    assert found is not None
    assert found.step == 1


def test_the_last_and_the_best_are_kept(tmp_path: Path):
    for step in range(1, 7):
        checkpoint.save(tmp_path, make(step))
    checkpoint.prune(tmp_path, 2, best=3)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"step-{n:08}" for n in (3, 5, 6)]


def test_a_checkpoint_under_another_name_is_refused(tmp_path: Path):
    checkpoint.save(tmp_path, make(3))
    checkpoint.directory(tmp_path, 3).rename(checkpoint.directory(tmp_path, 9))
    with pytest.raises(Damaged, match="not as it was written"):
        checkpoint.load(checkpoint.directory(tmp_path, 9))


def test_a_save_that_fails_leaves_the_one_of_the_same_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    checkpoint.save(tmp_path, make(3))
    before = (checkpoint.directory(tmp_path, 3) / WEIGHTS).read_bytes()

    def full(root: Path, relative: str, data: bytes):
        raise FileTrouble(root / relative, "write", "no space left")

    monkeypatch.setattr(checkpoint, "write_inside", full)
    with pytest.raises(FileTrouble):
        checkpoint.save(tmp_path, make(3))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003"]
    assert (checkpoint.directory(tmp_path, 3) / WEIGHTS).read_bytes() == before


def test_one_that_went_aside_counts_until_its_successor_is_there(tmp_path: Path):
    """As a crash between two renames leaves it; the next save of that step takes its place."""
    checkpoint.save(tmp_path, make(3))
    (tmp_path / "step-00000003").rename(tmp_path / "step-00000003.old")
    found = checkpoint.newest(tmp_path, notes()[1])
    assert found is not None
    assert found.step == checkpoint.load(checkpoint.directory(tmp_path, 3)).step == 3
    checkpoint.prune(tmp_path, 2, best=None)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003.old"]
    checkpoint.save(tmp_path, make(3))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003"]


def test_a_run_that_goes_on_tidies_what_was_left_between_two_renames(tmp_path: Path):
    checkpoint.save(tmp_path, make(3))
    copytree(tmp_path / "step-00000003", tmp_path / "step-00000003.old")
    (tmp_path / "step-00000005.new").mkdir()
    found = checkpoint.recovered(tmp_path, notes()[1])
    assert found is not None
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003"]


def test_one_that_went_aside_returns_where_its_successor_is_damaged(tmp_path: Path):
    checkpoint.save(tmp_path, make(3))
    copytree(tmp_path / "step-00000003", tmp_path / "step-00000003.old")
    (tmp_path / "step-00000003" / WEIGHTS).write_bytes(b"")
    said, note = notes()
    assert checkpoint.recovered(tmp_path, note) is not None
    assert len(said) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003"]
    assert checkpoint.load(checkpoint.directory(tmp_path, 3)).step == 3


def test_what_a_dead_process_left_goes(tmp_path: Path):
    (tmp_path / "step-00000002.new").mkdir()
    (tmp_path / "step-00000001").mkdir()
    checkpoint.save(tmp_path, make(3))
    checkpoint.prune(tmp_path, 2, best=None)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003"]

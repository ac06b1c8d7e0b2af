"""A checkpoint with one wrong byte is no checkpoint."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from archdsl.train import checkpoint
from archdsl.train.checkpoint import MANIFEST, STATE, TRAINING, WEIGHTS, Checkpoint, Damaged


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


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path):
    broken = make(1)
    broken.weights["w"][0, 0, 0, 0] = float("nan")
    checkpoint.save(tmp_path, broken)
    with pytest.raises(Damaged, match="`w` holds numbers that are not finite"):
        checkpoint.load(checkpoint.directory(tmp_path, 1))


def damage(place: Path, chance: random.Random) -> None:
    """One of the ways in which disks and people damage files."""
    path = place / chance.choice([WEIGHTS, TRAINING, STATE, MANIFEST])
    data = bytearray(path.read_bytes())
    at = chance.randrange(len(data))
    match chance.randrange(6):
        case 0:
            data[at] ^= 1 << chance.randrange(8)
        case 1:
            del data[at:]
        case 2:
            run = min(chance.randint(1, 64), len(data) - at)
            data[at : at + run] = bytes(run) if any(data[at : at + run]) else b"\1" * run
        case 3:
            data += bytes([chance.randrange(256)])
        case 4:
            data[at:at] = bytes([chance.randrange(256)])
        case _:
            other = place / chance.choice([name for name in (WEIGHTS, TRAINING, STATE) if name != path.name])
            data = bytearray(other.read_bytes())
    path.write_bytes(data)


def means_the_same(place: Path, before: bytes) -> bool:
    """A blank more or less in the manifest's JSON changes nothing that it says."""
    try:
        return json.loads((place / MANIFEST).read_bytes()) == json.loads(before)
    except ValueError:
        return False


def all_found(folder: Path, count: int):
    checkpoint.save(folder, make(7))
    place, original = checkpoint.directory(folder, 7), folder / "original"
    shutil.copytree(place, original)
    before = (place / MANIFEST).read_bytes()
    chance = random.Random(0)
    for _ in range(count):
        damage(place, chance)
        with suppress(Damaged):
            checkpoint.load(place)
            assert means_the_same(place, before)
        for file in original.iterdir():
            (place / file.name).write_bytes(file.read_bytes())


def test_all_damages_are_found(tmp_path: Path):
    all_found(tmp_path, 1500)


@pytest.mark.prove
def test_all_of_a_hundred_thousand_damages_are_found(tmp_path: Path):
    all_found(tmp_path, 100_000)


def test_a_checkpoint_under_another_name_is_refused(tmp_path: Path):
    checkpoint.save(tmp_path, make(3))
    checkpoint.directory(tmp_path, 3).rename(checkpoint.directory(tmp_path, 9))
    with pytest.raises(Damaged, match="not as it was written"):
        checkpoint.load(checkpoint.directory(tmp_path, 9))


def test_without_digests_a_flipped_bit_would_pass(tmp_path: Path):
    """Negative control: safetensors itself loads it in silence."""
    from safetensors.torch import load

    checkpoint.save(tmp_path, make(3))
    data = bytearray((checkpoint.directory(tmp_path, 3) / WEIGHTS).read_bytes())
    data[-2] ^= 4
    assert set(load(bytes(data))) == {"w", "n"}

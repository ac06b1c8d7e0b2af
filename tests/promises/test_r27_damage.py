"""R27: a damaged checkpoint is never used; the newest whole one is.

Flipped bits, cuts, runs of zeros, bytes more or less, files swapped, files gone, whole checkpoints under another name: 5,000
damages in every run of the tests, 100,000 in SOAK, all found. And a store as it lives, by hypothesis: saved to, damaged,
pruned and read in any order, 15 lives of 50 steps here, 1,000 in SOAK.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from soak import Tally, shards
from torch import Tensor

from archdsl.train import checkpoint
from archdsl.train.checkpoint import MANIFEST, STATE, TRAINING, WEIGHTS, Checkpoint, Damaged

FILES = (WEIGHTS, TRAINING, STATE, MANIFEST)


def make(step: int) -> Checkpoint:
    """Different for each step, so that one cannot pass for another."""
    chance = torch.Generator().manual_seed(step)
    weights = {"w": torch.randn(4, 3, 3, 3, generator=chance), "n": torch.tensor(step)}
    return Checkpoint(step, weights, {"m": torch.randn(5, generator=chance)}, {"progress": {"step": step}})


def is_right(found: Checkpoint, step: int) -> bool:
    expected = make(step)
    same = found.step == step and found.state == expected.state
    return same and alike(found.weights, expected.weights) and alike(found.training, expected.training)


def alike(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


def damage(place: Path, chance: random.Random) -> Path:
    """One of the ways in which disks and people damage a checkpoint; which file it hit."""
    path = place / chance.choice(FILES)
    data = bytearray(path.read_bytes())
    at = chance.randrange(len(data))
    match chance.choice(("flip", "cut", "zeros", "more", "insert", "delete", "swap", "gone")):
        case "flip":
            data[at] ^= 1 << chance.randrange(8)
        case "cut":
            del data[at:]
        case "zeros":
            run = min(chance.randint(1, 64), len(data) - at)
            data[at : at + run] = bytes(run) if any(data[at : at + run]) else b"\1" * run
        case "more":
            data += bytes([chance.randrange(256)])
        case "insert":
            data[at:at] = bytes([chance.randrange(256)])
        case "delete":
            del data[at]
        case "swap":
            data = bytearray((place / chance.choice([name for name in FILES if name != path.name])).read_bytes())
        case _:
            path.unlink()
            return path
    path.write_bytes(data)
    return path


def means_the_same(place: Path, before: bytes) -> bool:
    """A blank more or less in the manifest's JSON changes nothing that it says."""
    try:
        return json.loads((place / MANIFEST).read_bytes()) == json.loads(before)
    except (ValueError, OSError):
        return False


def all_found(folder: Path, count: int, seed: str, tally: Tally) -> None:
    """Every damage is refused, by `load` and where the newest is looked for: the one before is taken."""
    tally.seed = seed
    for step in (6, 7):
        checkpoint.save(folder, make(step))
    place, original = checkpoint.directory(folder, 7), folder / "original"
    shutil.copytree(place, original)
    before = (place / MANIFEST).read_bytes()
    chance = random.Random(seed)
    for _ in range(count):
        with tally.case():
            path = damage(place, chance)
            with suppress(Damaged):
                assert is_right(checkpoint.load(place), 7), path
                assert means_the_same(place, before), path
                assert files_are(place, original), f"{path} was changed, and taken"
        if chance.random() < 0.05:
            found = checkpoint.newest(folder, lambda _: None)
            assert found is not None
            assert is_right(found, 7 if means_the_same(place, before) and files_are(place, original) else 6)
        path.write_bytes((original / path.name).read_bytes())


def files_are(place: Path, original: Path) -> bool:
    names = (WEIGHTS, TRAINING, STATE)
    return all((place / n).exists() and (place / n).read_bytes() == (original / n).read_bytes() for n in names)


def test_all_damages_are_found(tmp_path: Path):
    all_found(tmp_path, 5_000, "ci", Tally())


@pytest.mark.prove
@pytest.mark.promised("R27", of="damages")
@pytest.mark.parametrize(("first", "count"), shards(100_000, 25_000))
def test_all_of_a_hundred_thousand_damages_are_found(tmp_path: Path, first: int, count: int, soak: Tally):
    all_found(tmp_path, count, f"soak/{first}", soak)


def test_a_load_without_digests_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The negative control: what cannot be parsed is refused, what can is taken."""
    load = checkpoint.load

    def trusting(place: Path) -> Checkpoint:
        try:
            return load(place)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise Damaged(str(error)) from None

    monkeypatch.setattr(checkpoint, "_file", lambda place, name, entry: (place / name).read_bytes())
    monkeypatch.setattr(checkpoint, "load", trusting)
    with pytest.raises(AssertionError):
        all_found(tmp_path, 200, "ci", Tally())


def test_without_digests_damages_pass(tmp_path: Path):
    """The negative control: what safetensors loads in silence of flipped bits."""
    checkpoint.save(tmp_path, make(3))
    whole = (checkpoint.directory(tmp_path, 3) / WEIGHTS).read_bytes()
    chance = random.Random(0)
    passed = 0
    for _ in range(200):
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        with suppress(Exception):
            load_tensors(bytes(data))
            passed += 1
    assert passed > 100


def test_numbers_that_are_not_finite_are_refused_though_the_bytes_are_as_written(tmp_path: Path):
    for step, value in enumerate((float("nan"), float("inf"), -float("inf")), 1):
        broken = make(step)
        broken.weights["w"][0, 0, 0, 0] = value
        checkpoint.save(tmp_path, broken)
        with pytest.raises(Damaged, match="`w` holds numbers that are not finite"):
            checkpoint.load(checkpoint.directory(tmp_path, step))


# ---- a store as it lives -----------------------------------------------------------------------------------------

KEEP = 3
MEMORY = "/dev/shm"  # to force bytes to a disk takes longer than all the rest


class Store(RuleBasedStateMachine):
    """What is whole in the folder is known; the newest of it is what is found."""

    tally = Tally()

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="archdsl-store-", dir=MEMORY if os.path.isdir(MEMORY) else None))
        self.whole: set[int] = set()
        self.broken: set[int] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)
        Store.tally.cases += 1

    @rule(step=st.integers(1, 12))
    def save(self, step: int) -> None:
        checkpoint.save(self.folder, make(step))
        self.whole.add(step)
        self.broken.discard(step)

    @rule(step=st.integers(1, 12), at=st.integers(0, 3))
    def save_and_fail(self, step: int, at: int) -> None:
        """The disk is full at one of the files: as if nothing had been tried."""
        with pytest.MonkeyPatch.context() as patch:
            calls = iter(range(9))
            write = checkpoint.write_inside

            def failing(root: Path, relative: str, data: bytes) -> None:
                if next(calls) == at:
                    raise checkpoint.FileTrouble(root / relative, "write", "no space left")
                write(root, relative, data)

            patch.setattr(checkpoint, "write_inside", failing)
            with pytest.raises(checkpoint.FileTrouble):
                checkpoint.save(self.folder, make(step))

    @precondition(lambda self: self.whole)
    @rule(data=st.data(), drawn=st.integers(0, 10**6))
    def hurt(self, data: st.DataObject, drawn: int) -> None:
        step = data.draw(st.sampled_from(sorted(self.whole)))
        place = checkpoint.directory(self.folder, step)
        files = {name: (place / name).read_bytes() for name in FILES}
        damage(place, random.Random(drawn))
        if not (place / MANIFEST).exists():
            self.whole.discard(step)  # as if it had never been finished
        elif (place / MANIFEST).read_bytes() != files[MANIFEST] and means_the_same(place, files[MANIFEST]):
            (place / MANIFEST).write_bytes(files[MANIFEST])
        else:
            self.whole.discard(step)
            self.broken.add(step)

    @rule(keep=st.integers(1, KEEP), best=st.integers(1, 12) | st.none())
    def prune(self, keep: int, best: int | None) -> None:
        """What has a manifest counts, whole or not: only reading it all would tell."""
        there = sorted(self.whole | self.broken)
        kept = {*there[-keep:], best}
        checkpoint.prune(self.folder, keep, best)
        self.whole &= kept
        self.broken &= kept

    @invariant()
    def the_newest_whole_one_is_found(self) -> None:
        notes: list[str] = []
        try:
            found = checkpoint.newest(self.folder, notes.append)
        except Damaged:
            assert self.broken
            assert not self.whole
            return
        newest = max(self.whole, default=None)
        assert (found.step if found else None) == newest
        assert found is None or is_right(found, found.step)
        assert len(notes) == len([step for step in self.broken if newest is None or step > newest])


def live(count: int, first: int = 0) -> Tally:
    """So many lives, drawn from `first`."""
    Store.tally = Tally(seed=str(first))
    how = settings(max_examples=count, stateful_step_count=50, deadline=None, database=None)
    run_state_machine_as_test(seed(first)(type("Store", (Store,), {})), settings=how)
    return Store.tally


def test_the_newest_whole_checkpoint_is_found_whatever_happened():
    assert live(15).cases >= 15


@pytest.mark.prove
@pytest.mark.promised("R27", of="lives of a store")
@pytest.mark.parametrize(("first", "count"), shards(1_000, 125))
def test_a_thousand_lives_of_a_store(first: int, count: int, soak: Tally):
    soak.cases += live(count, first + 1).cases


def test_a_store_without_digests_takes_a_damaged_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The negative control."""
    monkeypatch.setattr(checkpoint, "_file", lambda place, name, entry: (place / name).read_bytes())
    checkpoint.save(tmp_path, make(7))
    path = checkpoint.directory(tmp_path, 7) / WEIGHTS
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    path.write_bytes(data)
    found = checkpoint.newest(tmp_path, lambda _: None)
    assert found is not None
    assert not is_right(found, 7)

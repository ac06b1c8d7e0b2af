"""R36: one seed gives the same bits, and one process with a batch gives what several ranks with a share each give.

Runs are drawn: batch, micro-batch, length, optimiser, network. Pairs of equal ones leave the same bytes: weights, average,
optimiser, random states, metrics. Of one process and of ranks the gradients are compared (momentum after few steps is
their sum), with the weights and statistics: the largest difference is below 1e-5 of the largest number beside it. Batch
norm needs `--sync-batch-norm` for that, and with micro-batches it is no longer the same: a piece is normalised by itself.
Promised: 50 pairs in CI; here 20 and 8, `make prove` 50 and 50.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from launching import TRAIN, Launch, launch
from safetensors.torch import load_file
from soak import Tally, scaled

sys.path.insert(0, str(TRAIN))

from harness import digest

from archdsl.train import checkpoint

__all__ = ["launch"]  # a fixture

CLOSE = 1e-5


def drawn(chance: random.Random, jobs: tuple[str, ...]) -> dict[str, Any]:
    """A job with other numbers in its recipe. 200 images give batches with a rest of any size."""
    recipe = {
        "batch": chance.randint(6, 80),
        "seed": chance.randrange(1000),
        "epochs": None,
        "iterations": chance.randint(1, 8),
    }
    return {"job": chance.choice(jobs), "recipe": recipe}


def pair(tmp_path: Path, launch: Launch, number: int, size: int) -> None:
    asked = drawn(random.Random(f"r36/pair/{number}"), ("plain", "norm", "chance", "rising", "skipping"))
    outs = [tmp_path / f"{number}{name}" for name in "ab"]
    for out in outs:
        done = launch(out, size, options={"sync_batch_norm": size > 1}, **asked)
        assert done["codes"] == [0] * size, done["texts"]
    assert digest(outs[0]) == digest(outs[1])


def tensors(out: Path) -> dict[str, torch.Tensor]:
    """Weights, statistics, and the optimiser's momenta."""
    place = max(checkpoint.finished(out))
    training = load_file(place / checkpoint.TRAINING)
    momenta = {name: value for name, value in training.items() if name.endswith("momentum_buffer")}
    assert momenta
    return {**load_file(place / checkpoint.WEIGHTS), **momenta}


def distance(a: Path, b: Path) -> float:
    """The largest difference of any two numbers, relative to the largest one of their tensor."""
    mine, theirs = tensors(a), tensors(b)
    assert mine.keys() == theirs.keys()
    pairs = [(mine[name].double(), theirs[name].double()) for name in mine]
    return max(float((x - y).abs().max() / y.abs().max().clamp_min(1e-6)) for x, y in pairs)


def shared(tmp_path: Path, launch: Launch, number: int, normalised: bool) -> float:
    """How far several ranks are from one process."""
    chance = random.Random(f"r36/ranks/{normalised}/{number}")
    asked = drawn(chance, ("norm",) if normalised else ("plain",))
    size = chance.choice((2, 3))
    options = {"sync_batch_norm": normalised}
    pieces = {} if normalised or chance.random() < 0.5 else {"micro_batch": chance.randint(1, 20)}
    for ranks, given in ((1, {}), (size, {**options, **pieces})):
        done = launch(tmp_path / f"{number}{normalised}{ranks}", ranks, options=given, **asked)
        assert done["codes"] == [0] * ranks, done["texts"]
    return distance(*(tmp_path / f"{number}{normalised}{ranks}" for ranks in (size, 1)))


@pytest.mark.parametrize("size", [1, 2])
def test_pairs_of_runs_give_the_same_bits(tmp_path: Path, launch: Launch, size: int):
    for number in range(14 if size == 1 else 6):
        pair(tmp_path, launch, number, size)


@pytest.mark.parametrize("normalised", [False, True])
def test_ranks_give_the_gradients_of_one_process(tmp_path: Path, launch: Launch, normalised: bool):
    assert max(shared(tmp_path, launch, number, normalised) for number in range(4)) < CLOSE


@pytest.mark.parametrize("batch", [33, 99])
def test_a_rest_too_small_to_be_shared_is_normalised_once(tmp_path: Path, launch: Launch, batch: int):
    """The last 2 of 200 images: each rank has both, and statistics count them once."""
    asked = {"job": "norm", "recipe": {"batch": batch, "epochs": 1}}
    for size in (1, 2):
        done = launch(tmp_path / str(size), size, options={"sync_batch_norm": True}, **asked)
        assert done["codes"] == [0] * size, done["texts"]
    assert distance(tmp_path / "2", tmp_path / "1") < CLOSE


def test_pieces_of_unlike_shares_keep_in_step(tmp_path: Path, launch: Launch):
    """17 and 16 images, 16 at once: two pieces on both ranks, or one would wait for the other's statistics."""
    asked = {"job": "norm", "recipe": {"batch": 33, "epochs": None, "iterations": 3}}
    done = launch(tmp_path / "a", 2, options={"sync_batch_norm": True, "micro_batch": 16, "timeout": 5.0}, **asked)
    assert done["codes"] == [0, 0], done["texts"]


def test_other_numbers_are_noticed(tmp_path: Path, launch: Launch):
    """The negative controls: another seed has other bits; statistics of each rank's own images another gradient."""
    for name, seed in (("a", 1), ("b", 2)):
        assert launch(tmp_path / name, 1, "norm", recipe={"seed": seed, "iterations": 2, "epochs": None})["codes"] == [
            0
        ]
    assert digest(tmp_path / "a") != digest(tmp_path / "b")
    asked = {"job": "norm", "recipe": {"seed": 1, "iterations": 2, "epochs": None}}
    assert launch(tmp_path / "c", 2, **asked)["codes"] == [0, 0]
    assert distance(tmp_path / "c", tmp_path / "a") > 100 * CLOSE


@pytest.mark.prove
@pytest.mark.promised("R36", of="pairs of runs with the same bits")
@pytest.mark.parametrize("size", [1, 2])
def test_fifty_pairs(tmp_path: Path, launch: Launch, size: int, soak: Tally):
    soak.cases, soak.seed = scaled(25), "r36/pair"
    for number in range(soak.cases):
        pair(tmp_path, launch, number, size)


@pytest.mark.prove
@pytest.mark.promised("R36", of="runs of ranks beside one process")
@pytest.mark.parametrize("normalised", [False, True])
def test_fifty_gradients(tmp_path: Path, launch: Launch, normalised: bool, soak: Tally):
    soak.cases, soak.seed = scaled(25), f"r36/ranks/{normalised}"
    worst = max(shared(tmp_path, launch, number, normalised) for number in range(soak.cases))
    print(f"largest difference {worst:.1e}")
    assert worst < CLOSE

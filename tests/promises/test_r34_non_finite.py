"""R34: no update is made from a loss or gradient that is not finite: the weights are the same bytes before and after.

Numbers that are none are put into an image, a label, a layer, the loss, one gradient, at random steps of one process or of
one of several ranks. The run ends with 76, names the step and the place, and the rank where it is one rank's own. Promised:
100 in CI; here 90 of one process and 12 of ranks, `make prove` 102 and 48.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from launching import Launch, launch
from soak import Tally, scaled

__all__ = ["launch"]  # a fixture

PLACES = {
    "nan": "the images hold numbers that are not finite",
    "inf": "the images hold numbers that are not finite",
    "label": "a label is -100, which is no class",
    "layer": "the output of `conv` (Conv2d) is not finite",
    "loss": "the loss is not finite",
    "gradient": "the gradient of `linear.bias` is not finite",
}
STEPS = 14
JOBS = ("plain", "norm", "chance")


def poisoned(out: Path, launch: Launch, chance: random.Random, what: str, size: int, **more: Any) -> dict[str, Any]:
    """A run in which one rank meets it at a random step; `sync_batch_norm`, in which ranks wait for each other's layers."""
    fault = {"rank": chance.randrange(size), "step": chance.randrange(STEPS - 3), "what": what}
    options = {"save_steps": 1, "sync_batch_norm": size > 1 and chance.random() < 0.7}
    if chance.random() < 0.5:
        options["micro_batch"] = chance.choice((5, 9))
    done = launch(out, size, chance.choice(JOBS), options=options, fault=fault, **more)
    return {**done, "fault": fault}


def check(done: dict[str, Any]) -> None:
    """All ranks end with 76 after the step before, say where it is, and have the weights that they had."""
    what, step, rank = (done["fault"][name] for name in ("what", "step", "rank"))
    size = len(done["codes"])
    assert done["codes"] == [76] * size, done
    whose = f"rank {rank}: " if size > 1 and what != "gradient" else ""
    saved = f"the last checkpoint is that of step {step}" if step else "no checkpoint was made yet"
    for number, text in enumerate(done["texts"]):
        speaker = f"rank {number}: " if size > 1 else ""
        assert f"{speaker}error: step {step + 1}: {whose}{PLACES[what]}; {saved}\n" in text, text
        assert "weights as before" in text
        assert "weights moved" not in text


@pytest.mark.parametrize("what", PLACES)
def test_one_process_makes_no_update(tmp_path: Path, launch: Launch, what: str):
    for number in range(15):
        check(poisoned(tmp_path / str(number), launch, random.Random(f"r34/{what}/{number}"), what, 1))


@pytest.mark.parametrize("what", PLACES)
def test_no_rank_makes_an_update(tmp_path: Path, launch: Launch, what: str):
    for size in (2, 3):
        check(poisoned(tmp_path / str(size), launch, random.Random(f"r34/ranks/{size}/{what}"), what, size))


def test_the_rank_is_named_whose_images_spoil_the_statistics_of_all(tmp_path: Path, launch: Launch):
    fault = {"rank": 1, "step": 3, "what": "inf"}
    done = launch(tmp_path / "a", 2, "norm", options={"save_steps": 1, "sync_batch_norm": True}, fault=fault)
    check({**done, "fault": fault})


def test_an_update_is_noticed(tmp_path: Path, launch: Launch):
    """The negative control: a step that moves the weights in any case."""
    done = poisoned(tmp_path / "a", launch, random.Random(0), "nan", 1, careless=True)
    assert "weights moved" in done["texts"][0]
    with pytest.raises(AssertionError):
        check(done)


@pytest.mark.prove
@pytest.mark.promised("R34", of="steps with a number that is not finite")
@pytest.mark.parametrize("what", PLACES)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_hundred_and_fifty_steps(tmp_path: Path, launch: Launch, what: str, size: int, soak: Tally):
    count = scaled(17 if size == 1 else 4)
    for number in range(count):
        check(poisoned(tmp_path / str(number), launch, random.Random(f"r34/soak/{size}/{what}/{number}"), what, size))
    soak.cases, soak.seed = count, "r34"

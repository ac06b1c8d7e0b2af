"""R23: kill -9 at any time, then resume, ends in the same bits.

A run is killed at random moments until it gets through; a digest of weights, average, optimiser, schedule, random states and
metrics is compared with that of the run that nobody disturbed: see `tests/train/killing.py`. 60 kills in every run of the
tests, 1,000 in SOAK: all exact, and no checkpoint that cannot be loaded. Of two ranks one is killed at a random moment, and both
are started again: 3 kills in every run, 50 in SOAK. At chosen steps, and by the real `torchrun`: `train/test_distributed.py`.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from harness import digest
from launching import Launch, launch
from soak import Tally, scaled

from archdsl.train import checkpoint

__all__ = ["launch"]  # a fixture

SCRIPT = Path(__file__).parents[1] / "train" / "killing.py"


def kills(folder: Path, *arguments: int) -> dict[str, int]:
    command = [sys.executable, str(SCRIPT), str(folder), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["unreadable"] == 0
    assert report["chains"] > 0
    return report


def all_exact(folder: Path, count: int, seed: int, tally: Tally) -> None:
    tally.seed = str(seed)
    report = kills(folder, count, seed)
    tally.cases += report["kills"]
    assert report["kills"] >= count
    assert report["different"] == 0
    assert report["exact"] == report["chains"]


def test_sixty_kills_end_in_the_same_bits(tmp_path: Path):
    all_exact(tmp_path, 60, 0, Tally())


@pytest.mark.prove
@pytest.mark.promised("R23", of="kills")
@pytest.mark.parametrize("part", range(4))
def test_a_thousand_kills_end_in_the_same_bits(tmp_path: Path, part: int, soak: Tally):
    all_exact(tmp_path, scaled(250), part + 1, soak)


def test_a_run_that_forgets_its_random_numbers_ends_in_others(tmp_path: Path):
    """The negative control."""
    assert kills(tmp_path, 8, 0, 1)["different"] > 0


# ---- one of two ranks --------------------------------------------------------------------------------------------

DONE, KILLED, LOST = 0, -9, 77
SAVES = {"save_steps": 3}


def killed(out: Path, launch: Launch, chance: random.Random, length: float, again: bool) -> bool:
    """Train on two ranks and kill one of them; whether that ended the run. The other one says so, in time."""
    victim = chance.randrange(2)
    signals = [(chance.uniform(0, length), "SIGKILL", [victim])]
    done = launch(out, 2, "chance", options={**SAVES, "resume": again}, signals=signals)
    own, other = done["codes"][victim], done["codes"][1 - victim]
    assert own in (KILLED, DONE), done
    assert other in (LOST, DONE), done
    assert other == DONE or f"rank {victim} of 2 lost" in done["texts"][1 - victim], done
    assert done["seconds"] < 30, done
    for place in checkpoint.finished(out):
        checkpoint.load(place)
    return KILLED in done["codes"]


def kills_of_ranks(folder: Path, launch: Launch, count: int, tally: Tally) -> int:
    """So many kills, in chains until both ranks get through; how many chains end in other bits."""
    whole = launch(folder / "whole", 2, "chance", options=SAVES)
    assert whole["codes"] == [DONE, DONE], whole["texts"]
    different = chains = 0
    tally.seed = "r23"
    while tally.cases < count:
        chance, out = random.Random(f"r23/{chains}"), folder / str(chains)
        while killed(out, launch, chance, 1.1 * whole["seconds"], out.exists()):
            tally.cases += 1
        different += digest(out) != digest(folder / "whole")
        chains += 1
    return different


def test_three_kills_of_one_of_two_ranks_end_in_the_same_bits(tmp_path: Path, launch: Launch):
    assert kills_of_ranks(tmp_path, launch, 3, Tally()) == 0


@pytest.mark.prove
@pytest.mark.promised("R23", of="kills of one of two ranks")
def test_fifty_kills_of_one_of_two_ranks_end_in_the_same_bits(tmp_path: Path, launch: Launch, soak: Tally):
    assert kills_of_ranks(tmp_path, launch, scaled(50), soak) == 0


@pytest.mark.parametrize("forgetful", [False, True])
def test_ranks_that_forget_their_random_numbers_end_in_other_bits(tmp_path: Path, launch: Launch, forgetful: bool):
    """The negative control, and that it is they which it depends on."""
    kill = {"rank": 1, "step": 5, "what": "SIGKILL"}
    assert launch(tmp_path / "whole", 2, "chance", options=SAVES)["codes"] == [DONE, DONE]
    assert launch(tmp_path / "a", 2, "chance", options=SAVES, fault=kill)["codes"] == [LOST, KILLED]
    done = launch(tmp_path / "a", 2, "chance", options={**SAVES, "resume": True}, forgetful=forgetful)
    assert done["codes"] == [DONE, DONE], done["texts"]
    assert (digest(tmp_path / "a") != digest(tmp_path / "whole")) == forgetful

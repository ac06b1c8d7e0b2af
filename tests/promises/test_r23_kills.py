"""R23: kill -9 at any time, then resume, ends in the same bits.

A run is killed at random moments until it gets through; a digest of weights, average, optimiser, schedule, random states and
metrics is compared with that of the run that nobody disturbed: see `tests/train/killing.py`. 60 kills in every run of the
tests, 1,000 in SOAK: all exact, and no checkpoint that cannot be loaded. Ranks that are killed: `train/test_distributed.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from soak import Tally, scaled

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

"""R24: resuming in a new process is exact at every step boundary, whatever the number of workers before and after.

40 steps x {fp32, bf16} x {SGD, AdamW} x {0, 1, 2} workers, resumed with another number of them: 480 in SOAK; in every run of
the tests two steps of three settings. Undisturbed runs end alike with 0 to 4 workers. See `tests/train/resuming.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from soak import Tally, share

SCRIPT = Path(__file__).parents[1] / "train" / "resuming.py"
SETTINGS = list(product(("fp32", "bf16"), ("sgd", "adamw"), (0, 1, 2)))


def resumed(folder: Path, **request: Any) -> dict[str, Any]:
    command = [sys.executable, str(SCRIPT), str(folder)]
    done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_some_steps_resume_in_the_same_bits_and_any_number_of_workers_ends_in_them(tmp_path: Path):
    """A step amid an epoch, and the last of one. The negative control within: without the random states none is exact."""
    settings = [("fp32", "sgd", 1), ("bf16", "adamw", 2), ("fp32", "adamw", 0)]
    alike = [("fp32", "sgd", workers) for workers in (0, 2, 3, 4)]
    found = resumed(tmp_path, settings=settings, alike=alike, steps=[13, 20])
    assert found == {"exact": 6, "different": [], "forgetful": 0, "digests": 1}


@pytest.mark.prove
@pytest.mark.promised("R24", of="resumed steps")
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: "-".join(map(str, setting)))
def test_every_step_resumes_in_the_same_bits(tmp_path: Path, setting: tuple[str, str, int], soak: Tally):
    steps = list(share(range(1, 41)))
    alike = [(*setting[:2], workers) for workers in range(5)]
    found = resumed(tmp_path, settings=[setting], alike=alike, steps=steps)
    soak.cases += len(steps)
    assert found == {"exact": len(steps), "different": [], "forgetful": 0, "digests": 1}

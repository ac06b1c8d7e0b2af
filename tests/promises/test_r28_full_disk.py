"""R28: a disk that is full during a save costs nothing but that save.

Real disks of 4 MiB, filled after the first checkpoint but for a part of what the next one takes: training warns and goes on,
ends in the same bits if there is room again, and with exit code 3 after the third save in a row that failed; the old checkpoint
loads, nothing half-written is left. 50 disks in every run of the tests, others in SOAK: see `full_disk.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from soak import Tally, scaled

SCRIPT = Path(__file__).with_name("full_disk.py")


def full_disks(folder: Path, count: int, seed: int) -> dict[str, Any]:
    if os.geteuid() or subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk: none was filled")
    command = ["unshare", "-m", sys.executable, str(SCRIPT), str(folder), str(count), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 1 and "mount" in done.stderr:
        pytest.skip("a small disk cannot be mounted here: none was filled")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_full_disk_costs_the_save_and_nothing_else(tmp_path: Path):
    """And one that is full from the start is found before any data are read.

    The negative control within: torch.save in place loses the old checkpoint.
    """
    found = full_disks(tmp_path, 50, 0)
    assert found["wrong"] == []
    assert len(found["control"]) == 1
    assert found["early"].startswith("3: error: cannot lock ")
    assert found["early"].endswith("run.lock: No space left on device\n")


@pytest.mark.prove
@pytest.mark.promised("R28", of="full disks")
def test_fifty_full_disks(tmp_path: Path, soak: Tally):
    soak.seed = "1"
    assert full_disks(tmp_path, scaled(50), 1)["wrong"] == []
    soak.cases += scaled(50)

"""R37: no data set file can run code: gadgets in every container through every reader, and mutated pickles.

Whatever a reader does is watched by an audit hook that ends the process at anything but reading: see `gadgets.py`. The
500,000 mutated pickles are those of `tests/train/test_cifar.py`, with 20,000 of them in every run of the tests.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from soak import Tally

TESTS = Path(__file__).parents[1]


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(map(str, (TESTS.parent, TESTS, TESTS / "train")))
    command = [sys.executable, str(Path(__file__).with_name("gadgets.py")), str(root), *arguments]
    env = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=root, check=False)


@pytest.mark.promised("R37", of="gadgets in containers")
def test_no_gadget_in_any_container_runs(tmp_path: Path, soak: Tally):
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    found = re.fullmatch(r"(\d+) of (\d+) refused\n", done.stdout)
    assert found, done.stdout
    assert found[1] == found[2]
    assert int(found[2]) >= 4 * 160, "forty gadgets in four containers, for each of four readers"
    assert not list(tmp_path.rglob("ARCHDSL_GADGET_RAN"))
    soak.cases = int(found[2])


def test_the_hook_bites(tmp_path: Path):
    """The control: the first gadget, run by pickle itself."""
    done = run(tmp_path, "control")
    assert done.returncode == 99, done.stderr[-2000:]
    assert "pickle.find_class" in done.stderr or "os.system" in done.stderr

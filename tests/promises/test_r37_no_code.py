"""R37: no file of a data set, a checkpoint or a run can run code: gadgets in every container, and mutated pickles.

Whatever a reader does is watched by an audit hook that ends the process at anything but reading: see `gadgets.py`. Run folders
are resumed, opened again and learned from with each file but `model.py` replaced: see `gadget_runs.py`. The
500,000 mutated pickles are those of `tests/train/test_cifar.py`, with 20,000 of them in every run of the tests.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from soak import Tally

TESTS = Path(__file__).parents[1]


def run(root: Path, *arguments: str, script: str = "gadgets.py") -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(map(str, (TESTS.parent, TESTS, TESTS / "train")))
    command = [sys.executable, str(Path(__file__).with_name(script)), str(root), *arguments]
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


@pytest.mark.promised("R37", of="gadgets in run folders")
def test_no_gadget_in_a_run_folder_runs(tmp_path: Path, soak: Tally):
    """Fourteen times: seven files of a run, and four of its checkpoint, three of them also with a manifest that fits."""
    done = run(tmp_path, script="gadget_runs.py")
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert sum(count for what, count in found.items() if what.startswith("opened again")) >= 14 * 40 * 4
    assert min(found[f"{way}, refused"] for way in ("resumed", "opened again", "learned from")) > 0
    soak.cases = sum(found.values())


def test_the_hook_bites_in_a_run_folder(tmp_path: Path):
    """The control, likewise."""
    done = run(tmp_path, "control", script="gadget_runs.py")
    assert done.returncode == 99, done.stderr[-2000:]
    assert "pickle.find_class" in done.stderr or "os.system" in done.stderr

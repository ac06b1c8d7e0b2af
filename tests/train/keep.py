"""Keeps a run of this release in `kept/`, stopped after its tenth step, for later releases to go on with: see R30.

python tests/train/keep.py
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import tempfile
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from harness import few, go, job

from archdsl.ice import version
from archdsl.train import loop, run
from archdsl.train.augment import Batch

FILES = {"model.py": "model.txt", "recipe.json": "recipe.json"}  # a text, which no formatter touches


def main() -> None:
    torch.set_num_threads(1)
    run.load = few
    place = Path(__file__).with_name("kept") / version()
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        whole, part = Path(folder, "whole"), Path(folder, "part")
        assert go(whole, job())[0] == 0
        _stop_after(10)
        assert go(part, job())[0] == 75
        for name, kept in FILES.items():
            shutil.copy(part / name, place / kept)
        shutil.copytree(part / "step-00000010", place / "step-00000010")
        with (whole / "metrics.csv").open(encoding="utf-8") as file:
            row = list(csv.DictReader(file))[-1]
    expected = {name: float(row[name]) for name in ("step", "train_loss", "test_loss")}
    (place / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")


def _stop_after(step: int) -> None:
    original = loop.Trainer._between_steps

    def between(self: loop.Trainer, steps: int, batch: Batch) -> None:
        if self.progress.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, steps, batch)

    loop.Trainer._between_steps = between  # type: ignore[method-assign]


if __name__ == "__main__":
    main()

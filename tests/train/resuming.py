"""Resumes a run in a new process after each of its steps, with another number of workers, and compares the bits.

    python resuming.py FOLDER < request        {"settings": [[precision, optimiser, workers]...], "steps": [...]}

Prints {"exact": n, "different": [...], "digests": n, "forgetful": n}: cases, those that differ, how many ends undisturbed
runs of one precision and optimiser have between them, and how many resumes without the random states were exact. "alike" in
the request are more settings, which are not resumed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
import torch._dynamo  # as in killing.py
from harness import digest, go, job
from PIL import Image

from archdsl.recipe import Recipe
from archdsl.recipe.records import AdamW, Flip, Mixup, PadCrop, Sgd
from archdsl.train import checkpoint, saving

STEPS = 40
OPTIMISERS = {"sgd": Sgd(lr=0.05, weight_decay=1e-3), "adamw": AdamW(lr=1e-3)}


def pictures(root: Path) -> None:
    """200 pictures to train on and 40 to test, of two classes that differ in brightness."""
    chance = np.random.default_rng(0)
    for (part, count), (label, name) in product((("train", 100), ("test", 20)), enumerate("ab")):
        (root / part / name).mkdir(parents=True)
        for number in range(count):
            pixels = chance.integers(0, 128, (9, 9, 3), np.uint8) + np.uint8(100 * label)
            Image.fromarray(pixels).save(root / part / name / f"{number}.png")


def train(out: Path, data: Path, precision: str, optimiser: str, workers: int, **options: object) -> None:
    """Train in a process of its own."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            augment = (PadCrop(pad=1), Flip(), Mixup(alpha=0.3))
            recipe = Recipe(augment=augment, optimizer=OPTIMISERS[optimiser], epochs=2, batch=10, ema=0.9)
            work = job(recipe, image=(3, 8, 8), arguments={"classes": 2})
            asked = {"data": "folder", "data_dir": data, "precision": precision, "workers": workers, **options}
            code, text = go(out, work, **asked)
            (out / "said").write_text(text)
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        sys.exit(f"{out} ended with {status}: {(out / 'said').read_text()}")


def resumed(whole: Path, step: int, data: Path, precision: str, optimiser: str, workers: int) -> str:
    """The digest of the run that goes on after a step."""
    out = whole.with_name("resumed")
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(whole, out, ignore=lambda place, names: [n for n in names if n.startswith("step-")])
    place = checkpoint.directory(whole, step)
    shutil.copytree(place, out / place.name)
    train(out, data, precision, optimiser, workers, resume=True)
    if f"going on after step {step}" not in (out / "said").read_text():
        sys.exit(f"step {step} was not gone on from")
    return digest(out)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    request = json.load(sys.stdin)
    data = folder / "pictures"
    pictures(data)
    report = {"exact": 0, "different": [], "forgetful": 0}
    digests: dict[tuple[str, str], set[str]] = {}
    for setting in request["settings"]:
        whole = folder / "-".join(map(str, setting))
        train(whole, data, *setting, save_steps=1, keep=1000)
        digests.setdefault(tuple(setting[:2]), set()).add(digest(whole))
        every_step(whole, data, setting, request["steps"], report)
    for setting in request.get("alike", ()):
        train(folder / "alike" / "-".join(map(str, setting)), data, *setting)
        digests.setdefault(tuple(setting[:2]), set()).add(digest(folder / "alike" / "-".join(map(str, setting))))
    print(json.dumps({**report, "digests": max(map(len, digests.values()))}))


def every_step(whole: Path, data: Path, setting: list[Any], steps: list[int], report: dict[str, Any]) -> None:
    """Resume after each of the steps, and once without the random states."""
    precision, optimiser, workers = setting
    other = (workers + 1) % 3
    for step in steps:
        found = resumed(whole, step, data, precision, optimiser, other)
        report["exact"] += found == digest(whole)
        report["different"] += [] if found == digest(whole) else [[*setting, step]]
    with patch.object(saving, "_restore_chance", lambda rank, saved: None):
        report["forgetful"] += resumed(whole, steps[0], data, precision, optimiser, other) == digest(whole)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Trains on disks that fill up after the first save. Needs root, and mounts of its own: `unshare -m`.

    python full_disk.py FOLDER CASES SEED

In half of the cases the disk stays full, in the others room is made after one or two saves that failed. Prints one line
of JSON: cases, and what was wrong in any. The control is a loop that saves in place with torch.
"""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1] / "train"))

import torch
from harness import RECIPE, digest, few, go, job

from archdsl.train import checkpoint, run
from archdsl.train.loop import Trainer

SAVES = 6
WORK = job(RECIPE.model_copy(update={"epochs": SAVES}))


def size(place: Path) -> int:
    return sum(path.stat().st_size for path in place.iterdir())


def fill(place: Path, room: int) -> None:
    """Leave so many bytes on the disk."""
    with (place / "filler").open("wb") as file:
        status = os.statvfs(place)
        file.write(bytes(max(0, status.f_bavail * status.f_frsize - room)))


def one(place: Path, chance: random.Random, expected: str) -> list[str]:
    """What is wrong with how a run went whose disk was full from its second save on."""
    room, until = chance.uniform(0.05, 0.9), chance.choice((1, 2, 99))
    save, failed = Trainer._save, [0]

    def on_a_full_disk(self: Trainer, must: bool = False) -> None:
        if self.progress.epoch == 2 and not failed[0]:
            fill(place, int(room * size(checkpoint.directory(place, 7))))
        save(self, must)
        failed[0] = self.failed_saves
        if self.failed_saves == until:
            (place / "filler").unlink(missing_ok=True)

    Trainer._save = on_a_full_disk  # type: ignore[method-assign]
    try:
        code, text = go(place, WORK)
    finally:
        Trainer._save = save  # type: ignore[method-assign]
    return [f"room {room:.2f}, until {until}: {what}" for what in wrong(place, code, text, until, expected)]


def wrong(place: Path, code: int, text: str, until: int, expected: str) -> list[str]:
    found: list[str] = []
    if text.count("not saved: ") != min(until, 2) or "\nnot saved: cannot write" not in text:
        found.append(f"it was not said for each save: {text}")
    if left := [p.name for p in place.rglob("*") if p.name.endswith((".new", ".old", ".tmp"))]:
        found.append(f"{left} is left")
    if until <= 2:
        return found if code == 0 and digest(place) == expected else [*found, f"exit code {code}, or other bits"]
    whole = checkpoint.newest(place, found.append)
    if whole is None or whole.step != 7:
        found.append(f"the old checkpoint is lost: {whole}")
    if code != 3 or "the newest checkpoint is that of step 7" not in text:
        found.append(f"exit code {code}: {text}")
    return found


def control(place: Path) -> list[str]:
    """The same disk, and torch.save in place."""
    torch.save({"w": torch.zeros(50_000)}, place / "model.pt")
    fill(place, 0)
    with suppress(RuntimeError, OSError):
        torch.save({"w": torch.zeros(100_000)}, place / "model.pt")
    try:
        torch.load(place / "model.pt")
    except (RuntimeError, OSError, EOFError) as error:
        return [f"the old checkpoint is lost: {type(error).__name__}"]
    return []


def early(place: Path) -> str:
    """What a run says that finds a full disk: before it looks at its data."""
    fill(place, 0)
    run.load = None  # type: ignore[assignment]
    code, text = go(place, WORK)
    return f"{code}: {text}"


def mounted(place: Path, bytes_: int) -> None:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={bytes_}", "none", str(place)], check=True)


def main(folder: Path, cases: int, seed: int) -> None:
    torch.set_num_threads(1)
    run.load = few
    chance = random.Random(seed)
    assert go(folder / "whole", WORK)[0] == 0
    expected = digest(folder / "whole")
    report: dict[str, Any] = {"cases": cases, "wrong": [], "control": []}
    for number in range(cases):
        mounted(folder / str(number), 4 << 20)
        report["wrong"] += one(folder / str(number), chance, expected)
    mounted(folder / "control", 1 << 20)
    report["control"] = control(folder / "control")
    mounted(folder / "early", 1 << 20)
    report["early"] = early(folder / "early")
    print(json.dumps(report))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    except subprocess.CalledProcessError:
        sys.exit(errno.EPERM)

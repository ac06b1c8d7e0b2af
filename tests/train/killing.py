"""Kills training runs with SIGKILL at random moments until they finish, and compares what they leave behind.

    python killing.py FOLDER KILLS [SEED [FORGETFUL]]

Every other run dwells before and after each rename and removal of a checkpoint, so that many kills fall there.

A fork server: this process imports torch and never trains; each child inherits the imports and runs one training
(0.3 s instead of 3). Prints one line of JSON. A run that is forgetful goes on with other random numbers: most training does.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
import torch._dynamo  # optimisers load it at their first step, which would be most of a child's life
from harness import digest, few, go, job

from archdsl.train import checkpoint, run, saving

DWELL = 0.005  # seconds


def child(out: Path, resume: bool, slow: bool) -> int:
    """Fork; the child trains and leaves with its exit code."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        if slow:
            for name in ("move", "_remove"):
                setattr(checkpoint, name, slowed(getattr(checkpoint, name)))
        code = go(out, job(), resume=resume, save_steps=3)[0]
    finally:
        os._exit(code)


def slowed(call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call on a slow disk."""

    def later(*arguments: Any, **options: Any) -> Any:
        time.sleep(DWELL)
        try:
            return call(*arguments, **options)
        finally:
            time.sleep(DWELL)

    return later


def finish(pid: int, after: float | None) -> bool:
    """Wait for the child, or kill it `after` so many seconds; whether it was killed."""
    if after is not None:
        time.sleep(after)
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        return True
    if os.WEXITSTATUS(status):
        sys.exit(f"a child ended with {os.WEXITSTATUS(status)}")
    return False


def readable(out: Path) -> bool:
    """Whether every checkpoint that has a manifest loads."""
    try:
        for place in checkpoint.finished(out):
            checkpoint.load(place)
    except checkpoint.Damaged as damage:
        print(damage, file=sys.stderr)
        return False
    return True


def main(folder: Path, kills: int, seed: int = 0, forgetful: int = 0) -> None:
    if forgetful:
        saving._restore_chance = lambda rank, saved: None
    torch.set_num_threads(1)
    run.load = few
    chance = random.Random(seed)
    lengths = [whole(folder / "whole", False), whole(folder / "whole-slowly", True)]
    report = {"kills": 0, "chains": 0, "exact": 0, "different": 0, "unreadable": 0, "seed": seed}
    expected = digest(folder / "whole")
    while report["kills"] < kills:
        slow = report["chains"] % 2
        chain(folder / f"chain-{report['chains']}", lengths, bool(slow), chance, report, expected)
    print(json.dumps(report))


def whole(out: Path, slow: bool) -> float:
    """A run that nobody disturbs; how many seconds it takes."""
    began = time.monotonic()
    finish(child(out, False, slow), None)
    return time.monotonic() - began


def chain(
    out: Path, lengths: list[float], slow: bool, chance: random.Random, report: dict[str, int], expected: str
) -> None:
    """One run, killed again and again until it gets through."""
    first = True
    while finish(child(out, not first, slow), chance.uniform(0, 1.1 * lengths[slow])):
        report["kills"] += 1
        report["unreadable"] += not readable(out)
        first = not (out / "model.py").exists()
    report["chains"] += 1
    report["exact" if digest(out) == expected else "different"] += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))

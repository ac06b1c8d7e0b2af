"""The system calls of work that writes files, and a strike at each: what R19 and R20 have in common."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from archdsl.train import checkpoint

WRITERS = ("compile", "picture", "fetched", "saved", "saved again", "begun")
NAIVE = ("plain", "torch")
READING = {"read", "close", "flock", "fstatfs", "statfs", "getdents64", "newfstatat", "fstat", "stat", "lstat"}
Files = dict[str, bytes]


@dataclass(frozen=True)
class Point:
    """One call: the `number`-th of its name, on a file of the folder."""

    call: str
    number: int
    line: str

    @property
    def changes(self) -> bool:
        """Whether it may change what is on the disk; to die at another is to die at the next one that does."""
        return self.call not in READING and not (self.call == "openat" and "O_CREAT" not in self.line)

    def __str__(self) -> str:
        return f"{self.call} #{self.number}: {self.line}"


class Server:
    """Does work, and strikes at it; see `struck.py`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, str(Path(__file__).with_name("struck.py")), str(folder / "warm")]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, **request: str | bool) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


@dataclass(frozen=True, eq=False)
class Work:
    """One kind of work, in a folder that holds what it wrote the time before."""

    server: Server
    name: str

    @property
    def place(self) -> Path:
        return self.server.folder / self.name.replace(" ", "-") / "out"

    def begin(self) -> None:
        """Put the folder where the work finds it."""
        shutil.rmtree(self.place.parent, ignore_errors=True)
        if self._before.exists():
            shutil.copytree(self._before, self.place.parent)
            return
        self.place.mkdir(parents=True)
        assert self.do(new=False)["status"] == 0
        shutil.copytree(self.place.parent, self._before)

    @property
    def _before(self) -> Path:
        return self.server.folder / "before" / self.name

    def do(self, new: bool = True) -> dict[str, Any]:
        """Undisturbed."""
        return self.server.ask(work=self.name, place=str(self.place), new=new)

    def struck(self, inject: str = "") -> dict[str, Any]:
        """Watched by strace, and struck as `inject` says."""
        return self.server.ask(work=self.name, place=str(self.place), inject=inject)

    @cached_property
    def clean(self) -> tuple[Files, Files, list[Point]]:
        """The files before and after, and the calls between."""
        self.begin()
        before = self.files()
        done = self.struck()
        if not done["held"]:
            pytest.skip("strace cannot take hold of a process here: no crash at a system call was tried")
        assert done["status"] == 0, done
        return before, self.files(), self._points(done["log"])

    def _points(self, log: str) -> list[Point]:
        seen: Counter[str] = Counter()
        found: list[Point] = []
        for line in log.splitlines():
            if call := re.match(r"(\w+)\(", line):
                seen[call[1]] += 1
                if str(self.place) in line:
                    found.append(Point(call[1], seen[call[1]], line))
        return found

    def files(self) -> Files:
        """What is in the folder, by name, but for what a dead writer may leave, which the next one removes."""
        names = (path.relative_to(self.place) for path in sorted(self.place.rglob("*")) if path.is_file())
        return {
            str(n): (self.place / n).read_bytes() for n in names if not re.search(r"\.archdsl-|\.part$|\.new/", str(n))
        }

    def arrived(self) -> bool:
        """Whether all is as the undisturbed work leaves it."""
        if self.name.startswith("saved"):
            found = checkpoint.newest(self.place, lambda _: None)
            return found is not None and found.state["new"]
        return self.files() == self.clean[1]

    def left(self) -> list[str]:
        """What only a dead writer leaves."""
        return [p.name for p in self.place.rglob("*") if re.search(r"\.archdsl-|\.new$", p.name)]

    def torn(self) -> str:
        """Which file is neither as before nor as after; empty where all are whole."""
        before, after, _ = self.clean
        now = self.files()
        if self.name.startswith("saved"):
            return self._torn_checkpoint()
        for name, data in now.items():
            if data not in (before.get(name), after.get(name)):
                return f"{name} is neither the old nor the new one"
        gone = before.keys() & after.keys() - now.keys()
        return f"{gone} are gone" if gone else ""

    def _torn_checkpoint(self) -> str:
        """The newest checkpoint is the old or the new one, and nothing that claims to be one is damaged."""
        notes: list[str] = []
        try:
            found = checkpoint.newest(self.place, notes.append)
        except checkpoint.Damaged as damage:
            return str(damage)
        if found is None:
            return "no checkpoint is left"
        alike = {*found.weights["w"].tolist(), *found.training["m"].tolist()} == {float(found.state["new"])}
        return "; ".join(notes) or ("" if alike else "a mixture of two checkpoints")

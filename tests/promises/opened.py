"""Opens archives and pictures, and measures how long it takes and how much memory it holds.

    python opened.py

A fork server: one request a line as JSON, one answer a line. The file lies on the disk already, and each is opened by a child
that has done nothing else. Memory is the largest resident size since the child began, as the kernel says it, over that of then;
time is that of the clock on the wall.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from archdsl.train.data.archive import unpack
from archdsl.train.data.pictures import Frame
from archdsl.train.trouble import DataTrouble

WANTED = {"few/train": "few/train", "few/test": "few/test"}


def hold(path: Path) -> None:
    """The control: what a reader does that unpacks whatever it is given."""
    data = bytearray(path.stat().st_size)
    data[::4096] = b"\1" * len(data[::4096])
    raise DataTrouble(f"{path} took {len(data)} bytes")


def wait(path: Path) -> None:
    """The control: a reader that waits, and takes no time of the processor."""
    time.sleep(3)
    raise DataTrouble(f"{path} was waited for")


ACTS: dict[str, Callable[[Path], object]] = {
    "unpack": lambda path: unpack(path, path.parent / "data", WANTED),
    "picture": lambda path: Frame(3, 8, 8).read(path),
    "hold": hold,
    "wait": wait,
}


def resident(name: str) -> int:
    """`VmRSS`, what is held now, or `VmHWM`, the most that was, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def measured(act: str, path: Path) -> dict[str, Any]:
    """What `act` says of the file, None where it takes it."""
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from now
    began, said = time.monotonic(), None
    try:
        ACTS[act](path)
    except DataTrouble as trouble:
        said = str(trouble)
    return {"said": said, "seconds": time.monotonic() - began, "megabytes": (resident("VmHWM") - before) >> 20}


def answer(request: dict[str, str]) -> dict[str, Any]:
    """Of a child, in which anything but a `DataTrouble` is said as it is."""
    reads, writes = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            found = measured(request["act"], Path(request["path"]))
        except BaseException as error:
            found = {"said": f"{type(error).__name__}: {error}", "seconds": 1e9, "megabytes": 1e9}
        os.write(writes, json.dumps(found).encode())
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return json.loads(said)


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)

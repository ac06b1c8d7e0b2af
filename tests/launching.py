"""Asks `train/ranks.py`, a fork server, for runs of one or several processes, with faults and signals."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Launch = Callable[..., dict[str, Any]]
TRAIN = Path(__file__).with_name("train")


@pytest.fixture(scope="module")
def launch() -> Iterator[Launch]:
    """Trains on several ranks; what may be asked for stands in `ranks.py`."""
    script = TRAIN / "ranks.py"
    server = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None
    assert server.stdout is not None

    def ask(out: Path, size: int, job: str = "plain", **request: Any) -> dict[str, Any]:
        options = {"out": str(out), "report": False, **request.pop("options", {})}
        print(json.dumps({"size": size, "job": job, "options": options, **request}), file=server.stdin, flush=True)
        return json.loads(server.stdout.readline())

    yield ask
    server.stdin.close()
    server.wait()
    server.stdout.close()

"""The proofs of training use what the tests of training have; two promises share the server that strikes at writers."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from promises.strikes import Server

sys.path.insert(0, str(Path(__file__).parents[1] / "train"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Does work that is struck at a system call: see `strikes.py`."""
    from promises.strikes import Server

    if not shutil.which("strace"):
        pytest.skip("there is no strace here: nothing was struck at a system call")
    found = Server(tmp_path_factory.mktemp("struck"))
    yield found
    found.close()

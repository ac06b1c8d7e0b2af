"""What all tests share: `--update` writes the expected parts of golden cases again; `soak` tells what proofs did."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from casefiles import may_update

pytest_plugins = ["soak"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write the expected parts of golden cases again")


@pytest.fixture(scope="session")
def update(request: pytest.FixtureRequest) -> bool:
    """Whether expected parts are written instead of compared. Never in CI: what nobody has read proves nothing."""
    wanted = bool(request.config.getoption("--update"))
    if wanted and not may_update(os.environ):
        pytest.fail("--update is for people who read the difference; CI is set")
    return wanted


@pytest.fixture
def one_thread() -> Iterator[None]:
    """torch on one thread: small networks are faster so, and sums come out in one order."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)

"""R02: any input of at most 64 KiB is answered in less than 1 CPU second and 300 MB, of at most 256 KiB in less than 3.

Named bombs, made to go deep, long or large (promised: 40). An answer is the findings as text. Texts that elaborate to
thousands of distinct layers reach the bounds on layers and steps first: those (`HEAVY`) get 3 seconds; everything that a
command can do with a text, the module of thousands of lines included, gets 10.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from promises.bombs import BOMBS
from promises.feed import feed

pytestmark = pytest.mark.promised("R02", of="tests of bombs")

MEGABYTES = 300
HEAVY = {"many variants", "fold of tensors", "repeat of different", "repeat of shrinking", "many statements"}
HEAVY |= {"one long arrow", "sum of many", "sum of different", "statistics of many shapes", "many networks"}
ROOT = Path(__file__).parents[2]
GROUPS = 4
_RUN = """
import json, os, resource, sys
from promises import pace
from promises.bombs import BOMBS
from promises.feed import feed
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
feed("network N() {\\n input x: [3, 4, 4]\\n output = x -> relu\\n}\\n")
for name in sys.argv[1:]:
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        fed = feed(BOMBS[name]())
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps([name, fed.seconds, fed.every, most, pace.slowness()]), flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{name} ended its process")
"""


@pytest.mark.parametrize("group", range(GROUPS))
def test_bombs_are_answered_in_time(group: int) -> None:
    wrong: list[str] = []
    for name, seconds, every, most, slow in _measured(list(BOMBS)[group::GROUPS]):
        size = len(BOMBS[name]().encode("utf-8", "surrogatepass"))
        allowed = slow * (1 if size <= 65536 and name not in HEAVY else 3)
        if seconds > allowed or every > 10 * slow or most > MEGABYTES:
            wrong.append(f"{name}: {seconds:.2f} s, {every:.2f} s with the module, {most} MB, machine x{slow:.1f}")
    assert not wrong, "\n".join(wrong)


def _measured(names: list[str]) -> list[tuple[str, float, float, int, float]]:
    """Each bomb in a process of its own, so that its memory is its own."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", _RUN, *names],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = [tuple(json.loads(line)) for line in done.stdout.splitlines()]
    assert [one[0] for one in found] == names
    return found


def test_there_are_forty_bombs() -> None:
    assert len(BOMBS) >= 40
    assert set(BOMBS) >= HEAVY


def test_a_slow_compiler_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: with twice the bound on steps, a text that runs into it takes longer."""
    from archdsl.elaborate import frame
    from archdsl.limits import STEPS, Limit

    text = BOMBS["doubling function"]()
    before = min(feed(text).seconds for _ in range(2))
    monkeypatch.setattr(frame, "STEPS", Limit("steps", 3 * STEPS.value, "steps", ""))
    assert feed(text).seconds > 1.6 * before

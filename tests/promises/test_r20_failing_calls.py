"""R20: a call that fails gives exit code 3 and one line with path and cause; the old file is intact, nothing is left over.

Every system call on a file of the folder is refused, by strace, with each of seven errors: in every run of the tests the
calls that change something, in SOAK all calls. And the real thing: a full file system, a read-only one, a limit on the size
of files, a user who may not write.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import pytest
from soak import Tally, share

from promises.strikes import WRITERS, Point, Server, Work

ERRORS = {
    "ENOSPC": "No space left on device",
    "EIO": "Input/output error",
    "EDQUOT": "Disk quota exceeded",
    "EROFS": "Read-only file system",
    "EMFILE": "Too many open files",
    "EACCES": "Permission denied",
    "EINTR": "Interrupted system call",
}
REFUSE = "{0.call}:error={1}:when={0.number}"


def violations(work: Work, cases: Iterable[tuple[Point, str]], tally: Tally) -> list[str]:
    found: list[str] = []
    for point, error in cases:
        work.begin()
        with tally.case():
            done = work.struck(REFUSE.format(point, error))
        assert "(INJECTED)" in done["log"], f"{point} was not reached"
        if what := _violation(work, error, done["status"], done["said"]):
            found.append(f"{error} at {point}: {what}")
    return found


def _violation(work: Work, error: str, status: int, said: str) -> str:
    """What is wrong with how the work ended; empty where nothing is.

    It may also get over the error: by trying again (EINTR), or where what failed was not needed (no lock, no clean-up).
    """
    if torn := work.torn():
        return torn
    if left := work.left():
        return f"{left} is left"
    if status == 0:
        return "" if work.arrived() else "all seems well, but the new files are not there"
    if status != 3:
        return f"exit code {status}: {said}"
    lines = said.splitlines()
    if len(lines) != 1 or str(work.place) not in said or ERRORS[error] not in said:
        return f"it is said as {said!r}"
    return ""


@pytest.mark.parametrize("name", WRITERS)
def test_a_refused_call_that_writes_is_said_in_one_line_and_costs_nothing_old(server: Server, name: str):
    work = Work(server, name)
    points = [point for point in work.clean[2] if point.changes]
    assert violations(work, product(points, ERRORS), Tally()) == []


@pytest.mark.prove
@pytest.mark.promised("R20", of="refused system calls")
@pytest.mark.parametrize("name", WRITERS)
def test_any_call_refused_in_any_way_is_said_and_costs_nothing_old(server: Server, name: str, soak: Tally):
    work = Work(server, name)
    assert violations(work, share(list(product(work.clean[2], ERRORS))), soak) == []


def test_a_plain_write_loses_the_old_file(server: Server):
    """The negative control."""
    work = Work(server, "plain")
    assert violations(work, [(point, "ENOSPC") for point in work.clean[2] if point.changes], Tally())


# ---- the real thing ----------------------------------------------------------------------------------------------

SPEC = """network Net(width = 10) {
    input image: [3, 32, 32]
    output: [10] = image -> conv(width, 3) -> relu -> flatten -> linear(10)
}
"""
PLACES = {
    "full": ("mount -t tmpfs -o size=4m none out; cat /dev/zero > out/filler", "no space left"),
    "read-only": ("mount -t tmpfs none out; touch out/filler; mount -o remount,ro out", "Read-only file system"),
    "limited": ("touch out/filler; ulimit -f 0", "File too large"),
    "forbidden": ("touch out/filler; chmod 555 out", "Permission denied"),
}
NOBODY = ("setpriv", "--reuid", "65534", "--clear-groups")


def private(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run it with mounts of its own, that go with it."""
    return subprocess.run(["unshare", "-m", *command], capture_output=True, text=True, check=False, cwd=cwd)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    if os.geteuid() or private("true", cwd=tmp_path).returncode:
        pytest.skip("only root can make a full or a read-only file system: none was tried")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)  # so that another user comes this far
    (tmp_path / "out").mkdir()
    (tmp_path / "net.arch").write_text(SPEC)
    return tmp_path


@pytest.mark.parametrize("name", PLACES)
def test_a_place_that_takes_nothing_is_said_and_nothing_is_left(place: Path, name: str):
    prepare, cause = PLACES[name]
    words = [sys.executable, "-c", "from archdsl.cli import main; main()", "compile", "net.arch", "-o", "out"]
    command = shlex.join([*(NOBODY if name == "forbidden" else ()), *words])
    done = private("bash", "-c", f"{prepare}\n{command} 2>&1; echo exit $?; ls -A out", cwd=place)
    said, *rest = done.stdout.splitlines()
    assert said.startswith("archdsl: cannot write out/net.py: "), done
    assert cause in said
    assert rest == ["exit 3", "filler"]


def test_training_asks_for_its_folder_before_anything_else(monkeypatch: pytest.MonkeyPatch):
    from harness import go, job

    from archdsl.train import run

    monkeypatch.setattr(run, "load", lambda *_: pytest.fail("data were read first"))
    code, text = go(Path("/proc/archdsl"), job())
    assert (code, text) == (3, "error: cannot make directory /proc/archdsl: No such file or directory\n")

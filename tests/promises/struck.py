"""Does work that writes files in a process that is struck at one of its system calls: killed there, or refused the call.

    python struck.py        requests as lines of JSON on standard input, answers as lines on standard output

A fork server: it has imported everything, so that a child calls the system for its work and nothing else. The child waits
until strace has taken hold of it; strace counts its calls and strikes at the one that was asked for.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "train"))

import torch
from harness import config, few, go, job

from archdsl import cli
from archdsl.fsio import FileTrouble, growing, write_atomic
from archdsl.train import checkpoint, folder, run
from archdsl.train.checkpoint import Checkpoint, Damaged

CALLS = (
    "openat,read,write,fsync,rename,renameat,renameat2,close,flock,mkdir,mkdirat,unlink,unlinkat,rmdir,ftruncate,"
    "fstatfs,statfs,getdents64,newfstatat,fstat,stat,lstat,pwrite64"
)
SPEC = """network Net(width = {width}) {{
    input image: [3, 32, 32]
    output: [10] = image -> conv(width, 3) -> relu -> flatten -> linear(10)
}}
"""


def compile_(place: Path, new: bool) -> int:
    """The command, for a file that was changed."""
    source = place.parent / "net.arch"
    source.write_text(SPEC.format(width=20 if new else 10))
    return _command("compile", str(source), "-o", str(place))


def picture(place: Path, new: bool) -> int:
    """One file that was there: what `plot` and the report of an internal error do."""
    write_atomic(place / "runs.png", (b"new" if new else b"old") * 100_000)
    return 0


def fetched(place: Path, new: bool) -> int:
    """The end of a download."""
    with growing(place / "set.part", 10_000) as part:
        part.restart()
        part.append((b"new" if new else b"old") * 3000)
        part.finish("set")
    return 0


def saved(place: Path, new: bool) -> int:
    """The next checkpoint of a run."""
    checkpoint.save(place, taken(2 if new else 1, new))
    checkpoint.prune(place, 2, best=None)
    return 0


def saved_again(place: Path, new: bool) -> int:
    """A checkpoint of a step that has one."""
    checkpoint.save(place, taken(1, new))
    checkpoint.prune(place, 2, best=None)
    return 0


def begun(place: Path, new: bool) -> int:
    """The files of a run folder."""
    work = job()
    folder.open_(place, work, work.recipe, config(place, epochs=2 if new else 1))
    folder.write_metrics(place, [])
    return 0


def plain(place: Path, new: bool) -> int:
    """The negative control: as most programs write."""
    (place / "file").write_bytes((b"new" if new else b"old") * 100_000)
    return 0


def torch_saved(place: Path, new: bool) -> int:
    """The negative control: as most training writes."""
    torch.save({"w": torch.full((1000,), float(new))}, place / "model.pt")
    return 0


WORK: dict[str, Callable[[Path, bool], int]] = {
    "compile": compile_,
    "picture": picture,
    "fetched": fetched,
    "saved": saved,
    "saved again": saved_again,
    "begun": begun,
    "plain": plain,
    "torch": torch_saved,
}


def taken(step: int, new: bool) -> Checkpoint:
    weights = {"w": torch.full((50,), float(new))}
    return Checkpoint(step, weights, {"m": torch.full((20,), float(new))}, {"new": new})


def _command(*words: str) -> int:
    sys.argv = ["archdsl", *words]
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def answer(request: dict[str, Any]) -> dict[str, object]:
    """Do `work` in `place`, watched by strace and struck as `inject` says, unless it is empty."""
    place = Path(request["place"])
    pid = os.fork()
    if pid == 0:
        signal.sigwait([signal.SIGUSR1])
        os._exit(_done(request["work"], place, place.parent / "said"))
    tracer = _tracer(pid, place.parent / "trace", request["inject"])
    assert tracer.stderr is not None
    told = tracer.stderr.readline()
    os.kill(pid, signal.SIGUSR1)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    tracer.communicate()
    log = (place.parent / "trace").read_text(errors="replace")
    return {"status": status, "said": (place.parent / "said").read_text(), "log": log, "held": "attached" in told}


def _tracer(pid: int, log: Path, inject: str) -> subprocess.Popen[str]:
    command = ["strace", "-p", str(pid), "-y", "-s", "8", "-o", str(log), "-e", f"trace={CALLS}"]
    command += ["-e", f"inject={inject}"] if inject else []
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def _done(work: str, place: Path, said: Path, new: bool = True) -> int:
    """The exit code, as the command's own front door would give it; 70 for what would have been a traceback."""
    with said.open("w", buffering=1) as out, redirect_stdout(out), redirect_stderr(out):
        try:
            return WORK[work](place, new)
        except (FileTrouble, Damaged) as trouble:
            print(trouble)
            return 3
        except BaseException as error:
            print(f"{type(error).__name__}: {error}")
            return 70


def main() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])  # children wait for it
    torch.set_num_threads(1)
    run.load = few
    warm = Path(sys.argv[1])
    for number, work in enumerate(WORK):
        place = warm / str(number) / "out"
        place.mkdir(parents=True)
        _done(work, place, place.parent / "said")
    assert go(warm / "run", job(), dry_run=True)[0] == 0
    for line in sys.stdin:
        request = json.loads(line)
        if "inject" in request:
            print(json.dumps(answer(request)), flush=True)
        else:
            place = Path(request["place"])
            status = _done(request["work"], place, place.parent / "said", request["new"])
            print(json.dumps({"status": status, "said": (place.parent / "said").read_text()}), flush=True)


if __name__ == "__main__":
    main()

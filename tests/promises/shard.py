"""A share of a long run, in a process of its own: bounded memory, a watch for hangs, one JSON line at the end.

`python -m promises.shard SEED COUNT MARK` feeds COUNT inputs. Input i comes from `Random("SEED/i")`, so that any of them
can be made again; MARK is a file that holds the number of the input in work, for a process that dies.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import resource
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

_MEMORY = 1 << 30  # address space of a shard, bytes
_HANG = 30  # seconds of wall time for one input, on a machine that others use too
SLOW = 1.0  # CPU seconds for a text of up to 64 KiB


@dataclass(frozen=True)
class Report:
    """What became of a shard."""

    count: int
    failures: list[str]
    p99: float
    worst: float
    worst_input: int
    valid: int

    def __str__(self) -> str:
        took = f"p99 {1000 * self.p99:.1f} ms, worst {1000 * self.worst:.0f} ms (input {self.worst_input})"
        return f"{self.count} inputs, {self.valid} without errors, {len(self.failures)} failures, {took}"


def made(seed: str, index: int) -> str:
    """Input `index` of a run."""
    from promises.mutator import text

    return text(random.Random(f"{seed}/{index}"))


def run(seed: str, count: int, folder: Path) -> Report:
    """Feed a shard in a new process. A process that dies is a failure, of the input it died on."""
    mark = folder / f"shard-{seed.replace('/', '-')}"
    command = [sys.executable, "-X", "faulthandler", "-m", "promises.shard", seed, str(count), str(mark)]
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), str(root / "tests")])
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, check=False)
    if done.returncode == 0:
        return Report(**json.loads(done.stdout))
    index = int(mark.read_text() or 0) if mark.exists() else 0
    failure = f"input {index} of {seed!r} ended the process ({done.returncode}): {done.stderr[-2000:]}"
    return Report(index, [failure], 0, 0, index, 0)


def work(seed: str, count: int, mark: int) -> Report:
    """Feed the inputs here; every failure with all that is needed to repeat it."""
    from promises.feed import feed

    failures: list[str] = []
    times: list[float] = []
    valid = 0
    for index in range(count):
        os.pwrite(mark, b"%-12d" % index, 0)
        text = made(seed, index)
        faulthandler.dump_traceback_later(_HANG, exit=True)
        began = time.process_time()
        try:
            fed = feed(text)
            valid += not fed.checked.diagnostics.has_errors
            times.append(fed.seconds)
        except BaseException as error:
            times.append(time.process_time() - began)
            failures.append(described(seed, index, text, error))
        if times[-1] > SLOW and len(text.encode("utf-8", "surrogatepass")) <= 65536 and len(failures) < 50:
            failures.append(f"R02: input {index} of {seed!r} took {times[-1]:.2f} CPU s\n{text}")
    faulthandler.cancel_dump_traceback_later()
    worst = max(range(count), key=times.__getitem__)
    return Report(count, failures[:50], sorted(times)[int(0.99 * (count - 1))], times[worst], worst, valid)


def described(seed: str, index: int, text: str, error: BaseException) -> str:
    """A failure: what escaped, where from, and the text."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    where = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
    return f"input {index} of {seed!r}: {type(error).__name__}: {str(error)[:300]} ({where})\n{text}"


def main() -> None:
    """The command described above."""
    seed, count, mark = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    report = work(seed, count, os.open(mark, os.O_RDWR | os.O_CREAT, 0o600))
    print(json.dumps(report.__dict__))


if __name__ == "__main__":
    main()

"""The runs of a sweep as child processes: one at a time on each device, signals passed on to all of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from archdsl.fsio import FileTrouble, Growing, growing
from archdsl.inputs import Misuse
from archdsl.sweep.plan import Plan, Run
from archdsl.train.job import TrainConfig
from archdsl.train.signals import Flag, watched

_LOOK_EVERY = 0.2  # seconds
_STOPPED = 75
_TAIL = 200  # characters of the last line that a run said
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Slot:
    """A place where one run is at a time: options of `archdsl train`, and what its environment has more."""

    name: str = ""
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Ended:
    """How a run's process ended; `said` is its last line."""

    run: Run
    code: int
    said: str

    @property
    def stopped(self) -> bool:
        """Whether it can simply be gone on with."""
        return self.code == _STOPPED


def slots(jobs: int, devices: str | None, options: Sequence[str]) -> list[Slot]:
    """Where the runs go: to GPUs, one each, or `jobs` at once to a CPU whose cores they share evenly."""
    given = [flag for flag in ("--device", "--threads") if flag in options]
    if devices is not None:
        if jobs != 1 or "--device" in given:
            raise Misuse(f"--devices says where runs go: {'--jobs' if jobs != 1 else '--device'} cannot be given too")
        return [_gpu(name) for name in _each(devices)]
    if jobs == 1:
        return [Slot()]
    if given:
        raise Misuse(f"--jobs {jobs} shares the CPU: {given[0]} cannot be given too; several GPUs are --devices")
    return [Slot(f"job {n + 1}", ("--device", "cpu", "--threads", str(max(_cores() // jobs, 1)))) for n in range(jobs)]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _each(devices: str) -> list[str]:
    names = [name.strip() for name in devices.split(",")]
    if not all(re.fullmatch(r"cuda:[0-9]{1,3}", name) for name in names):
        raise Misuse(f"--devices takes a list such as cuda:0,cuda:1, not {devices[:80]!r}; CPUs are shared by --jobs")
    if len(set(names)) < len(names):
        raise Misuse("--devices: each device once, for one run at a time")
    return names


def _gpu(name: str) -> Slot:
    """A GPU by its number among those that this process sees; its run sees that one alone."""
    number, seen = int(name.removeprefix("cuda:")), os.environ.get("CUDA_VISIBLE_DEVICES")
    if seen is None:
        return Slot(name, ("--device", "cuda"), {"CUDA_VISIBLE_DEVICES": str(number)})
    shown = [one for one in seen.split(",") if one]
    if number >= len(shown):
        raise Misuse(f"--devices: there is no {name}; CUDA_VISIBLE_DEVICES={seen} shows {len(shown)}")
    return Slot(name, ("--device", "cuda"), {"CUDA_VISIBLE_DEVICES": shown[number]})


def refuse_missing_gpus(places: Sequence[Slot], config: TrainConfig) -> None:
    """Refuse GPUs that this machine does not have, before any run finds out."""
    wanted = [place.name for place in places if place.name.startswith("cuda:")]
    if not wanted and config.device != "cuda":
        return
    count = _gpus()
    if missing := [name for name in wanted if int(name.removeprefix("cuda:")) >= count]:
        raise Misuse(f"--devices: there is no {missing[0]}; torch sees {count} CUDA devices here")
    if not count:
        raise Misuse("--device cuda: torch sees no CUDA device here")


def _gpus() -> int:
    from archdsl.train import distributed  # torch, two seconds: only where GPUs are asked for

    return distributed.gpus()


def command(plan: Plan, run: Run, out: Path, slot: Slot) -> list[str]:
    """The words of a run's process. It goes on where its folder shows that it was begun."""
    words = [sys.executable, "-m", "archdsl", "train", plan.spec, *plan.options, *slot.options]
    words += ["--variant", run.variant] if run.variant is not None else []
    for change in (*run.changes, f"seed={run.seed}"):
        words += ["--set", change]
    words += ["--out", str(out / run.name)]
    return [*words, "--resume"] if (out / run.name).exists() else words


class Children:
    """The runs under way. Each writes to `NAME.log` beside its folder, and would go on if this process were killed."""

    def __init__(self, plan: Plan, out: Path, places: Sequence[Slot], tell: Tell, flag: Flag) -> None:
        self.plan, self.out, self.tell, self.flag = plan, out, tell, flag
        self.free: SimpleQueue[Slot] = SimpleQueue()
        for place in places:
            self.free.put(place)
        self.alive: list[subprocess.Popen[bytes]] = []
        self.told: set[int] = set()

    def one(self, run: Run) -> Ended | None:
        """Run it where a place is free; None where a signal came before it began."""
        slot = self.free.get()
        try:
            if self.flag:
                return None
            self.tell(f"{run.name}: begun{' on ' * bool(slot.name)}{slot.name}\n")
            ended = self._ended(run, slot)
            self.tell(f"{run.name}: {ended.said}\n")
            return ended
        finally:
            self.free.put(slot)

    def _ended(self, run: Run, slot: Slot) -> Ended:
        try:
            with growing(self.out / f"{run.name}.log", 0) as log:
                code = self._code(command(self.plan, run, self.out, slot), slot, log)
                stopped = bool(self.flag) and code != 0  # also one that the signal found before it could catch any
                return Ended(run, _STOPPED if stopped else code, _last_line(log))
        except FileTrouble as trouble:
            return Ended(run, 3, str(trouble))

    def _code(self, words: Sequence[str], slot: Slot, log: Growing) -> int:
        environment = {**os.environ, **slot.environment}
        child = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=log.fileno(), stderr=subprocess.STDOUT, env=environment
        )
        self.alive.append(child)
        return child.wait()

    def pass_on(self) -> None:
        """Give the signal, once one has come, to each child once."""
        if not self.flag:
            return
        for child in list(self.alive):
            if child.pid not in self.told:
                self.told.add(child.pid)
                child.send_signal(self.flag.number)


def _last_line(log: Growing) -> str:
    last = b""
    for piece in log.pieces():
        last = (last + piece)[-(1 << 16) :]
    lines = [line.strip() for line in last.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][:_TAIL] if lines else "it said nothing"


def all_of(plan: Plan, runs: Sequence[Run], out: Path, places: Sequence[Slot], tell: Tell) -> list[Ended | None]:
    """Run them all; a None for each that a signal kept from beginning."""
    with watched() as flag, ThreadPoolExecutor(max(len(places), 1)) as pool:
        children = Children(plan, out, places, tell, flag)
        futures: list[Future[Ended | None]] = [pool.submit(children.one, run) for run in runs]
        while wait(futures, _LOOK_EVERY).not_done:
            children.pass_on()
    return [future.result() for future in futures]

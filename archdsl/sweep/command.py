"""What `archdsl sweep` does, once its flags are read."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archdsl import commands, training
from archdsl.console import Exit, say, tell
from archdsl.fsio import lock, make_directory, write_atomic
from archdsl.inputs import STDIN, Misuse
from archdsl.sweep import children, plan, slurm, table
from archdsl.sweep.children import Ended, Slot
from archdsl.sweep.plan import Plan, Run
from archdsl.train.job import NO_FILES, Job, TrainConfig
from archdsl.train.trouble import TrainTrouble
from archdsl.visible import visible

Reader = Callable[[Sequence[str]], tuple[Mapping[str, Any], tuple[str, ...]]]
"""Reads words as `archdsl train` does: the values of its flags, and those that were given as words again."""

_INSTEAD = {
    "variant": "--variant: a sweep takes --variants",
    "resume": "--resume: a sweep goes on by itself",
    "sync_batch_norm": "--sync-batch-norm: each run of a sweep is one process, which has nothing to share",
}


@dataclass(frozen=True)
class Asked:
    """The sweep's own flags, as they were given."""

    out: str | None = None
    variants: str | None = None
    seeds: str | None = None
    changes: tuple[str, ...] = ()
    jobs: int = 1
    devices: str | None = None
    slurm: bool = False
    task: int | None = None
    form: str | None = None

    @property
    def plans(self) -> bool:
        """Whether any of them says what is run."""
        return bool(self.out or self.variants or self.seeds or self.changes)


def sweep(words: Sequence[str], read: Reader, asked: Asked) -> int:
    """Plan, write the plan down, run what is not finished, print what was found."""
    _refuse_idle(asked)
    if "TORCHELASTIC_RUN_ID" in os.environ or os.environ.get("WORLD_SIZE", "1") != "1":
        raise Misuse("a sweep starts its runs itself, each as one process: start it once, without torchrun")
    try:
        return _sweep(words, read, asked)
    except TrainTrouble as trouble:
        tell(f"archdsl: {visible(str(trouble))}\n")
        return trouble.exit_code


def _refuse_idle(asked: Asked) -> None:
    """Nothing that was asked for is passed over."""
    if asked.form is not None and asked.form not in table.FORMS:
        raise Misuse(f"--format takes {', '.join(table.FORMS)}, not {asked.form!r}")
    if asked.slurm and asked.task is not None:
        raise Misuse("--slurm writes what then gives each --task: one of them")
    if not asked.slurm and asked.task is None:
        return
    if asked.jobs != 1 or asked.devices is not None:
        raise Misuse("--jobs and --devices are for runs on this machine, not for --slurm or --task")
    if asked.form is not None:
        raise Misuse("--format is for the table, which --slurm and --task do not print; --jobs 0 does")


def _sweep(words: Sequence[str], read: Reader, asked: Asked) -> int:
    flags, options = read(words)
    out, old, new = _planned(flags, options, asked)
    flags, options = read([*new.options, new.spec])
    places = children.slots(max(asked.jobs, 1), asked.devices, options)
    config = _config(flags)
    if asked.jobs and not asked.slurm:
        children.refuse_missing_gpus(places, config)
    runs, code = _digested(new, flags)
    if code:
        return code
    if old is None:
        plan.refuse_twins(runs)
    new = new.model_copy(update={"runs": runs})
    if old is None and (strange := [run.name for run in runs if (out / run.name).exists()]):
        raise Misuse(f"{out} holds {strange[0]}, which is of no sweep: choose another --out")
    if old is not None and (found := list(plan.differences(old, new))):
        raise Misuse(f"{out} holds another sweep: {'; '.join(found)}. Choose another --out")
    return _done(out, new, asked, places)


def _planned(flags: Mapping[str, Any], options: tuple[str, ...], asked: Asked) -> tuple[Path, Plan | None, Plan]:
    """The folder, the plan that it holds, and the one that is asked for."""
    path = str(flags["path"])
    if Path(path).is_dir():
        if options or asked.plans:
            raise Misuse(f"{path} has a plan of its own: give the folder alone, or a file and --out {path}")
        old = plan.read(Path(path))
        if old is None:
            raise Misuse(f"{path} holds no sweep: {plan.FILE} is missing")
        return Path(path), old, old
    return _first(path, flags, options, asked)


def _first(
    path: str, flags: Mapping[str, Any], options: tuple[str, ...], asked: Asked
) -> tuple[Path, Plan | None, Plan]:
    if path == STDIN:
        raise Misuse("a sweep reads its file once for each run: it cannot be standard input")
    if asked.out is None:
        raise Misuse("a sweep needs a folder: --out DIR")
    if asked.task is not None:
        raise Misuse("--task is for a sweep that is planned: give its folder in place of a file")
    for name, instead in _INSTEAD.items():
        if flags.get(name):
            raise Misuse(instead)
    out = Path(asked.out)
    runs = plan.crossed(Path(path).stem, asked.variants, asked.changes, asked.seeds or "1")
    return out, plan.read(out), Plan(spec=path, options=options, runs=runs)


def _config(flags: Mapping[str, Any]) -> TrainConfig:
    """The options that all runs share, checked."""
    ignored = ("path", "parameter", "network", "variant", "recipe", "change")
    config = training.config({name: value for name, value in flags.items() if name not in ignored})
    if config.data not in NO_FILES and config.data_dir is None:
        raise Misuse(f"--data {config.data} is not part of archdsl: say where it is with --data-dir")
    return config


def _digested(wanted: Plan, flags: Mapping[str, Any]) -> tuple[tuple[Run, ...], int]:
    """The runs with their digests: every network is built and every recipe checked before the first of them runs."""
    digests: dict[tuple[str | None, tuple[str, ...]], str] = {}
    for variant in dict.fromkeys(run.variant for run in wanted.runs):
        request = commands.request(flags["parameter"], flags["network"], variant)
        points = list(dict.fromkeys(run.changes for run in wanted.runs if run.variant == variant))
        jobs, code = commands.jobs(wanted.spec, request, flags["recipe"], points)
        if code:
            return (), code
        digests |= {(variant, point): _digest(job) for point, job in zip(points, jobs, strict=True)}
    return tuple(run.model_copy(update={"digest": digests[run.variant, run.changes]}) for run in wanted.runs), 0


def _digest(job: Job) -> str:
    parts: list[str] = []
    for one in (job, job.teacher):
        parts += [one.module, one.network, one.recipe.model_dump_json()] if one is not None else []
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _done(out: Path, wanted: Plan, asked: Asked, places: Sequence[Slot]) -> int:
    make_directory(out)
    if asked.task is not None:
        return _task(out, wanted, asked.task)
    with lock(out / "sweep.lock"):
        plan.write(out, wanted)
        tell(str(wanted))
        return _array(out, wanted) if asked.slurm else _all(out, wanted, asked, places)


def _array(out: Path, wanted: Plan) -> int:
    path = out / slurm.FILE
    write_atomic(path, slurm.script(wanted, out).encode())
    count = len(wanted.runs)
    say(f"{path}: a job array of {count}, for sbatch; afterwards {_again(out, ' --jobs 0')} prints the table\n")
    if count > slurm.USUAL:
        tell(f"Slurm takes {slurm.USUAL:,} tasks of an array unless its MaxArraySize is larger: scontrol show config\n")
    return Exit.CLEAN


def _again(out: Path, more: str = "") -> str:
    return f"`archdsl sweep {shlex.quote(str(out))}{more}`"


def _all(out: Path, wanted: Plan, asked: Asked, places: Sequence[Slot]) -> int:
    rest = [run for run in wanted.runs if table.finished(out, run) is None]
    if len(rest) < len(wanted.runs):
        tell(f"{len(wanted.runs) - len(rest)} of {len(wanted.runs)} are finished\n")
    ended = children.all_of(wanted, rest if asked.jobs else [], out, places, tell)
    say(table.FORMS[asked.form or "text"](table.entries(wanted, out)))
    return _told(out, ended)


def _told(out: Path, ended: Sequence[Ended | None]) -> int:
    """Say which runs did not finish, and how; the exit code of the sweep."""
    failed = [one for one in ended if one is not None and one.code and not one.stopped]
    for one in failed:
        tell(f"{one.run.name}: failed with exit code {one.code}: {visible(one.said)} ({out / one.run.name}.log)\n")
    stopped = sum(one is None or one.stopped for one in ended)
    if stopped:
        tell(f"stopped, {stopped} of them to do: {_again(out)} goes on\n")
        return Exit.STOPPED
    return Exit.FINDINGS if failed else Exit.CLEAN


def _task(out: Path, wanted: Plan, number: int) -> int:
    """One run of the plan, for a job array; its own exit code."""
    if not 0 <= number < len(wanted.runs):
        raise Misuse(f"--task {number}: the sweep has tasks 0 to {len(wanted.runs) - 1}")
    run = wanted.runs[number]
    if table.finished(out, run) is not None:
        tell(f"{run.name}: it is finished\n")
        return Exit.CLEAN
    ended = children.all_of(wanted, [run], out, [Slot()], tell)[0]
    return Exit.STOPPED if ended is None else ended.code

"""Exports are read and run in a new process, for which archdsl is not there, by the lines that a user is told."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from archdsl.fsio import make_directory, read_limited, scratch, write_atomic, write_inside
from archdsl.train.export.subject import Case, Subject
from archdsl.train.export.target import Files, Target
from archdsl.train.trouble import Misfit

_LARGEST = 1 << 36  # bytes of answers
_EXPORT = "export"
_HEAD = """\
import os
import sys

sys.modules["archdsl"] = None  # to import it fails
import numpy
import torch
from safetensors.torch import load_file, save_file

torch.set_num_threads({threads})
"""
_EACH = """
os.chdir({folder!r})
{load}
for number in range({count}):
    read = load_file(f"given-{{number}}")
    given = {{name: read[name].clone() for name in {names!r}}}
    torch.manual_seed(0)
    with torch.no_grad():
        found = {answer}
    found = found if isinstance(found, (tuple, list)) else [found]
    parts = {{str(n): torch.as_tensor(part).contiguous().clone() for n, part in enumerate(found)}}
    save_file(parts, f"found-{{number}}")
"""


@dataclass(frozen=True)
class Trial:
    """An export, and the answers that it should give."""

    subject: Subject
    target: Target
    files: Files
    cases: Sequence[Case]


@dataclass(frozen=True)
class Verdict:
    """How far an export is from the network: the largest difference over all batches."""

    difference: float
    """Absolute."""
    relative: float
    """To the largest number in the same answer."""


def verdicts(trials: Sequence[Trial]) -> list[Verdict]:
    """Read each export and compare its answers. Misfit where one cannot be read or run, or answers in other sizes."""
    with scratch() as folder:
        script = [_HEAD.format(threads=torch.get_num_threads())]
        for number, trial in enumerate(trials):
            make_directory(folder / str(number))
            script.append(_written(folder / str(number), trial))
        _run("".join(script), folder)
        return [_compared(folder / str(number), trial) for number, trial in enumerate(trials)]


def _written(folder: Path, trial: Trial) -> str:
    """Write the export and its inputs; the lines that run it."""
    for name, data in trial.files.items():
        if trial.target.folder:
            make_directory(folder / _EXPORT)
            write_inside(folder / _EXPORT, name, data)
        else:
            write_atomic(folder / _EXPORT, data)
    for number, case in enumerate(trial.cases):
        write_atomic(folder / f"given-{number}", safetensors.torch.save(dict(case.given)))
    return _EACH.format(
        folder=str(folder),
        load=trial.target.load(trial.subject, _EXPORT),
        count=len(trial.cases),
        names=list(trial.subject.inputs),
        answer=trial.target.answer,
    )


def _run(script: str, folder: Path) -> None:
    command = [sys.executable, "-I", "-W", "ignore", "-"]
    done = subprocess.run(command, input=script, capture_output=True, text=True, cwd=folder, check=False)
    if done.returncode:
        last = (done.stderr.strip() or f"the process ended with {done.returncode}").splitlines()[-1]
        raise Misfit(f"the export cannot be read or run again: {last}")


def _compared(folder: Path, trial: Trial) -> Verdict:
    found = [Verdict(0.0, 0.0)]
    for number, case in enumerate(trial.cases):
        read = safetensors.torch.load(read_limited(folder / f"found-{number}", _LARGEST))
        found += _distances(read, case.expected)
    return max(found, key=lambda verdict: verdict.relative)


def _distances(found: Mapping[str, Tensor], expected: Sequence[Tensor]) -> list[Verdict]:
    got = [found[str(number)] for number in range(len(found))]
    sizes = [[tuple(part.shape) for part in parts] for parts in (got, expected)]
    if sizes[0] != sizes[1]:
        raise Misfit(f"the export answers in sizes {sizes[0]}, the network in {sizes[1]}")
    return [_distance(*pair) for pair in zip(got, expected, strict=True)]


def _distance(got: Tensor, expected: Tensor) -> Verdict:
    difference = (got.double() - expected.double()).abs().max().item()
    largest = expected.abs().max().item()
    if not difference:
        return Verdict(0.0, 0.0)
    return Verdict(difference, difference / largest if largest and difference == difference else float("inf"))

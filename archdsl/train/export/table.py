"""All forms that a network is exported to, and how one is made: never written unless it was read and compared."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from archdsl.fsio import FileTrouble, listed, write_atomic, write_folder
from archdsl.render import counted
from archdsl.train.export import hub, onnx, safe, torch_export, torchscript
from archdsl.train.export.folding import fold
from archdsl.train.export.fresh import Trial, Verdict, verdicts
from archdsl.train.export.subject import Subject
from archdsl.train.export.target import Files, Target
from archdsl.train.trouble import Misfit, TrainTrouble

TARGETS = {found.TARGET.name: found.TARGET for found in (onnx, torchscript, torch_export, safe, hub)}
_OTHERS = "--to safetensors and --to hub take every network, for nothing is traced"


@dataclass(frozen=True)
class Exported:
    """What was written, and how close it is to the network."""

    path: str
    subject: Subject
    target: Target
    size: int
    verdict: Verdict
    norms: tuple[int, int] | None
    """Batch norms that were folded, and that were left; None where nothing was to be folded."""

    def __str__(self) -> str:
        lines = [f"{self.subject.name} -> {self.path}: {self.size:,} bytes", *map(_indented, self._lines())]
        return "\n".join([*lines, "", *self.target.load(self.subject, self.path).splitlines(), ""])

    def _lines(self) -> Iterator[tuple[str, str]]:
        subject = self.subject
        yield "weights", subject.weights
        for name, size in subject.inputs.items():
            yield "input", f"{name} {[subject.batch or 'N', *size]}".replace("'", "")
        if subject.preparation is not None:
            yield "prepared", "; ".join(action.words for action in subject.preparation)
            if subject.fitted is not None and not self.target.folder:
                yield "", "those tensors are not in this file: the run folder has them"
        if self.norms is not None:
            yield "folded", f"{counted(self.norms[0], 'batch norm')} into the layer before, {self.norms[1]} left"
        yield from (("note", note) for note in subject.notes)
        yield "compared", f"without archdsl, in batches of {_listed(subject.batches)}: {self._difference()}"

    def _difference(self) -> str:
        if not self.verdict.difference:
            return "the same to the last bit"
        return f"differs by at most {self.verdict.difference:.1e}, relatively {self.verdict.relative:.1e}"


def _indented(line: tuple[str, str]) -> str:
    return f"  {line[0]:9} {line[1]}"


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))


def check_needs(target: Target) -> None:
    """Refuse a target whose packages are missing."""
    missing = [name for name in target.needs if find_spec(name) is None]
    if missing:
        raise TrainTrouble(f"--to {target.name} needs {' and '.join(missing)}: pip install 'archdsl[{target.name}]'")


def trial(subject: Subject, target: Target, folding: bool = False) -> Trial:
    """The export, not written yet, with the answers that the network gave before anything was done to it."""
    cases = subject.cases()
    if folding:
        folded, left = fold(subject.module, subject.given(subject.batches[0]))
        subject = replace(subject, folded=folded, left=left)
    return Trial(subject, target, _made(subject, target), cases)


def _made(subject: Subject, target: Target) -> Files:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old forms, which are asked for all the same
        try:
            return target.make(subject)
        except TrainTrouble:
            raise
        except Exception as error:  # each exporter has its own errors, and none lists them
            hint = "--batch N asks for one number of samples only" if "batch" in str(error) else _OTHERS
            raise Misfit(f"PyTorch cannot write {subject.name} as {target.name}: {_reason(error)}; {hint}") from error


def _reason(error: BaseException) -> str:
    """The first line of what was wrong first: what stands above it names steps of the exporter."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def export(subject: Subject, target: Target, path: Path, folding: bool = False) -> Exported:
    """Make, read again, compare, and only then write. Misfit where the answers are others."""
    _refuse_taken(path, target.folder)
    made = trial(subject, target, folding)
    if folding and not (made.subject.folded or made.subject.left):
        raise Misfit(f"--fold-bn: {subject.name} has no batch norm")
    (verdict,) = verdicts([made])
    if not verdict.relative <= target.largest_difference:
        raise Misfit(_refusal(made, verdict))
    if target.folder:
        write_folder(path, made.files)
    else:
        write_atomic(path, *made.files.values())
    size = sum(map(len, made.files.values()))
    norms = (made.subject.folded, made.subject.left) if folding else None
    return Exported(str(path), made.subject, target, size, verdict, norms)


def _refuse_taken(path: Path, folder: bool) -> None:
    """Nothing is written over; an empty folder may become the export."""
    there, cause = listed(path), ""
    if not path.name or (path.is_dir() and not folder):
        cause = "it is a folder: give a name in it"
    elif there or (os.path.lexists(path) and not path.is_dir()):
        what = "it is a folder that is not empty" if there else "it is there already"
        cause = f"{what}: remove it, or choose another name"
    if cause:
        raise FileTrouble(path, "write", cause)


def _refusal(made: Trial, verdict: Verdict) -> str:
    bound = "the same to the last bit" if made.target.exact else f"within {made.target.largest_difference:.0e}"
    how = " with folded batch norms" if made.subject.folded else ""
    return (
        f"{made.subject.name} as {made.target.name}{how} answers otherwise than the network: by up to "
        f"{verdict.difference:.2e}, relatively {verdict.relative:.2e}, where it should be {bound}; nothing was written"
    )

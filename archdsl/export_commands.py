"""What `export` does: a run folder or a spec, as a file or folder that other programs read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl import commands
from archdsl.console import Exit, say, tell
from archdsl.inputs import STDIN, Misuse
from archdsl.suggest import nearest
from archdsl.visible import visible

if TYPE_CHECKING:
    from archdsl.pipeline import Request
    from archdsl.train.export.subject import Subject

TARGETS = ("onnx", "torchscript", "torch-export", "safetensors", "hub")
WITH_TEXT = ("safetensors", "hub")


@dataclass(frozen=True)
class Wanted:
    """The flags of `export`; None where one was not given."""

    target: str
    output: str | None = None
    batch: int | None = None
    fold: bool = False
    checkpoint: str | None = None
    seed: int | None = None


def export(path: str, request: Request, wanted: Wanted) -> int:
    """Export the network of a run or a spec; nothing is written unless what was read again gives the same answers."""
    _check(wanted)
    is_run = path != STDIN and Path(path).is_dir()
    _check_kind(request, wanted, is_run)

    from archdsl.train.export import table
    from archdsl.train.trouble import TrainTrouble

    target = table.TARGETS[wanted.target]
    try:
        table.check_needs(target)
        subject, code = _of_run(path, wanted) if is_run else _of_spec(path, request, wanted)
        if subject is None:
            return code
        name = f"{subject.name}{target.suffix or f'-{target.name}'}"
        where = Path(name if wanted.output is None else wanted.output)
        done = table.export(replace(subject, batch=wanted.batch), target, where, wanted.fold)
        say("".join(f"{visible(line)}\n" for line in str(done).splitlines()))
    except TrainTrouble as trouble:
        tell(f"archdsl: {visible(str(trouble))}\n")
        return trouble.exit_code
    return Exit.CLEAN


def _check(wanted: Wanted) -> None:
    if wanted.target not in TARGETS:
        close = nearest(wanted.target, TARGETS)
        hint = f"did you mean {close}?" if close else f"it takes {', '.join(TARGETS)}"
        raise Misuse(f"--to: there is no {wanted.target!r}; {hint}")
    if wanted.output == "":
        raise Misuse("--output is empty: give a name, or leave it out")
    if wanted.fold and wanted.target in WITH_TEXT:
        raise Misuse(
            f"--fold-bn: {wanted.target} holds the module's text, in which the batch norms still are; "
            f"{', '.join(t for t in TARGETS if t not in WITH_TEXT)} can be folded"
        )
    if wanted.batch is not None and wanted.target in WITH_TEXT:
        raise Misuse(f"--batch: a module takes any number of samples; {wanted.target} has no place for one")


def _check_kind(request: Request, wanted: Wanted, is_run: bool) -> None:
    """Nothing that was asked for is passed over."""
    given = {"-p": request.parameters, "--variant": request.variant, "--network": request.network}
    odd = {**given, "--seed": wanted.seed is not None} if is_run else {"--checkpoint": wanted.checkpoint}
    for flag in (flag for flag, value in odd.items() if value):
        what = "a run folder has its network" if is_run else "a spec has no checkpoints, only fresh weights"
        raise Misuse(f"{flag}: {what}")


def _of_run(path: str, wanted: Wanted) -> tuple[Subject | None, int]:
    from archdsl.train import stored
    from archdsl.train.export import subject

    return subject.of_run(stored.load(Path(path)), wanted.checkpoint or "newest"), Exit.CLEAN


def _of_spec(path: str, request: Request, wanted: Wanted) -> tuple[Subject | None, int]:
    network, text, code = commands.compiled_network(path, request)
    if network is None:
        return None, code
    from archdsl.train.export import subject

    name = request.variant or (network.name if path == STDIN else Path(path).stem)
    sizes = [wire.values for wire in network.graph.inputs]
    return subject.of_text(name, text, sizes, wanted.seed or 0), Exit.CLEAN

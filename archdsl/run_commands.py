"""What the commands on run folders do: `eval`, `predict`, `plot`, `runs`. Torch only where a network is run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.console import Exit, say, tell
from archdsl.inputs import Misuse
from archdsl.visible import visible

if TYPE_CHECKING:
    from archdsl.train.judging import Guess
    from archdsl.train.stored import Stored

_FORMS = ("text", "json")


def evaluate(path: str, which: str, options: dict[str, object], form: str) -> int:
    """The test error of a run, measured again; a finding where it is not the logged one."""
    _known(form)

    def work() -> int:
        from archdsl.train import judging, stored

        directory = options.get("data_dir")
        options["data_dir"] = None if directory is None else Path(str(directory))
        found = judging.evaluate(stored.load(Path(path)), which, options)
        say(_json(asdict(found)) if form == "json" else f"{found}\n")
        return Exit.CLEAN if found.as_logged else Exit.FINDINGS

    return _told(work)


def predict(path: str, pictures: Sequence[str], which: str, options: dict[str, object], form: str) -> int:
    """What a trained network takes pictures for."""
    _known(form)

    def work() -> int:
        from archdsl.train import judging, stored

        guesses = judging.predict(stored.load(Path(path)), which, list(map(Path, pictures)), options)
        found = dict(zip(pictures, guesses, strict=True))
        if form == "json":
            say(_json({name: [asdict(guess) for guess in guesses] for name, guesses in found.items()}))
        else:
            say("\n".join(_guesses(name if len(found) > 1 else "", guesses) for name, guesses in found.items()))
        return Exit.CLEAN

    return _told(work)


def _guesses(title: str, guesses: Sequence[Guess]) -> str:
    lines = [f"{guess.probability:7.2%}  {visible(guess.name)}\n" for guess in guesses]
    return "".join([f"{visible(title)}\n" if title else "", *lines])


def plot(paths: Sequence[str], output: str) -> int:
    """The curves of one run, or of several over each other, as a PNG."""
    if not output.endswith(".png"):
        raise Misuse(f"--output: the picture is a PNG, so its name ends in .png; not {output!r}")

    def work() -> int:
        from archdsl.fsio import write_atomic
        from archdsl.train import stored
        from archdsl.train.figures import curves

        runs = [_with_rows(Path(path)) for path in paths]
        write_atomic(Path(output), curves.one(runs[0]) if len(runs) == 1 else curves.several(runs))
        say(f"{output}: {', '.join(stored.labels(runs))}\n")
        return Exit.CLEAN

    return _told(work)


def runs(directory: str, form: str) -> int:
    """A line for each run folder below a directory; one that cannot be read is told and passed over."""
    _known(form)
    root = Path(directory)
    if not root.is_dir():
        raise Misuse(f"{directory}: there is no such directory; runs go to runs/ unless --out says otherwise")

    def work() -> int:
        from archdsl.train import stored, table
        from archdsl.train.trouble import TrainTrouble

        found: list[Stored] = []
        waiting: dict[Path, str] = {}
        code = Exit.CLEAN
        for path in stored.found(root):
            try:
                if stored.started(path):
                    found.append(stored.load(path))
                else:
                    waiting[path] = stored.network(path).name
            except TrainTrouble as trouble:
                tell(f"archdsl: {visible(str(trouble))}\n")
                code = Exit.FILES
        say(_json(table.entries(found, root, waiting)) if form == "json" else table.text(found, root, waiting))
        return code

    return _told(work)


def _with_rows(path: Path) -> Stored:
    from archdsl.train import stored
    from archdsl.train.trouble import TrainTrouble

    run = stored.load(path)
    if not run.rows:
        raise TrainTrouble(f"{path}: no epoch is finished yet")
    return run


def _known(form: str) -> None:
    if form not in _FORMS:
        raise Misuse(f"--format takes {' or '.join(_FORMS)}, not {form!r}")


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _told(work: Callable[[], int]) -> int:
    """Do it; what the trainer's parts raise is one line and their exit code."""
    from archdsl.train.trouble import TrainTrouble

    try:
        return work()
    except TrainTrouble as trouble:
        tell(f"archdsl: {visible(str(trouble))}\n")
        return trouble.exit_code

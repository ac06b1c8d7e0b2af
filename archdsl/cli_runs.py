"""The commands on run folders: flags to requests. `cli.py` adds them to the program."""

from __future__ import annotations

from typing import Annotated

import typer

from archdsl import run_commands
from archdsl.console import guarded

Run = Annotated[str, typer.Argument(metavar="RUN", help="A run folder, as `archdsl train` leaves it.")]
Which = Annotated[
    str, typer.Option("--checkpoint", metavar="newest|best|STEP", help="Which of the checkpoints that were kept.")
]
Form = Annotated[str, typer.Option("--format", metavar="text|json", help="How the result is written.")]
Where = Annotated[str | None, typer.Option("--device", metavar="auto|cpu|cuda", help="Else as in training.")]


def evaluate(
    run: Run,
    checkpoint: Which = "newest",
    data: Annotated[str | None, typer.Option(metavar="NAME", help="Another data set than the run's.")] = None,
    data_dir: Annotated[str | None, typer.Option(metavar="DIR", help="Where its files are now.")] = None,
    device: Where = None,
    threads: Annotated[int | None, typer.Option(help="Threads on the CPU; else as in training.")] = None,
    format: Form = "text",  # noqa: A002  the name of the flag
) -> None:
    """Measure the test error of a run again; exit code 1 where it is not the number in its metrics."""
    options: dict[str, object] = {"data": data, "data_dir": data_dir, "device": device, "threads": threads}
    guarded(lambda: run_commands.evaluate(run, checkpoint, options, format))


def predict(
    run: Run,
    picture: Annotated[list[str], typer.Argument(metavar="PICTURE...", help="PNG, JPEG, WebP, BMP, GIF or PPM.")],
    checkpoint: Which = "newest",
    device: Where = None,
    format: Form = "text",  # noqa: A002
) -> None:
    """Say what a trained network takes a picture for: the five likeliest classes."""
    guarded(lambda: run_commands.predict(run, picture, checkpoint, {"device": device}, format))


def plot(
    run: Annotated[list[str], typer.Argument(metavar="RUN...", help="Run folders.")],
    output: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="Where the picture goes.")] = "runs.png",
) -> None:
    """Draw the errors of runs over each other, as the papers do: training dashed, test solid."""
    guarded(lambda: run_commands.plot(run, output))


def runs(
    directory: Annotated[str, typer.Argument(metavar="DIR", help="Searched with all below it.")] = "runs",
    format: Form = "text",  # noqa: A002
) -> None:
    """Print a table of the runs below a directory."""
    guarded(lambda: run_commands.runs(directory, format))


def add(app: typer.Typer) -> None:
    """Make them commands of the program."""
    app.command(name="eval")(evaluate)
    for command in (predict, plot, runs):
        app.command()(command)

"""`archdsl bench`: flags to a request. `cli.py` adds it to the program."""

from __future__ import annotations

from typing import Annotated

import typer

from archdsl import commands
from archdsl.console import guarded


def bench(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A file, or - for standard input.")],
    recipe: Annotated[str | None, typer.Option(metavar="NAME", help="For batch and optimiser; else the first.")] = None,
    batch: Annotated[int | None, typer.Option(help="Images in a step; else the recipe's.")] = None,
    seconds: Annotated[float, typer.Option(help="About how long to measure, once all is set up.")] = 25.0,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda")] = "auto",
    threads: Annotated[int | None, typer.Option(help="Threads on the CPU.")] = None,
    compiled: Annotated[bool, typer.Option("--compiled", help="Measure torch.compile on a CPU, too.")] = False,
    workers: Annotated[int, typer.Option(help="Processes that load the plain loop's pictures; 0 is none.")] = 2,
    cpu_time: Annotated[
        bool, typer.Option("--cpu-time", help="Count CPU seconds, where others use the machine, too; with --workers 0.")
    ] = False,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", metavar="NAME=VALUE", help="A parameter of the network.")
    ] = None,
    network: Annotated[str | None, typer.Option(metavar="NAME", help="Which network of the file.")] = None,
    variant: Annotated[str | None, typer.Option(metavar="NAME", help="A row of the file's table of variants.")] = None,
    format: Annotated[  # noqa: A002  the name of the flag
        str, typer.Option("--format", metavar="text|json", help="How the result is written.")
    ] = "text",
) -> None:
    """Measure how fast a network trains and answers here, beside a plain PyTorch loop, and what holds it back."""
    options: dict[str, object] = {"batch": batch, "seconds": seconds, "device": device, "threads": threads}
    options |= {"compiled": compiled, "workers": workers, "cpu_time": cpu_time}
    guarded(lambda: commands.bench(path, commands.request(parameter, network, variant), options, recipe, format))


def add(app: typer.Typer) -> None:
    """Make it a command of the program."""
    app.command()(bench)

"""The command that exports: flags to a request. `cli.py` adds it to the program."""

from __future__ import annotations

from typing import Annotated

import typer

from archdsl import commands, export_commands
from archdsl.console import guarded

Target = Annotated[str, typer.Option("--to", metavar="onnx|torchscript|torch-export|safetensors|hub")]
Values = Annotated[
    list[str] | None,
    typer.Option("-p", "--parameter", metavar="NAME=VALUE", help="A parameter of the network; may be repeated."),
]


def export(
    path: Annotated[str, typer.Argument(metavar="RUN|SPEC", help="A run folder; or a file, with fresh weights.")],
    to: Target,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="PATH", help="The file or folder; else named as the network."),
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="So many samples at once; else any number.")] = None,
    fold_bn: Annotated[bool, typer.Option("--fold-bn", help="Batch norms go into the layers before them.")] = False,
    checkpoint: Annotated[
        str | None, typer.Option(metavar="newest|best|STEP", help="Which of the run's; the newest if not given.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**31 - 1, help="Of a spec's fresh weights; else 0.")] = None,
    parameter: Values = None,
    network: Annotated[str | None, typer.Option(metavar="NAME", help="Which network of the file.")] = None,
    variant: Annotated[str | None, typer.Option(metavar="NAME", help="A row of the file's table of variants.")] = None,
) -> None:
    """Write a network for other programs; it is read again without archdsl and must give the same answers."""
    wanted = export_commands.Wanted(to, output, batch, fold_bn, checkpoint, seed)
    guarded(lambda: export_commands.export(path, commands.request(parameter, network, variant), wanted))


def add(app: typer.Typer) -> None:
    """Make it a command of the program."""
    app.command()(export)

"""The command line: flags to requests, requests to the pipeline, what comes back to text and an exit code.

Every command imports what it needs when it runs: `lint` never loads torch, pydantic, jinja2 or rich.
"""

from __future__ import annotations

import atexit
import gc
import sys
from enum import StrEnum
from typing import Annotated

import typer

from archdsl import cli_bench, cli_export, cli_runs, cli_sweep, commands
from archdsl.console import guarded, prepare

app = typer.Typer(
    name="archdsl",
    help="Check, compile and train networks written as .arch files.",
    epilog="Exit codes: 0 clean, 1 findings, 2 misuse, 3 a file or data cannot be used, 4 a limit is reached, "
    "70 archdsl itself broke, 75 stopped and resumable, 76 not finite, 77 a process was lost.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


class Format(StrEnum):
    """How findings are written."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


class Stage(StrEnum):
    """After which stage `show` stops and prints."""

    TOKENS = "tokens"
    AST = "ast"
    GRAPH = "graph"
    JSON = "json"


Paths = Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, directories, or - for standard input.")]
OnePath = Annotated[str, typer.Argument(metavar="PATH", help="A file, or - for standard input.")]
Values = Annotated[
    list[str] | None,
    typer.Option("-p", "--parameter", metavar="NAME=VALUE", help="A parameter of the network; may be repeated."),
]
Network = Annotated[str | None, typer.Option(metavar="NAME", help="Which network of the file; the first if not given.")]
Variant = Annotated[str | None, typer.Option(metavar="NAME", help="A row of the file's table of variants.")]
Shape = Annotated[Format, typer.Option("--format", help="How findings are written.")]


def _version(wanted: bool) -> None:
    if wanted:
        from archdsl.ice import version

        sys.stdout.write(f"archdsl {version()}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Options of the program itself."""


@app.command()
def lint(
    path: Paths,
    parameter: Values = None,
    network: Network = None,
    variant: Variant = None,
    format: Shape = Format.TEXT,  # noqa: A002  the name of the flag
) -> None:
    """Check files: everything that is wrong in them, and the counts of every network that is not."""
    guarded(lambda: commands.lint(path, commands.request(parameter, network, variant), format.value))


@app.command(name="compile")
def compile_(
    path: Paths,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="DIR", help="Where modules go; - prints.")
    ] = "generated",
    check: Annotated[bool, typer.Option("--check", help="Write nothing; say which modules differ.")] = False,
    parameter: Values = None,
    network: Network = None,
    variant: Variant = None,
) -> None:
    """Write each file's network as a PyTorch module that stands alone."""
    guarded(lambda: commands.compile_(path, commands.request(parameter, network, variant), output, check))


@app.command()
def summary(
    path: OnePath,
    parameter: Values = None,
    network: Network = None,
    variant: Variant = None,
    format: Shape = Format.TEXT,  # noqa: A002
) -> None:
    """Print a network as a table: shapes, parameters, cost and memory, repeats folded."""
    guarded(lambda: commands.summary(path, commands.request(parameter, network, variant), format.value))


@app.command()
def verify(path: Paths, parameter: Values = None, network: Network = None, variant: Variant = None) -> None:
    """Build the module and hold every static number against what torch measures."""
    guarded(lambda: commands.verify(path, commands.request(parameter, network, variant)))


@app.command()
def train(
    path: OnePath,
    data: Annotated[
        str, typer.Option(metavar="NAME", help="shapes needs no files; else cifar10, svhn, folder ...")
    ] = "shapes",
    data_dir: Annotated[str | None, typer.Option(metavar="DIR", help="Where the files of the data set are.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch what is missing there.")] = False,
    recipe: Annotated[str | None, typer.Option(metavar="NAME", help="A recipe of the file; else its first.")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Run so many, the schedule stretched to fit.")] = None,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="The run folder; else the next free in runs/.")] = None,
    teacher: Annotated[str | None, typer.Option(metavar="RUN", help="A trained teacher; else it is trained.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest whole checkpoint in --out.")] = False,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda")] = "auto",
    precision: Annotated[str, typer.Option(metavar="auto|fp32|bf16|fp16")] = "auto",
    engine: Annotated[str, typer.Option(metavar="auto|eager|compile|graph")] = "auto",
    deterministic: Annotated[bool, typer.Option("--deterministic", help="On a GPU: the same bits, slower.")] = False,
    threads: Annotated[int | None, typer.Option(help="Threads on the CPU.")] = None,
    micro_batch: Annotated[int | None, typer.Option(help="At most so many images at once.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first so many images.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Two steps of everything.")] = False,
    overfit_batch: Annotated[bool, typer.Option("--overfit-batch", help="One batch, over and over.")] = False,
    sync_batch_norm: Annotated[
        bool, typer.Option("--sync-batch-norm", help="Of several ranks: statistics of all their images.")
    ] = False,
    timeout: Annotated[float | None, typer.Option(help="Seconds until a rank that is silent is lost [120].")] = None,
    keep: Annotated[int, typer.Option(help="How many checkpoints stay, besides the best.")] = 2,
    save_steps: Annotated[int | None, typer.Option(help="Save every so many steps, too.")] = None,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Pictures and report.md at the end.")] = True,
    unofficial: Annotated[bool, typer.Option("--unofficial", help="Take data files of other checksums.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes that read pictures; 0 is none.")] = None,
    worker_timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="How long one may take for a batch [60].")
    ] = None,
    parameter: Values = None,
    network: Network = None,
    variant: Variant = None,
) -> None:
    """Train the network of a file as its recipe says, into a folder of its own."""
    flags = ("data", "data_dir", "epochs", "out", "resume", "device", "precision", "engine", "threads", "micro_batch")
    more = ("limit", "dry_run", "overfit_batch", "keep", "save_steps", "unofficial", "workers", "worker_timeout")
    rest = ("teacher", "download", "sync_batch_norm", "timeout", "report", "deterministic")
    given = locals()
    options = {name: given[name] for name in (*flags, *more, *rest)}
    guarded(lambda: commands.train(path, commands.request(parameter, network, variant), options, recipe, change or []))


@app.command()
def report(
    path: Paths,
    format: Annotated[  # noqa: A002
        str, typer.Option("--format", metavar="text|markdown|csv|latex|json", help="How the table is written.")
    ] = "text",
) -> None:
    """Print the networks of all files as one table: exact counts beside what the papers print."""
    guarded(lambda: commands.report(path, format))


@app.command()
def explain(
    name: Annotated[str, typer.Argument(metavar="CODE", help="A code such as T203, its slug, or a primitive.")],
) -> None:
    """Print the page of a finding's code, or of a primitive."""
    guarded(lambda: commands.explain(name))


@app.command()
def show(
    path: OnePath,
    stage: Annotated[Stage, typer.Option(help="Stop after this stage.")] = Stage.GRAPH,
    parameter: Values = None,
    network: Network = None,
    variant: Variant = None,
) -> None:
    """Print what a stage of the compiler makes of a file."""
    guarded(lambda: commands.show(path, commands.request(parameter, network, variant), stage.value))


cli_runs.add(app)
cli_bench.add(app)
cli_export.add(app)
cli_sweep.add(app)


def main() -> None:
    """The program."""
    prepare()
    atexit.register(gc.freeze)  # the system takes all memory back at once: a last search for garbage is time lost
    app()

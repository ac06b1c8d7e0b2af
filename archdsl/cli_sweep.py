"""`archdsl sweep`: flags to a request. `cli.py` adds it to the program.

Whatever is not one of its own flags is read as `archdsl train` would read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from archdsl.console import guarded

_ANY = {"allow_extra_args": True, "ignore_unknown_options": True}


def sweep(
    context: typer.Context,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="The folder of all its runs.")] = None,
    variants: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Rows of the file's table of variants.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(metavar="N", help="How many, from 0; or which, as 4,7.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=A,B", help="Change the recipe; each value is a run.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=0, max=1024, help="Runs at once on the CPU; 0 prints the table.")] = 1,
    devices: Annotated[str | None, typer.Option(metavar="cuda:0,cuda:1", help="GPUs; each has one at a time.")] = None,
    slurm: Annotated[bool, typer.Option("--slurm", help="Run nothing; write a job array for Slurm.")] = False,
    task: Annotated[int | None, typer.Option(help="Only the run of that number, from 0.")] = None,
    format: Annotated[  # noqa: A002  the name of the flag
        str | None, typer.Option("--format", metavar="text|markdown|csv|json", help="How the table is written.")
    ] = None,
) -> None:
    """Train variants × seeds of a file, each a run of its own; all other options are those of `train`.

    Given again, or given the folder in place of the file, it goes on with what is not finished.
    """

    def work() -> int:
        from archdsl.sweep.command import Asked, sweep

        asked = Asked(out, variants, seeds, tuple(change or ()), jobs, devices, slurm, task, format)
        return sweep(context.args, lambda words: _read(context, words), asked)

    _read(context, context.args)  # a mistake in it is told as one of `train`
    guarded(work)


def _read(context: typer.Context, words: Sequence[str]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The values of the flags of `archdsl train`, and those that were given as words again."""
    program: Any = context.parent
    train = program.command.get_command(program, "train")
    read = train.make_context("sweep", list(words), parent=program)
    given = [one for one in train.params if read.get_parameter_source(one.name).name == "COMMANDLINE"]
    return read.params, tuple(word for one in given if one.param_type_name == "option" for word in _words(one, read))


def _words(option: Any, read: Any) -> Iterator[str]:
    value, flag = read.params[option.name], option.opts[-1]
    if option.is_flag:
        yield flag if value else option.secondary_opts[-1]
        return
    for one in value if option.multiple else [value]:
        yield from (flag, str(one))


def add(app: typer.Typer) -> None:
    """Make it a command of the program."""
    app.command(context_settings=_ANY, options_metavar="PATH [OPTIONS] [OPTIONS OF TRAIN]")(sweep)

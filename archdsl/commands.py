"""What each command does, once its flags are read: texts in, text out, an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from archdsl import render
from archdsl.console import Exit, in_colour, say, tell
from archdsl.diagnostic import Diagnostic, Diagnostics, Severity
from archdsl.fsio import FileTrouble, TooLarge, make_directory, read_limited, write_inside
from archdsl.ice import InternalError
from archdsl.inputs import Misuse, NotText, found, read
from archdsl.suggest import nearest

if TYPE_CHECKING:
    from archdsl.pipeline import Checked, CheckedNetwork, Known, Request
    from archdsl.source import Source
    from archdsl.syntax.ast import File
    from archdsl.train.job import Job

T = TypeVar("T")
_MODULE = 64 * 1024 * 1024  # bytes of a generated module that `--check` reads
_DIFF = 20  # lines of a difference that `--check` shows


def request(values: Sequence[str] | None, network: str | None, variant: str | None) -> Request:
    """What the flags ask of the pipeline. The values are read there, where the parameters are known."""
    from archdsl.pipeline import Request

    if not values:
        return Request({}, variant, network)
    from archdsl.config import overrides

    return Request(overrides(values), variant, network)


def lint(paths: Sequence[str], request: Request, form: str) -> int:
    """All findings of all files; as text, also the counts of each network that has no errors."""
    from archdsl import pipeline

    diagnostics: list[Diagnostic] = []
    code, count, known = Exit.CLEAN, 0, pipeline.Known()
    for path in found(paths):
        checked, more, outcome = _attempt(path, lambda source: pipeline.check(source, request, known=known))
        diagnostics += more
        code, count = max(code, outcome), count + (checked is not None)
        if checked:
            diagnostics += checked.diagnostics
            say(_counts(path, checked) if form == "text" else "")
    diagnostics = _each_once(diagnostics)
    say(_findings(diagnostics, form, count))
    return max(code, _severity(diagnostics))


def compile_(paths: Sequence[str], request: Request, output: str, check: bool) -> int:
    """Write, print or compare the module of each file; a file with errors gives none."""
    from archdsl.pipeline import Known

    texts: dict[str, str] = {}
    code, known = Exit.CLEAN, Known()
    for path in found(paths):
        checked, modules, outcome = _compiled(path, request, known)
        code = max(code, outcome)
        _no_clash(path, texts, modules)
        texts |= modules
        if checked and not check and output != "-":
            say(_written(path, _chosen(path, checked, request), output, modules))
    if check:
        return max(code, _compared(output, texts))
    say("".join(texts.values()) if output == "-" else "")
    return code


def summary(path: str, request: Request, form: str) -> int:
    """The table of a network, as text or as JSON."""
    network, code = _network(path, request)
    if network is None:
        return code
    if form == "json":
        from archdsl.summary_json import to_json

        say(to_json(network.graph, network.cost, network.variant))
    else:
        from archdsl.summary import summary as table

        say(table(network.graph, network.cost))
    return code


def report(paths: Sequence[str], form: str) -> int:
    """The table of all networks in all files; findings go to standard error, a file with errors has no rows."""
    from archdsl import pipeline
    from archdsl.report import FORMS, entries

    if form not in FORMS:
        raise Misuse(f"--format takes {', '.join(FORMS)}, not {form!r}")
    files: list[Checked] = []
    code, known = Exit.CLEAN, pipeline.Known()
    for path in found(paths):
        checked, diagnostics, outcome = _attempt(path, lambda source: pipeline.check(source, known=known))
        diagnostics += checked.diagnostics if checked else ()
        tell(render.text(_errors(diagnostics), in_colour(sys.stderr)))
        code = max(code, outcome, _severity(_errors(diagnostics)))
        files += [checked] if checked else []
    say(FORMS[form](entries(files)))
    return code


def verify(paths: Sequence[str], request: Request) -> int:
    """Static numbers against measured ones, for each file."""
    code = Exit.CLEAN
    for path in found(paths):
        checked, texts, outcome = _compiled(path, request)
        code = max(code, outcome)
        if checked is not None:
            code = max(code, _verified(_chosen(path, checked, request), texts))
    return code


def train(
    path: str, request: Request, options: Mapping[str, object], recipe: str | None, changes: Sequence[str]
) -> int:
    """Compile one file and train its network; the trainer's own exit code."""
    from archdsl.train.signals import starting

    with starting():
        from archdsl import training

        config = training.config({**options, "changes": tuple(changes)})
        found, code = jobs(path, request, recipe, [changes])
        if not found:
            return code
        from archdsl.train.run import run  # torch, two seconds: only now

        return run(config, found[0])


def jobs(path: str, request: Request, recipe: str | None, points: Sequence[Sequence[str]]) -> tuple[list[Job], Exit]:
    """One file's network as a job for the trainer for each list of changes to its recipe; none where it has errors."""
    from archdsl import training

    checked, texts, code = _compiled(path, request)
    if checked is None:
        return [], code
    network, module = _chosen(path, checked, request), next(iter(texts.values()))
    recipes = [training.chosen_recipe(checked, recipe, changes) for changes in points]
    given = request.parameters, recipe
    return [training.job(path, checked, network, module, chosen, *given) for chosen in recipes], code


def compiled_network(path: str, request: Request) -> tuple[CheckedNetwork | None, str, Exit]:
    """One file's network and its module; none where it has errors, which are told."""
    checked, texts, code = _compiled(path, request)
    if checked is None:
        return None, "", code
    return _chosen(path, checked, request), next(iter(texts.values())), code


def bench(path: str, request: Request, options: Mapping[str, object], recipe: str | None, form: str) -> int:
    """Compile one file and measure how fast its network trains and answers here."""
    from archdsl import training

    if form not in ("text", "json"):
        raise Misuse(f"--format takes text or json, not {form!r}")
    asked = training.asked(options)
    checked, texts, code = _compiled(path, request)
    if checked is None:
        return code
    network = _chosen(path, checked, request)
    chosen = training.alone(training.chosen_recipe(checked, recipe, ()))
    job = training.job(path, checked, network, next(iter(texts.values())), chosen)
    from archdsl.train.bench.shown import shown  # torch, two seconds: only now

    return shown(asked, job, network.graph, form)


def explain(name: str) -> int:
    """The page of a code or a primitive."""
    from archdsl import explain as pages

    if page := pages.page(name):
        say(str(page))
        return Exit.CLEAN
    close = pages.closest(name)
    raise Misuse(f"nothing is called {name!r}" + (f"; did you mean {close}?" if close else ""))


def show(path: str, request: Request, stage: str) -> int:
    """What one stage makes of a file."""
    if stage in ("tokens", "ast"):
        return _early(path, stage)
    network, code = _network(path, request)
    say(_graph_text(network, stage) if network else "")
    return code


def _graph_text(network: CheckedNetwork, stage: str) -> str:
    if stage == "json":
        from archdsl.schema import to_json

        return to_json(network.graph, network.variant)
    from archdsl.ir.dump import dump

    return dump(network.graph)


def _early(path: str, stage: str) -> int:
    from archdsl.show import ast_text, tokens_text

    bag = Diagnostics()
    print_stage = tokens_text if stage == "tokens" else ast_text
    text, diagnostics, code = _attempt(path, lambda source: print_stage(source, bag))
    diagnostics += bag
    tell(render.text(diagnostics, in_colour(sys.stderr)))
    say(text or "")
    return max(code, _severity(diagnostics))


def _compiled(path: str, request: Request, known: Known | None = None) -> tuple[Checked | None, dict[str, str], Exit]:
    """One file's modules, or none where it has errors; its findings go to standard error."""
    from archdsl import pipeline

    result, diagnostics, code = _attempt(path, lambda source: pipeline.compile(source, request, known=known))
    checked, texts = result or (None, {})
    diagnostics += checked.diagnostics if checked else ()
    tell(render.text([d for d in diagnostics if d.severity is not Severity.NOTE], in_colour(sys.stderr)))
    code = max(code, _severity(_errors(diagnostics)))
    return (None if code else checked), texts, code


def _network(path: str, request: Request) -> tuple[CheckedNetwork | None, Exit]:
    """The network of one file that the request is for; what is wrong with the file goes to standard error."""
    from archdsl import pipeline

    checked, diagnostics, code = _attempt(path, lambda source: pipeline.check(source, request))
    diagnostics += checked.diagnostics if checked else ()
    tell(render.text(_errors(diagnostics), in_colour(sys.stderr)))
    code = max(code, _severity(_errors(diagnostics)))
    return (None if code or checked is None else _chosen(path, checked, request)), code


def _chosen(path: str, checked: Checked, request: Request) -> CheckedNetwork:
    for network in checked.networks:
        if request.variant in (None, network.variant) and request.network in (None, network.name):
            return network
    wanted = request.variant or request.network
    if wanted is None:
        raise Misuse(f"{path} has no network")
    names = [*_declared(checked.file)]
    close = nearest(wanted, names)
    hint = f"did you mean {close}?" if close else f"it has {', '.join(names)}"
    raise Misuse(f"{path} has no {wanted!r}; {hint}" if names else f"{path} has no network")


def _declared(file: File | None) -> Iterator[str]:
    """The names of all networks and variants of a file."""
    from archdsl.syntax.ast import Block, Variants

    for declaration in file.declarations if file else ():
        if isinstance(declaration, Variants):
            yield from (row.name.text for row in declaration.rows)
        elif isinstance(declaration, Block) and declaration.keyword.text == "network":
            yield declaration.name.text


def _attempt(path: str, work: Callable[[Source], T]) -> tuple[T | None, list[Diagnostic], Exit]:
    """Read one file and work on it. Trouble with the file is told, and the other files go on."""
    try:
        source = read(path)
    except NotText as problem:
        return None, [problem.diagnostic], Exit.FINDINGS
    except FileTrouble as trouble:
        tell(f"archdsl: {trouble}\n")
        return None, [], Exit.LIMIT if isinstance(trouble, TooLarge) else Exit.FILES
    try:
        return work(source), [], Exit.CLEAN
    except (FileTrouble, Misuse):
        raise
    except Exception as error:
        raise InternalError(source) from error


def _findings(diagnostics: list[Diagnostic], form: str, files: int) -> str:
    if form == "json":
        return render.as_json(diagnostics)
    if form == "github":
        return render.github(diagnostics)
    return render.text(diagnostics, in_colour()) or f"no findings in {render.counted(files, 'file')}\n" * bool(files)


def _each_once(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """A file that several others import is read with each of them; what is wrong with it is said once."""
    found: dict[object, Diagnostic] = {}
    for d in diagnostics:
        span = d.primary.span
        found.setdefault((d.code, d.title, span.source.name, span.start, span.end), d)
    return list(found.values())


def _errors(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    return [d for d in diagnostics if d.severity is Severity.ERROR]


_MISUSED = ("A401", "A402")  # by number: to import what makes them takes as long as a lint


def _severity(diagnostics: Iterable[Diagnostic]) -> Exit:
    """The exit code for findings: a limit and a `-p` that does not fit are told apart, a note is none."""
    from archdsl.syntax.errors import over_limit

    codes = {d.code for d in diagnostics if d.severity is not Severity.NOTE}
    if over_limit.code in codes:
        return Exit.LIMIT
    if not codes.isdisjoint(_MISUSED):
        return Exit.MISUSE
    return Exit.FINDINGS if codes else Exit.CLEAN


def _verified(network: CheckedNetwork, texts: Mapping[str, str]) -> Exit:
    from archdsl.verify import compare  # torch, two seconds: only now

    reports = [compare(text, network.graph) for text in texts.values()]
    say("".join(map(str, reports)))
    return Exit.CLEAN if all(report.ok for report in reports) else Exit.FINDINGS


def _counts(path: str, checked: Checked) -> str:
    """One line on the file's main network, unless something is wrong with it."""
    if not checked.networks or checked.diagnostics.has_errors:
        return ""
    network = checked.networks[0]
    return f"{path}: {network.name}, {_numbers(network)}\n"


def _numbers(network: CheckedNetwork) -> str:
    params, macs = network.cost.params.total, network.cost.macs.total
    return f"{params:,} parameters, {macs:,} multiply-accumulates"


def _no_clash(path: str, texts: dict[str, str], modules: dict[str, str]) -> None:
    for name in texts.keys() & modules.keys():
        raise Misuse(f"{path} and another file both compile to {name}")


def _written(path: str, network: CheckedNetwork, output: str, modules: dict[str, str]) -> str:
    make_directory(Path(output))
    lines: list[str] = []
    for name, text in modules.items():
        write_inside(Path(output), name, text.encode())
        lines.append(f"{path} -> {Path(output, name)}: {text.count(chr(10)):,} lines, {_numbers(network)}\n")
    return "".join(lines)


def _compared(output: str, texts: dict[str, str]) -> Exit:
    """Say which modules are not what their specs compile to."""
    differences = [part for name, text in texts.items() if (part := _difference(Path(output, name), text))]
    say("".join(differences))
    say(f"{len(texts) - len(differences)} of {render.counted(len(texts), 'module')} as compiled\n")
    return Exit.FINDINGS if differences else Exit.CLEAN


def _difference(path: Path, text: str) -> str:
    if not path.exists():
        return f"{path} is missing\n"
    old = read_limited(path, _MODULE)
    if old == text.encode():
        return ""
    from difflib import unified_diff
    from itertools import islice

    before = old.decode("utf-8", "replace").splitlines()
    changes = list(islice(unified_diff(before, text.splitlines(), "as it is", "as compiled", lineterm="", n=1), _DIFF))
    return "\n".join([f"{path} differs:", *changes, ""])

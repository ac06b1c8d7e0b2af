"""The whole compiler on one screen: text -> module -> graphs -> counts -> findings, and graphs -> PyTorch text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from archdsl import deep
from archdsl.analyses.cost import Cost, cost
from archdsl.diagnostic import Diagnostics
from archdsl.elaborate.claims import Quoted, check_claims, quoted
from archdsl.elaborate.errors import unknown_choice
from archdsl.elaborate.known import Known
from archdsl.elaborate.load import Loader, Module, Reader, beside
from archdsl.elaborate.networks import Built, Networks, given_values, types_of
from archdsl.elaborate.recipes import CheckedRecipe, check_recipe
from archdsl.elaborate.resolve import resolve
from archdsl.elaborate.values import Value
from archdsl.ir.graph import Graph
from archdsl.limits import PARAMETERS
from archdsl.source import Source, Span
from archdsl.syntax import ast
from archdsl.syntax.errors import over_limit


@dataclass(frozen=True)
class Request:
    """What is asked of a file: parameter texts as on the command line, a variant, a network; nothing asks for all.

    imported_recipes: also check the recipes that the file imports.
    """

    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    variant: str | None = None
    network: str | None = None
    imported_recipes: bool = False

    @property
    def plain(self) -> bool:
        """Whether the networks are as the file has them."""
        return not self.parameters and self.variant is None and self.network is None


@dataclass(frozen=True)
class CheckedNetwork:
    """One network with one set of parameters: its graph, its counts, and what the file claims of it."""

    name: str
    variant: str | None
    parameters: dict[str, object]
    graph: Graph
    cost: Cost
    claims: tuple[Quoted, ...] = ()
    classes: tuple[str, ...] = ()
    """The parameters that are sizes of an output, as `classes` in `output: [classes] = ...`."""


@dataclass(frozen=True)
class Checked:
    """A file and everything found in it. `networks` begins with the one that is compiled."""

    source: Source
    file: ast.File | None
    networks: tuple[CheckedNetwork, ...]
    recipes: tuple[CheckedRecipe, ...]
    diagnostics: Diagnostics
    imported: tuple[Source, ...] = ()
    """The files that it imports, directly or through others, but for the library."""


def check(
    source: Source, request: Request | None = None, reader: Reader | None = None, known: Known | None = None
) -> Checked:
    """Read a file, follow its imports, build its networks, hold its claims, apply the lint rules.

    All findings are in the result; nothing is raised for what the text may say. Several files checked with one `known`
    share the work that they have in common.
    """
    return deep.run(lambda: _check(source, request or Request(), reader or read_beside, known or Known()))


def read_beside(source: Source, path: str) -> Source | str:
    """The file that a relative import names, or why it cannot be read."""
    from archdsl.fsio import FileTrouble
    from archdsl.inputs import NotText, read

    try:
        return beside(source, path, read)
    except NotText:
        return "it is not UTF-8 text"
    except FileTrouble as trouble:
        return str(trouble)


def compile(  # noqa: A001  what everyone calls it
    source: Source, request: Request | None = None, reader: Reader | None = None, known: Known | None = None
) -> tuple[Checked, dict[str, str]]:
    """The checked file, and the text of its module by file name; no text where there are errors."""
    checked = check(source, replace(request or Request(), imported_recipes=True), reader, known)
    if checked.diagnostics.has_errors or not checked.networks:
        return checked, {}
    return checked, {module_name(source): emit(checked, checked.networks[0])}


def emit(checked: Checked, network: CheckedNetwork) -> str:
    """The PyTorch module of one network of a file."""
    from archdsl.emit.torch.emitter import emit as emit_torch

    digest = hashlib.sha256(checked.source.text.encode()).hexdigest()[:12]
    name = PurePosixPath(checked.source.name.replace("\\", "/")).name
    counts = network.cost.params.total, network.cost.macs.total
    return deep.run(lambda: emit_torch(network.graph, name, digest, network.variant, *counts))


def module_name(source: Source) -> str:
    """The file name of a spec's module: importable, `wrn-28-10.arch` gives `wrn_28_10.py`."""
    stem = PurePosixPath(source.name.replace("\\", "/")).stem
    name = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in stem)
    return f"{name if name[:1].isalpha() else f'network_{name}'}.py"


def _check(source: Source, request: Request, reader: Reader | None, known: Known) -> Checked:
    bag = Diagnostics()
    loader = Loader(bag, reader, known)
    module = loader.load(source)
    if module is None:
        return Checked(source, None, (), (), bag)
    for one in (module, *loader.imported()):
        resolve(one, bag)
    networks = Networks(module, bag, known)
    built = _requested(networks, request, bag)
    checked = tuple(_with_cost(one, networks) for one in built)
    recipes = tuple(_recipes(module, networks, request, built))
    imported = tuple(one.source for one in loader.imported())
    result = Checked(source, module.file, checked, recipes, bag, imported)
    if not len(bag):
        known.keep(networks.session.memo)
    if not bag.has_errors:
        _lint(result, module, bag)
    return result


def _recipes(module: Module, networks: Networks, request: Request, built: list[Built]) -> Iterator[CheckedRecipe]:
    """The recipes of a file, its own first. Those it imports are checked by their own file's lint, and to train."""
    for name, (home, declaration) in sorted(module.names.items(), key=lambda item: item[1][0] is not module):
        if isinstance(declaration, ast.Recipe):
            if home is module or request.imported_recipes:
                graphs = [one.graph for one in built] if request.plain else []  # others are looked at when they train
                yield replace(check_recipe(declaration, home, networks.session, graphs), name=name)
            else:
                yield CheckedRecipe(name, {}, None)


def _with_cost(built: Built, networks: Networks) -> CheckedNetwork:
    counts = cost(built.graph)
    if counts.params.total > PARAMETERS.value:
        networks.bag.add(over_limit(PARAMETERS, built.network.name.span))
    if not networks.session.damaged:
        check_claims(built, counts, networks.module, networks.session)
    variant = built.variant.name.text if built.variant is not None else None
    claims = quoted(built, networks.module, networks.session)
    classes = tuple(_output_sizes(built.network))
    return CheckedNetwork(built.network.name.text, variant, built.parameters, built.graph, counts, claims, classes)


def _output_sizes(network: ast.Block) -> Iterator[str]:
    outputs = [statement.target.shape for statement in network.body if isinstance(statement, ast.Output)]
    params = {param.name.text for param in network.params}
    for item in (item for shape in outputs if shape for item in shape.items):
        if isinstance(item, ast.Name) and item.text in params:
            yield item.text


def _requested(networks: Networks, request: Request, bag: Diagnostics) -> list[Built]:
    """The networks that are asked for, those with default parameters first."""
    declared = [n for n in networks.declared() if request.network in (None, n.name.text)]
    rows = [row for row in networks.variants() if request.variant in (None, row.name.text)]
    if request.parameters:
        return _with_parameters(networks, request, declared, rows, bag)
    if request.variant is not None:
        declared = []
    if request.network is not None:
        rows = []
    if not declared and not rows:
        _report_absent(networks, request, bag)
    if request == Request():
        networks.report_never_built()
    plain = [built for network in declared if (built := networks.build(network, {})) is not None]
    return plain + [built for row in rows if (built := networks.of_variant(row)) is not None]


def _with_parameters(
    networks: Networks, request: Request, declared: list[ast.Block], rows: list[ast.Variant], bag: Diagnostics
) -> list[Built]:
    """One network with parameters from outside: on top of a variant's where one is asked for, or is all there is."""
    from archdsl.config import parameters

    if request.variant is not None or not declared:
        row = rows[0] if rows else None
        base = networks.called(row) if row is not None else None
    else:
        row, base = None, (declared[0], networks.module, dict[str, Value]())
    if base is None:
        _report_absent(networks, request, bag)
        return []
    network, home, bound = base
    known = parameters(request.parameters, types_of(network), bag)
    built = networks.build(network, bound | given_values(known), row, home, changed=True)
    return [built] if built is not None else []


def _report_absent(networks: Networks, request: Request, bag: Diagnostics) -> None:
    """Say that the file does not have what is asked for; a file of blocks alone is fine where nothing is asked."""
    place = Span(networks.module.source, 0, 0)
    if request.variant is not None:
        bag.add(unknown_choice(place, "variant", request.variant, [row.name.text for row in networks.variants()]))
    elif request.network is not None:
        bag.add(unknown_choice(place, "network", request.network, [n.name.text for n in networks.declared()]))
    elif request.parameters:
        bag.add(unknown_choice(place, "parameter", next(iter(request.parameters)), ()))


def _lint(checked: Checked, module: Module, bag: Diagnostics) -> None:
    from archdsl.lints import lint

    lint(checked, module, bag)

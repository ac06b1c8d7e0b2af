"""The PyTorch back end: a checked graph to the text of a standalone module.

The way goes through values: graphs become classes (`collect`), their texts get names (`writer`), all lines go into a
view (`view`) which a template prints, and the result is read back and compared with what it may hold (`guard`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from archdsl.emit.torch.blocks import BlockClass, values_of
from archdsl.emit.torch.code import class_mark
from archdsl.emit.torch.codes import Module, Rows
from archdsl.emit.torch.collect import collect
from archdsl.emit.torch.construct import GraphWriter
from archdsl.emit.torch.docs import Origin, class_doc, file_doc, network_doc
from archdsl.emit.torch.guard import check
from archdsl.emit.torch.helpers import HELPERS, with_needs
from archdsl.emit.torch.imports import extern_names, import_lines
from archdsl.emit.torch.names import NOT_CLASS, Names, class_name, numbered
from archdsl.emit.torch.ops import ROWS
from archdsl.emit.torch.selfcheck import self_check
from archdsl.emit.torch.view import PyFile
from archdsl.emit.torch.weights import initialised
from archdsl.emit.torch.writer import ClassText, Written, write_class
from archdsl.ir.graph import Graph

if TYPE_CHECKING:
    from jinja2 import Template


def emit(network: Graph, source_name: str, source_hash: str, variant: str | None, params: int, macs: int) -> str:
    """The text of a Python module that defines the network and needs nothing but torch."""
    return emit_with(ROWS, network, Origin(source_name, source_hash, variant), params, macs)


def emit_with(rows: Rows, network: Graph, origin: Origin, params: int, macs: int) -> str:
    """`emit`, with the table of primitives given."""
    module = Module(rows)
    classes = _written(network, collect(network, module), module)
    helpers = with_needs(module.helpers)
    view = PyFile(
        file_doc(network, origin, params, macs, tuple(module.externs)),
        (),
        tuple(HELPERS[name] for name in helpers),
        tuple(written.view for written in classes),
        self_check(network, classes[-1].view.name, params),
    )
    imports = import_lines(ast.parse(_rendered(view)), module.externs)
    text = _rendered(replace(view, imports=imports))
    check(text, helpers, tuple(module.externs))
    return text


def _written(network: Graph, blocks: list[BlockClass], module: Module) -> list[Written]:
    """All classes, callees first, the network last."""
    graph_codes = [GraphWriter(module, block.first, block.names).write() for block in blocks]
    network_code = GraphWriter(module, network, dict(values_of(network))).write()
    externs = extern_names(module.externs)
    own_name, names = _class_names(network, blocks, (*externs.values(), *with_needs(module.helpers)))
    marks = {**externs, **{class_mark(number): name for number, name in names.items()}}
    classes = [
        write_class(
            ClassText(names[b.number], class_doc(b, _forms(b, blocks), names), b.graphs, code, b.arguments, marks)
        )
        for b, code in zip(blocks, graph_codes, strict=True)
    ]
    prepared = tuple(module.prepared)
    last = write_class(ClassText(own_name, network_doc(network), (network,), network_code, (), marks, prepared))
    return initialised([*classes, last], module)


def _forms(block: BlockClass, blocks: Sequence[BlockClass]) -> list[BlockClass]:
    """All classes of the same block, the most used first."""
    return sorted((b for b in blocks if b.block == block.block), key=lambda b: (-b.uses, b.place))


def _class_names(network: Graph, blocks: Sequence[BlockClass], taken: Iterable[str]) -> tuple[str, dict[int, str]]:
    """Names for all classes: the network's own first, then blocks as they are met, their further forms numbered."""
    names = Names({*NOT_CLASS, *taken})
    own = names.claim(class_name(network.name))
    given: dict[int, str] = {}
    for block in sorted(blocks, key=lambda b: b.place):
        if block.number in given:
            continue
        base = class_name(block.block)
        for number, form in enumerate(_forms(block, blocks), 1):
            given[form.number] = names.claim(base if number == 1 else numbered(base, number))
    return own, given


def _rendered(view: PyFile) -> str:
    return _template().render(file=view)


@cache
def _template() -> Template:
    """The template. jinja2 is loaded only when something is compiled."""
    from jinja2 import Environment, StrictUndefined

    source = files("archdsl.emit.torch").joinpath("templates/module.py.jinja").read_text(encoding="utf-8")
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False
    )
    return environment.from_string(source)

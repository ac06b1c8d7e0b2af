"""A class as lines: its doc, its constructor, its forward."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from archdsl.emit.torch.blocks import Argument
from archdsl.emit.torch.code import Code
from archdsl.emit.torch.codes import GraphCode, wires_of
from archdsl.emit.torch.fields import Fields, name_fields
from archdsl.emit.torch.forms import symbols_of
from archdsl.emit.torch.forward import Forward
from archdsl.emit.torch.layout import STEP
from archdsl.emit.torch.lines import INDENT, Scene
from archdsl.emit.torch.names import NOT_FIELD, Names
from archdsl.emit.torch.pretty import bracketed, statement_lines
from archdsl.emit.torch.printing import number_text
from archdsl.emit.torch.spelling import Speller
from archdsl.emit.torch.view import PyClass, PyField, PyStatement
from archdsl.ir.graph import Graph, Wire

_MOST_SHAPES = 3


@dataclass(frozen=True, slots=True)
class Written:
    """A class, and what those who initialise its weights must know of its fields."""

    view: PyClass
    fields: Fields
    code: GraphCode


@dataclass(frozen=True, slots=True)
class ClassText:
    """What a class is written from."""

    name: str
    doc: tuple[str, ...]
    graphs: Sequence[Graph]
    code: GraphCode
    arguments: Sequence[Argument]
    marks: Mapping[str, str]
    prepared: Sequence[str] = ()


def write_class(text: ClassText) -> Written:
    """The lines of a class."""
    fields = name_fields(text.code, names := Names(NOT_FIELD))
    stored = _stored(text, names)
    speller = _constructor_speller(text, fields)
    statements, forward = _forward(text, fields, stored)
    view = PyClass(
        text.name,
        text.doc,
        _constructor(text.arguments) if fields.listed or text.arguments else (),
        (*_stored_lines(stored, text.arguments), *(_field(f.name, f.code, speller) for f in fields.listed)),
        (),
        forward,
        statements,
    )
    return Written(view, fields, text.code)


def _constructor(arguments: Sequence[Argument]) -> tuple[str, ...]:
    listed = ("self", *(_parameter(argument) for argument in arguments))
    return tuple(bracketed("def __init__(", listed, ") -> None:", STEP))


def _parameter(argument: Argument) -> str:
    default = "" if argument.default is None else f" = {number_text(argument.default)}"
    return f"{argument.name}: {argument.type}{default}"


def _constructor_speller(text: ClassText, fields: Fields) -> Speller:
    spelled = {argument.symbol: argument.name for argument in text.arguments}
    taken = frozenset((*spelled.values(), *text.marks.values()))
    return Speller(lambda name: ast.Name(spelled[name]), {**text.marks, **fields.shared}, taken)


def _field(name: str, code: Code, speller: Speller) -> PyField:
    return PyField(name, tuple(statement_lines(f"self.{name} = ", speller.expression(code), INDENT)))


def _stored(text: ClassText, names: Names) -> dict[str, str]:
    """Symbols that the forward needs, and the attributes that keep them."""
    forms = [form for node in text.code.nodes for form in (*node.call.slots, *([node.again] if node.again else []))]
    used = frozenset[str]().union(*map(symbols_of, forms))
    own = {argument.symbol: argument.name for argument in text.arguments}
    return {symbol: names.field(own[symbol]) for symbol in own if symbol in used}


def _stored_lines(stored: Mapping[str, str], arguments: Sequence[Argument]) -> tuple[PyField, ...]:
    own = {argument.symbol: argument.name for argument in arguments}
    pad = " " * INDENT
    return tuple(PyField(field, (f"{pad}self.{field} = {own[symbol]}",)) for symbol, field in stored.items())


# --- forward ------------------------------------------------------------------------------------------------------


def _forward(
    text: ClassText, fields: Fields, stored: Mapping[str, str]
) -> tuple[tuple[PyStatement, ...], tuple[str, ...]]:
    """The statements of the forward, and its head."""
    graph = text.graphs[0]
    marks = _marks(len(text.code.nodes), fields)
    scene = Scene(
        Speller(lambda name: _attribute(stored[name]), {**text.marks, **fields.shared}, _local_words(graph)),
        marks,
        [wire.name for wire in graph.inputs],
        [wire.batched for wire in graph.inputs],
        [len(wire.shape) for wire in wires_of(graph)],
        _shape_comments(text.graphs),
    )
    writer = Forward(text.code, scene)
    prepared = tuple(_preparation(source, writer.inputs[0], scene.speller) for source in text.prepared)
    head = bracketed("def forward(", ("self", *(f"{name}: Tensor" for name in writer.inputs)), _result(graph), STEP)
    return (*prepared, *writer.write()), tuple(head)


def _preparation(source: str, first_input: str, speller: Speller) -> PyStatement:
    value = speller.expression(Code(source), [ast.Name(first_input)])
    return PyStatement(tuple(statement_lines("", value, INDENT)))


def _marks(count: int, fields: Fields) -> list[dict[str, str]]:
    """For each node, the names of its fields by their marks."""
    marks: list[dict[str, str]] = [{} for _ in range(count)]
    for (place, mark), name in fields.spelled.items():
        marks[place][mark] = name
    return marks


def _local_words(graph: Graph) -> frozenset[str]:
    """Names that values of a forward may have."""
    words = {wire.name.lower() for wire in wires_of(graph)} | {node.statement.lower() for node in graph.nodes}
    return frozenset(words | {"x", "h"})


def _attribute(name: str) -> ast.expr:
    return ast.Attribute(ast.Name("self"), name)


def _result(graph: Graph) -> str:
    count = len(graph.outputs)
    plain = "Tensor" if count == 1 else f"tuple[{', '.join(['Tensor'] * count)}]"
    return f") -> {plain} | tuple[Tensor, ...]:" if graph.auxiliaries else f") -> {plain}:"


def _shapes(wires: Sequence[Wire]) -> str:
    texts = ["×".join(map(str, wire.values)) for wire in wires]
    return f"{texts[0]} each" if len(texts) > 1 and len(set(texts)) == 1 else " and ".join(texts)


def _shape_comments(graphs: Sequence[Graph]) -> Callable[[Sequence[int]], str]:
    wires = [wires_of(graph) for graph in graphs]

    def comment(numbers: Sequence[int]) -> str:
        found: dict[str, None] = {}
        for listed in wires:
            found.setdefault(_shapes([listed[n] for n in numbers]))
            if len(found) > _MOST_SHAPES:
                break
        shapes = list(found)
        return ", ".join(shapes[:_MOST_SHAPES]) + (", …" if len(shapes) > _MOST_SHAPES else "")

    return comment

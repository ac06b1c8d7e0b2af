"""The JSON form of a checked network: flat tables of graphs, nodes and wires, exact numbers with their expressions.

Nothing in it nests with the network: a graph names others by their place in the table, a node its wires by theirs,
and expressions are in postfix order. `to_json` and `from_json` round-trip; the same network gives the same bytes.
`docs/schema/network.schema.json` is the published JSON Schema, printed by `python -m archdsl.schema`.
"""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError
from typing_extensions import TypeAliasType

from archdsl import limits
from archdsl.ir.graph import Graph
from archdsl.visible import clipped, visible

VERSION = 1
_BIG = 2**limits.NUMBER.value

Whole = Annotated[int, Field(ge=-_BIG, le=_BIG)]
Index = Annotated[int, Field(ge=0, le=2**31 - 1)]
Name = Annotated[str, StringConstraints(max_length=200)]
Text = Annotated[str, StringConstraints(max_length=limits.SOURCE.value)]


class Record(BaseModel):
    """What all parts of the document have in common: nothing is converted, nothing unknown is let in."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Ratio(Record):
    """An exact fraction."""

    numerator: Whole
    denominator: Annotated[int, Field(ge=1, le=_BIG)]


class Operation(Record):
    """An operator in a postfix expression; it takes the `of` values before it."""

    op: Literal["+", "-", "*", "/", "//", "%", "neg", "max", "min"]
    of: Annotated[int, Field(ge=1, le=64)]


Term = Whole | Ratio | Name | Operation


class Number(Record):
    """A number with the expression that made it, in postfix order: numbers, names of parameters, operators."""

    value: Whole | Ratio
    expr: Annotated[tuple[Term, ...], Field(max_length=limits.STEPS.value)] | None


Value = TypeAliasType("Value", bool | Whole | Text | Ratio | Number | tuple["Value", ...] | None)


class Place(Record):
    """A range of offsets in a source, counted in code points."""

    source: Index
    start: Index
    end: Index


class Origin(Record):
    """A text that the network comes from."""

    name: Text
    library: bool


class Tensor(Record):
    """One tensor inside a graph, without the batch dimension."""

    shape: tuple[Value, ...]
    name: Name
    batched: bool
    span: Place | None


class Units(Record):
    """Copies of one layer in a row."""

    node: Index
    count: Index


class Factor(Record):
    """The units of one factor of a chain: `layer`, or `layer * count`."""

    units: tuple[Units, ...]
    count: Value


class Row(Record):
    """Layers in a row."""

    segments: tuple[Factor, ...]


class Primitive(Record):
    """An application of a primitive; `body` is the layer that it wraps."""

    kind: Literal["primitive"] = "primitive"
    op: Name
    attrs: dict[Name, Value]
    body: Row | None


class BlockCall(Record):
    """An application of a block: the graph it stands for, and its symbols in the caller's terms."""

    kind: Literal["call"] = "call"
    graph: Index
    args: dict[Name, Value]


class ChainOf(Record):
    """A chain of layers, applied as one."""

    kind: Literal["chain"] = "chain"
    row: Row


class BranchesOf(Record):
    """Chains side by side on one input, merged."""

    kind: Literal["branches"] = "branches"
    rows: tuple[Row, ...]
    merge: Primitive


class ExternCall(Record):
    """An application of a Python class that the text only names."""

    kind: Literal["extern"] = "extern"
    name: Name
    path: Text
    args: dict[Name, Value]
    params: Whole


What = Annotated[Primitive | BlockCall | ChainOf | BranchesOf | ExternCall, Field(discriminator="kind")]


class Step(Record):
    """One node: what is applied to which wires."""

    what: What
    inputs: tuple[Index, ...]
    outputs: tuple[Index, ...]
    span: Place
    statement: Name
    label: Name
    shared: Text | None


class Symbol(Record):
    """A parameter of a graph, or a dimension of its input."""

    name: Name
    value: Value
    kind: Literal["required", "optional", "dimension"]
    default: Value


class Side(Record):
    """An output for training only."""

    name: Name
    wire: Index
    weight: Value


class Start(Record):
    """A rule by which weights are initialised."""

    target: Name
    weight: Name
    how: Name
    args: dict[Name, Value]
    span: Place


class Decision(Record):
    """A condition met on the way, and its outcome."""

    condition: Text
    outcome: bool


class GraphRecord(Record):
    """One block call or one network. `order` are its nodes as they run; the others stand inside chains."""

    name: Name
    kind: Literal["block", "network"]
    parameters: tuple[Symbol, ...]
    wires: tuple[Tensor, ...]
    inputs: tuple[Index, ...]
    nodes: tuple[Step, ...]
    order: tuple[Index, ...]
    outputs: tuple[Index, ...]
    output_names: tuple[Name, ...]
    auxiliaries: tuple[Side, ...]
    open_join: Primitive | None
    inits: tuple[Start, ...]
    decisions: tuple[Decision, ...]
    doc: Text
    span: Place | None


class Document(Record):
    """A checked network: its graphs, callees before callers, the network itself last; and its totals."""

    version: Literal[1] = VERSION
    network: Name
    variant: Name | None
    sources: Annotated[tuple[Origin, ...], Field(max_length=limits.FILES.value + 1)]
    graphs: Annotated[tuple[GraphRecord, ...], Field(min_length=1, max_length=limits.NODES.value)]
    totals: dict[str, JsonValue]


class NotANetwork(Exception):
    """A text is not the JSON form of a network; the message is one line."""


def to_json(graph: Graph, variant: str | None = None) -> str:
    """The JSON form of a checked network."""
    from archdsl.schema_write import document

    return document(graph, variant).model_dump_json(indent=1) + "\n"


def from_json(text: str | bytes) -> Graph:
    """The network whose JSON form this is; raises `NotANetwork` with the first thing that is wrong."""
    from archdsl.schema_read import graph_of

    if len(text) > limits.JSON.value:
        raise NotANetwork(f"over the limit of {limits.JSON}")
    try:
        return graph_of(Document.model_validate_json(text))
    except ValidationError as error:
        raise NotANetwork(_first(error)) from None


def json_schema() -> str:
    """The JSON Schema of the document, as published."""
    content = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Document.model_json_schema()}
    return json.dumps(content, indent=2) + "\n"


def ratio(value: Fraction) -> Ratio:
    """A fraction as a record."""
    return Ratio(numerator=value.numerator, denominator=value.denominator)


def _first(error: ValidationError) -> str:
    """One line on the first problem: where and what, never the input itself."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, problem["loc"])) or "the document"
    return visible(clipped(f"{place}: {problem['msg']}", 200))


if __name__ == "__main__":
    sys.stdout.write(json_schema())

"""The JSON form of a network: it round-trips, it is what the published schema says, and damaged forms are refused."""

from __future__ import annotations

import json
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import building
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archdsl.analyses import cost
from archdsl.ir.graph import Auxiliary, Chain, Extern, Graph, InitRule, Node, Parameter, Segment, Unit, Wire, all_graphs
from archdsl.scalar import Scalar
from archdsl.schema import NotANetwork, from_json, json_schema, to_json

PUBLISHED = Path(__file__).parents[1] / "docs" / "schema" / "network.schema.json"


def odd() -> Graph:
    """A small network with one of everything that the table of graphs can hold."""
    inner = building.basic(16, 8, 32, 2)
    body = building.Body("Odd", (Scalar(16, "channels"), 8, 8), kind="network")
    body.branches(body.input, "add", ((inner, 1),), ((inner, 1),), to="twin")
    extern = Node(
        Extern("mix", "a.b:Mix", {"p": Fraction(1, 3)}, 5), (body.input,), (Wire((4,)),), building.SPAN, "mixed"
    )
    wrapped = building.primitive("relu", body.input, shared="one", to="r")
    wrapped.what.body = Chain((Segment((Unit(extern, 1),), Scalar(1, "n")),))
    body.nodes += [extern, wrapped]
    deep: object = "channels"
    for i in range(3000):
        deep = ("+", deep, i)
    parameters = (
        Parameter("channels", Scalar(Fraction(7, 2), ("/", deep, Fraction(1, 2))), "required"),
        Parameter("mode", "same", "optional", None),
        Parameter("flags", (True, 1, (2, "x")), "optional", ()),
    )
    graph = body.graph(extern.outputs[0], parameters=parameters)
    graph.auxiliaries = (Auxiliary("aux", body.nodes[0].outputs[0], Fraction(3, 10)),)
    graph.inits = (InitRule("conv", "weight", "he_normal", {"mode": "fan_out"}, building.SPAN),)
    graph.decisions = (("stride == 1", False),)
    graph.open_join = building.primitive("mean", body.input, body.input).what
    return graph


GRAPHS = {"resnet": building.resnet(3), "wrn": building.wrn(4, 2), "odd": odd()}


@pytest.mark.parametrize("name", GRAPHS)
def test_round_trip(name: str) -> None:
    text = to_json(GRAPHS[name], "v1")
    again = from_json(text)
    assert to_json(again, "v1") == text
    assert building.counts(cost(again)) == building.counts(cost(GRAPHS[name]))
    assert len(all_graphs(again)) == len(all_graphs(GRAPHS[name]))


def test_expressions_come_back_as_they_were() -> None:
    (before, _, flags), (after, _, flags_again) = odd().parameters, from_json(to_json(odd())).parameters
    assert isinstance(before.value, Scalar)
    assert isinstance(after.value, Scalar)
    assert after.value == before.value
    old, new = before.value.expr, after.value.expr
    while isinstance(old, tuple):  # tuple comparison itself recurses
        assert isinstance(new, tuple)
        assert (new[0], new[2]) == (old[0], old[2])
        old, new = old[1], new[1]
    assert (old, flags.value) == (new, flags_again.value)


def test_a_thousand_units_are_one_entry() -> None:
    assert len(to_json(building.resnet(200))) < len(to_json(building.resnet(3))) + 100


def test_the_published_schema_is_current() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == json_schema(), "run `make update`"


DAMAGES: list[tuple[list[str | int], object]] = [
    (["version"], 2),
    (["graphs"], []),
    (["more"], 1),
    (["graphs", 0, "order", 0], 10**6),
    (["graphs", 0, "order", 0], -1),
    (["graphs", 0, "order", 0], "0"),
    (["graphs", 0, "inputs", 0], 999),
    (["graphs", 0, "nodes", 0, "what", "op"], "__import__"),
    (["graphs", 0, "nodes", 0, "what", "kind"], "code"),
    (["graphs", 0, "nodes", 0, "span", "source"], 7),
    (["graphs", 0, "wires", 0, "shape", 0], "x"),
    (["graphs", 0, "wires", 0, "shape", 0], 10**400),
    (["graphs", 0, "wires", 0, "shape", 0], {"value": 1, "expr": [{"op": "+", "of": 2}]}),
    (["graphs", 0, "wires", 0, "shape", 0], {"value": 1, "expr": [1, 2]}),
    (["graphs", 0, "wires", 0, "shape", 0], {"numerator": 1, "denominator": 0}),
    (["graphs", 0, "parameters", 0, "kind"], "secret"),
]


@pytest.mark.parametrize(("path", "value"), DAMAGES, ids=lambda part: repr(part)[:60])
def test_damaged_documents_are_refused_in_one_line(path: list[str | int], value: object) -> None:
    document = json.loads(to_json(building.resnet(1)))
    at = document
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    with pytest.raises(NotANetwork) as refusal:
        from_json(json.dumps(document))
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 10_000, '{"version": 1}', b"\xff", "null", "NaN"])
def test_what_is_no_document_is_refused(text: str | bytes) -> None:
    with pytest.raises(NotANetwork):
        from_json(text)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mutants_are_read_or_refused(data: st.DataObject) -> None:
    text = SMALL
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    with suppress(NotANetwork):
        from_json(text[:start] + data.draw(st.text(alphabet='0123456789[]{},:"anul', max_size=5)) + text[end:])


SMALL = to_json(building.resnet(1))

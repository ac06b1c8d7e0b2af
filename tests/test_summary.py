"""The summary: folded, complete, and equal to the counts."""

from __future__ import annotations

import json

from building import Body, conv, resnet, wrn

from archdsl.analyses import cost
from archdsl.ir.graph import Graph, Parameter
from archdsl.summary import Row, rows, summary
from archdsl.summary_json import document


def test_the_deepest_network_fits_a_page() -> None:
    graph = resnet(200)
    text = summary(graph, cost(graph))
    assert len(text.splitlines()) <= 60
    assert "basic(16) × 200" in text
    assert "basic(64) × 199" in text
    assert "19,421,274" in text
    assert "2 × MACs" in text
    assert "↓2 64×8×8" in text


def test_rows_add_up() -> None:
    for graph in (resnet(18), wrn(4, 10)):
        found, table = cost(graph), rows(graph)
        assert sum(row.params for row in table) == found.params.total
        assert sum(row.macs for row in table) == found.macs.total
        image = 4 * 3 * 32 * 32  # kept by the first convolution, made by no row
        assert sum(row.kept.per_sample for row in table) + image == found.memory.kept.per_sample
        for row in table:
            _check_below(row)


def _check_below(row: Row) -> None:
    units = [inner for inner in row.below if not inner.name]
    if units:
        assert sum(inner.params for inner in units) == row.params
        assert sum(inner.kept.per_sample for inner in units) == row.kept.per_sample
    for inner in row.below:
        _check_below(inner)


def _plain(channels: int) -> Graph:
    body = Body("basic", (channels, 8, 8))
    return body.graph(
        body.row(body.input, conv(channels + 1), "bn", "relu", to="out"),
        parameters=(Parameter("width", channels + 1, "required"),),
    )


def test_many_different_units_fold_into_one_row() -> None:
    net = Body("Widening", (16, 8, 8), kind="network")
    x = net.chain(net.input, *[(_plain(16 + i), 1) for i in range(40)], to="stage")
    text = summary(net.graph(x), cost(net.graph(x)), lines=20)
    assert len(text.splitlines()) <= 20
    assert "basic(17) … (56) × 40" in text


def test_the_data_form_is_json() -> None:
    graph = resnet(3)
    record = json.loads(json.dumps(document(graph, cost(graph))))
    assert record["totals"]["parameters"]["total"] == 269_722
    assert [row["name"] for row in record["rows"]] == ["conv1", "conv2", "conv3", "conv4", "output"]
    assert record["rows"][0]["receptive_field"] == {"extent": 3.0, "stride": 1.0, "everything": False}

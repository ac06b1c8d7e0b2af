"""The static counts: against the published numbers, against torch, and in time that does not grow with depth."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction

import pytest
from building import SPAN, Body, basic, called, conv, counts, resnet, wide, wrn

from archdsl.analyses import Bytes, cost, depth, fields, macs, memory, params
from archdsl.analyses.kept import Way, kept_in
from archdsl.ir.graph import Auxiliary, Chain, Extern, Graph, Node, Segment, Unit, Wire
from archdsl.ir.verify import BrokenGraph, verify
from archdsl.scalar import Scalar


@pytest.mark.parametrize(
    ("graph", "parameters", "multiply_accumulates"),
    [
        (resnet(3), 269_722, 40_551_040),
        (resnet(18), 1_727_962, 252_887_680),
        (resnet(200), 19_421_274, 2_829_238_912),
        (wrn(4, 10), 36_479_194, 5_243_328_768),
        (wrn(2, 4), 2_748_890, 392_612_352),
    ],
)
def test_published_counts(graph: Graph, parameters: int, multiply_accumulates: int) -> None:
    assert params(graph).total == parameters
    assert macs(graph).total == multiply_accumulates
    assert macs(graph).flops == 2 * multiply_accumulates


def test_parameters_by_kind() -> None:
    found = params(resnet(3))
    assert (found.conv_weight, found.norm, found.linear_weight, found.linear_bias) == (267_696, 1_376, 640, 10)
    assert found.trainable == found.total


def test_a_million_units_cost_as_much_as_three() -> None:
    best = {}
    for n in (3, 200, 1_000_000):
        times = []
        for _ in range(5):
            graph = resnet(n)
            start = time.process_time()
            found = cost(graph)
            counts(found)
            times.append(time.process_time() - start)
        best[n] = min(times)
        assert found.depth == 6 * n + 2
    assert best[1_000_000] < 0.010
    assert best[200] < 0.010


def test_shared_weights_count_once_and_compute_every_time() -> None:
    body = Body("twice", (16, 8, 8))
    x = body.op("conv", body.input, width=16, kernel=3, shared="f")
    x = body.op("conv", x, width=16, kernel=3, shared="f")
    graph = body.graph(x)
    assert params(graph).total == 16 * 16 * 9
    assert macs(graph).total == 2 * 16 * 16 * 9 * 64


def test_a_shared_unit_in_a_chain_counts_once() -> None:
    body = Body("again", (16, 8, 8))
    node = called(basic(16, 8, 16), body.input)
    node.shared = "f"
    chain = Chain((Segment((Unit(node, 5),), Scalar(5)),))
    out = Wire((16, 8, 8))
    graph = Graph("again", "block", (), body.inputs, (Node(chain, body.inputs, (out,), node.span),), (out,), ("out",))
    assert params(graph) == params(basic(16, 8, 16))
    assert macs(graph).total == 5 * macs(basic(16, 8, 16)).total


def test_receptive_field_of_parallel_paths_is_the_larger() -> None:
    body = Body("paths", (8, 16, 16))
    far = body.row(body.input, conv(8, 5), conv(8, 3))
    near = body.row(body.input, conv(8, 1))
    graph = body.graph(body.op("concat", far, near))
    assert fields(graph)[0].extent == 7


def test_receptive_field_grows_with_the_stride_before() -> None:
    body = Body("strided", (3, 32, 32))
    x = body.row(body.input, conv(8, 3, stride=2), conv(8, 3), ("max_pool", {"kernel": 2, "stride": 2}), conv(8, 3))
    assert (fields(body.graph(x))[0].extent, fields(body.graph(x))[0].stride) == (3 + 4 + 2 + 8, Fraction(4))


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_repeats_are_what_copies_would_be(count: int) -> None:
    """A folded chain and the same units written one after the other have the same counts."""
    units = {True: wide(16, 16, 16), False: basic(16, 16, 16)}
    for unit in units.values():
        folded, unfolded = Body("folded", (3, 16, 16)), Body("unfolded", (3, 16, 16))
        x = folded.chain(folded.row(folded.input, conv(16)), (unit, count))
        y = unfolded.row(unfolded.input, conv(16))
        for _ in range(count):
            y = unfolded.call(unit, y)
        one, other = cost(folded.graph(x)), cost(unfolded.graph(y))
        # a chain holds its input while it runs, so that only the peak may differ
        assert replace(one.memory, peak=Bytes()) == replace(other.memory, peak=Bytes())
        assert counts(one)[1:] == counts(other)[1:]


def test_field_of_many_strided_copies_is_closed_form() -> None:
    body = Body("half", (4, 64, 64))
    half = body.graph(body.row(body.input, conv(4, 3, stride=2)))
    net = Body("net", (4, 64, 64))
    x = net.chain(net.input, (half, 3))
    found = fields(net.graph(x))[0]
    assert (found.extent, found.stride) == (1 + 2 + 4 + 8, 8)


def test_depth_is_the_longest_path() -> None:
    assert depth(resnet(18)) == 110
    assert depth(wide(16, 32, 32)) == 2  # the projection lies beside it


def test_one_tensor_kept_twice_counts_once() -> None:
    body = Body("pair", (4, 8, 8))
    x = body.row(body.input, conv(4), "relu", conv(4))
    kept = memory(body.graph(x)).kept
    assert kept == Bytes(2 * 4 * 4 * 64, 0)  # the input, and the ReLU's output which the convolution keeps too


def test_nothing_is_kept_before_the_first_weight() -> None:
    body = Body("dry", (4, 8, 8))
    x = body.row(body.input, ("dropout", {"p": Fraction(1, 5)}), "relu")
    assert memory(body.graph(x)).kept == Bytes()


def test_views_and_idle_layers_cost_nothing() -> None:
    body = Body("views", (4, 8, 8))
    x = body.row(body.input, conv(4), ("dropout", {"p": 0}), "identity", "flatten")
    assert memory(body.graph(x)).activations == Bytes(4 * 4 * 64, 0)


def test_a_factor_is_kept_for_the_gradient_of_the_other() -> None:
    body = Body("gate", (4, 8, 8))
    x = body.row(body.input, conv(4))
    graph = body.graph(body.op("mul", x, body.input))
    kept = kept_in(graph, (Way(grad=False),))
    assert kept.inputs == {0}
    assert not kept.outputs[0].saved
    assert kept.inside == Bytes()


def test_optimiser_state() -> None:
    found = memory(resnet(3))
    weights = 4 * 269_722
    assert found.training(0, "sgd") - found.kept.at(0) == 3 * weights
    assert found.training(0, "adam") - found.kept.at(0) == 4 * weights


def test_branches_add_up() -> None:
    body = Body("many", (8, 8, 8))
    unit = wide(8, 8, 8)
    x = body.branches(body.input, "sum", *[((unit, 2),)] * 4)
    graph = body.graph(x)
    assert params(graph).total == 8 * params(unit).total
    assert depth(graph) == 4
    assert fields(graph)[0].extent == 9


def test_extern_is_named_as_unknown() -> None:
    body = Body("outside", (8, 8, 8))
    out = Wire((8, 8, 8))
    node = Node(Extern("Fancy", "package.module:Fancy", {}, 100), body.inputs, (out,), SPAN)
    body.nodes.append(node)
    found = cost(body.graph(out))
    assert (found.params.total, found.unknown) == (100, ("Fancy",))


@pytest.mark.parametrize("graph", [resnet(3), wrn(2, 2)])
def test_graphs_satisfy_the_invariants(graph: Graph) -> None:
    verify(graph)


def test_a_broken_graph_is_refused() -> None:
    body = Body("broken", (3, 8, 8))
    out = body.row(body.input, conv(8))
    graph = body.graph(out)
    out.shape = (9, 8, 8)
    with pytest.raises(BrokenGraph, match=r"conv gives \[\(8, 8, 8\)\], recorded is \[\(9, 8, 8\)\]"):
        verify(graph)
    graph.nodes = ()
    with pytest.raises(BrokenGraph, match="nothing makes"):
        verify(graph)


def test_auxiliary_heads_are_learned_and_not_run_in_evaluation() -> None:
    net = Body("Net", (3, 8, 8), kind="network")
    x = net.row(net.input, conv(8), "relu", to="x")
    side = net.row(x, "global_max_pool", ("linear", {"width": 100}), to="side")
    out = net.row(x, "global_avg_pool", ("linear", {"width": 10}), to="output")
    graph = net.graph(out)
    graph.auxiliaries = (Auxiliary("side", side, Fraction(3, 10)),)
    assert params(graph).total == 9 * 24 + 8 * 10 + 10 + 8 * 100 + 100
    assert macs(graph).total == 9 * 24 * 64 + 8 * 10
    assert memory(graph).activations == Bytes(4 * (2 * 8 * 64 + 8 + 10), 0)

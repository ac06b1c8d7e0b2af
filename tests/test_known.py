"""Files that are checked together share their work, and nothing else: each has the findings it has alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from archdsl.elaborate.known import Known
from archdsl.elaborate.load import Reader
from archdsl.pipeline import Checked, check
from archdsl.pipeline import compile as compiled
from archdsl.source import Source

SPECS = Path(__file__).parent.parent / "specs"
# The network of one file is in the next one's table; the third applies the same blocks.
TOGETHER = ("resnet-20", "resnet", "resnet-bottleneck", "fractalnet-20", "fractalnet", "shake-shake-26-2x32d")

FAMILY = """
k = 8
fn twice(x) = 2 * x
block unit(width, stride = 1) { out = in -> conv(width, 3, stride=stride) -> bn -> relu }
network Net(width = k, size = 9, classes = 10) {
    input image: [3, size, size]
    x = image -> unit(twice(width)) -> max_pool(2)
    output = x -> global_avg_pool -> linear(classes)
}
"""


def source(stem: str) -> Source:
    return Source(str(SPECS / f"{stem}.arch"), (SPECS / f"{stem}.arch").read_text())


def said(checked: Checked) -> list[str]:
    return [f"{d.primary.span} {d.code} {d.title} {d.notes} {d.hint}" for d in checked.diagnostics]


def test_together_as_alone() -> None:
    known = Known()
    for stem in TOGETHER:
        shared, texts = compiled(source(stem), known=known)
        alone, wanted = compiled(source(stem))
        assert said(shared) == said(alone)
        assert texts == wanted
        for one, other in zip(shared.networks, alone.networks, strict=True):
            assert (one.name, one.variant, one.parameters) == (other.name, other.variant, other.parameters)
            assert (one.cost.params, one.cost.macs, one.cost.depth) == (
                other.cost.params,
                other.cost.macs,
                other.cost.depth,
            )


def test_a_network_of_several_files_is_built_once() -> None:
    known = Known()
    single = check(source("resnet-20"), known=known).networks[-1].graph
    family = check(source("resnet"), known=known).networks
    assert any(network.graph is single for network in family)
    assert not any(network.graph is single for network in check(source("resnet")).networks)


def read(text: str) -> Reader:
    return lambda importing, path: Source(path, text)


def importing(name: str, call: str) -> Source:
    return Source(name, f'import "family.arch" {{ Net }}\nvariants {{ v = {call}, error(cifar10) = 5% }}\n')


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("Net(8)", FAMILY),  # a note: the pool drops a row
        ("Net(8, 8)", FAMILY.replace("twice(width)", "twice(width) / 3")),  # not whole
        ("Net(8, 8)", FAMILY.replace("twice(width)", "twise(width)")),  # no such name
        ("Net(8, 8)", FAMILY.replace("k = 8", "k = 1 / 0").replace("twice(width)", "k")),  # in a constant
        ("Net(8, 8)", FAMILY.replace("-> bn", "-> bn ->")),  # a text that does not read
    ],
)
def test_findings_in_a_shared_file_are_said_of_each(call: str, text: str) -> None:
    known = Known()
    for name in ("one.arch", "two.arch"):
        shared = check(importing(name, call), reader=read(text), known=known)
        alone = check(importing(name, call), reader=read(text))
        assert said(shared) == said(alone)
        assert said(shared)


def test_a_text_that_changed_is_read_again() -> None:
    known = Known()
    counts: list[int] = []
    for text in (FAMILY, FAMILY.replace("conv(width, 3", "conv(width, 5"), FAMILY):
        checked = check(importing("one.arch", "Net(8, 8)"), reader=read(text), known=known)
        assert not said(checked)
        counts.append(checked.networks[0].cost.params.total)
    assert counts[0] == counts[2] < counts[1]


def test_what_is_known_is_bounded() -> None:
    known = Known()
    for size in range(1, 300):
        check(importing(f"{size}.arch", f"Net({size}, 8)"), reader=read(FAMILY), known=known)
    assert len(known.parsed) <= 200

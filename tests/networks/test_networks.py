"""Promises R12 to R15 on whole networks drawn at random.

R12: static shapes of every node, parameters, multiply-accumulates, kept bytes equal torch's: 2,000 networks here,
ARCHDSL_NETWORKS in `make prove` (10,000 unless it says otherwise; the figure of the promise is 100,000). R13: what is
accepted runs, a batch of one included, and what is refused torch refuses too: 1,000 networks here, twice
ARCHDSL_NETWORKS at length. R14, R15: 1,000 modules import, run and train without archdsl, 200 a process, and give
the bits of `archdsl.loads(...).build()`. A program that ever failed is kept in `crashes/` and run for ever.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from test_ops import PROBES, STRICTER, Draw, runs

import archdsl
from archdsl.ops import OPS
from archdsl.verify import build, compare
from networks.alone import BATCH, built, samples, trained
from networks.generator import Edge, edge, program
from networks.oracle import Compiled, Refused, check, compiled, failure, story
from networks.shrink import shrunk

HERE = Path(__file__).parent
SHARD = 200
LONG = int(os.environ.get("ARCHDSL_NETWORKS", "10000"))
FIRST_LONG = 1_000_000
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# --- R12 ----------------------------------------------------------------------------------------------------------


def batch_of(seed: int) -> int:
    return 2 + seed % 2


def hold(first: int, count: int) -> None:
    """Every network of a shard; of one that fails the seed, the shortened program and what differs are told."""
    for seed in range(first, first + count):
        text, batch = program(seed), batch_of(seed)
        if failure(text, batch):
            short = shrunk(text, lambda t, batch=batch: failure(t, batch))
            pytest.fail(f"seed {seed}, batch {batch}: {story(text, batch)}\n\n{short}\n{story(short, batch)}\n\n{text}")


@pytest.mark.parametrize("shard", range(10))
def test_static_numbers_are_those_of_torch(shard: int) -> None:
    hold(shard * SHARD, SHARD)


@pytest.mark.prove
@pytest.mark.parametrize("shard", range(-(-LONG // SHARD)))
def test_static_numbers_are_those_of_torch_at_length(shard: int) -> None:
    hold(FIRST_LONG + shard * SHARD, SHARD)


@pytest.mark.parametrize("path", sorted((HERE / "crashes").glob("*.arch")), ids=lambda path: path.stem)
def test_what_failed_once_does_not_again(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [story(text, batch) for batch in (2, 3)] == ["", ""]


def test_every_primitive_occurs() -> None:
    missing = set(OPS) - {"identity"}  # which leaves no node
    for seed in range(SHARD * 10):
        missing -= {a.op.name for a in compiled(program(seed)).ops if a.op is not None}
        if not missing:
            return
    pytest.fail(f"{missing} not in {SHARD * 10} networks")


@pytest.mark.parametrize("first", [0, 20])
def test_verify_agrees(first: int) -> None:
    for seed in range(first, first + 20):
        c = compiled(program(seed))
        report = compare(c.text, c.graph)
        assert report.ok, f"seed {seed}\n{report}"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("bias=False", "bias=True"),
        ("padding=1", "padding=1, padding_mode='circular'"),
        ("F.relu(", "F.relu6(6 * "),
        ("torch.cat((image, a)", "torch.cat((a, image)"),
    ],
)
def test_a_module_that_differs_is_found_out(right: str, wrong: str) -> None:
    """Negative control: what the oracle says of a module that is not quite the one of its graph."""
    text = "network Net() {\n    input image: [2, 6, 6]\n    a = image -> conv(4, 3) -> bn -> relu\n"
    c = compiled(text + "    output = concat(image, a)\n}\n")
    assert right in c.text
    check(c, 2)
    with pytest.raises(AssertionError):
        check(Compiled(c.source, c.checked, c.text.replace(right, wrong)), 2)


# --- R13 ----------------------------------------------------------------------------------------------------------


def drawn(rng: random.Random) -> Draw:
    return Draw(rng.randint)


def on_the_edge(seed: int) -> str:
    """Whether both sides accept a network, or both refuse its last layer."""
    e = edge(seed, PROBES, drawn)
    c = accepted(e.text)
    if c is None:
        assert accepted(e.prefix + "    output = t0\n}\n"), f"seed {seed}: {e.text}"
        assert refused_by_torch(e), f"seed {seed}: {e.text}"
        return "refused"
    wrong = story(e.text, batch_of(seed))
    assert not wrong, f"seed {seed}: {e.text}\n{wrong}"
    return "accepted, not for a batch of one" if c.lone else "accepted"


def accepted(text: str) -> Compiled | None:
    try:
        return compiled(text)
    except Refused:
        return None


def refused_by_torch(e: Edge) -> bool:
    return e.op in STRICTER or not runs(e.op, e.shapes, e.given)


def hold_edge(first: int, count: int) -> None:
    tally = Counter(on_the_edge(seed) for seed in range(first, first + count))
    assert min(tally["accepted"], tally["refused"], tally["accepted, not for a batch of one"]) > 0, tally


@pytest.mark.parametrize("shard", range(5))
def test_what_is_valid_runs_and_what_is_not_does_not(shard: int) -> None:
    hold_edge(shard * SHARD, SHARD)


@pytest.mark.prove
@pytest.mark.parametrize("shard", range(-(-2 * LONG // SHARD)))
def test_what_is_valid_runs_and_what_is_not_does_not_at_length(shard: int) -> None:
    hold_edge(FIRST_LONG + shard * SHARD, SHARD)


# --- R14, R15 -----------------------------------------------------------------------------------------------------


def one_seed_one_result(text: str, c: Compiled) -> str:
    """The hash of one training step: the same for what `load` builds and for the text that `compile` writes."""
    shapes = [wire.values for wire in c.graph.inputs]
    makers = (archdsl.loads(archdsl.Source("net.arch", text)).build, lambda: build(c.text, c.graph.name))
    one, other = (trained(built(make), samples(shapes, BATCH)) for make in makers)
    assert one == other, text
    return one


def hold_alone(first: int, folder: Path) -> None:
    """Modules of a shard in one process without archdsl: each gives the bits that it gives here."""
    jobs, expected = [], []
    for seed in range(first, first + SHARD):
        text = program(seed)
        c = compiled(text)
        file = folder / f"net{seed}.py"
        file.write_text(c.text, encoding="utf-8")
        jobs.append([str(file), class_of(c), [wire.values for wire in c.graph.inputs]])
        expected.append(one_seed_one_result(text, c))
    (folder / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    command = [sys.executable, "-I", str(HERE / "alone.py"), str(folder / "jobs.json")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    found = done.stdout.split()
    wrong = next((i for i, one in enumerate(expected) if found[i : i + 1] != [one]), None)
    assert wrong is None, f"seed {first + (wrong or 0)}\n{done.stderr[-2000:]}"
    assert done.returncode == 0, done.stderr[-2000:]


def class_of(c: Compiled) -> str:
    """The network's class: the last one in the file."""
    return c.text.rpartition("\nclass ")[2].partition("(")[0]


@pytest.mark.parametrize("shard", range(5))
def test_modules_run_alone_and_give_the_same_bits(shard: int, tmp_path: Path) -> None:
    hold_alone(10_000 + shard * SHARD, tmp_path)


@pytest.mark.prove
@pytest.mark.parametrize("shard", range(-(-LONG // SHARD)))
def test_modules_run_alone_and_give_the_same_bits_at_length(shard: int, tmp_path: Path) -> None:
    hold_alone(2 * FIRST_LONG + shard * SHARD, tmp_path)


def test_ruff_has_nothing_to_say(tmp_path: Path) -> None:
    for seed in range(150):
        (tmp_path / f"net{seed}.py").write_text(compiled(program(seed)).text, encoding="utf-8")
    config = ["--config", str(HERE.parent.parent / "pyproject.toml"), "--no-cache"]
    for command in (["check", "--ignore", "N801,N812"], ["format", "--check", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *config, str(tmp_path)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-500:]

"""Promises R12 to R15 on whole networks drawn at random.

R12: static shapes of every node, parameters, multiply-accumulates, kept bytes equal torch's: 2,000 networks here,
100,000 in `make prove`. R13: what is accepted runs, a batch of one included, and what is refused torch refuses too:
1,000 networks here and 20,000 at length; single layers are in `test_ops.py`. R14, R15: 1,000 modules here, 10,000 at
length, import, run and train without archdsl, 200 a process, and give the bits of `archdsl.loads(...).build()`.
A program that ever failed is kept in `crashes/` and run for ever.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from soak import Tally, shards
from test_ops import PROBES, STRICTER, Draw, runs

import archdsl
from archdsl.ops import OPS
from archdsl.verify import compare
from networks.alone import BATCH, built, samples, trained
from networks.generator import Edge, edge, program
from networks.oracle import Compiled, Refused, check, compiled, failure, hold, story
from networks.shrink import shrunk

HERE = Path(__file__).parent
SHARD = 200
FIRST_LONG = 1_000_000
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("one_thread")]


# --- R12 ----------------------------------------------------------------------------------------------------------


def batch_of(seed: int) -> int:
    return 2 + seed % 2


def hold_all(first: int, count: int, tally: Tally) -> None:
    """Every network of a shard; of one that fails the seed, the shortened program and what differs are told."""
    tally.seed = f"{FIRST_LONG} + case"
    for seed in range(first, first + count):
        with tally.case():
            text, batch = program(seed), batch_of(seed)
            failed = failure(text, batch)
        if failed:
            short = shrunk(text, lambda t, batch=batch: failure(t, batch))
            told = f"seed {seed}, batch {batch}: {story(text, batch)}\n\n{short}\n{story(short, batch)}\n\n{text}"
            pytest.fail(told)


@pytest.mark.parametrize("shard", range(10))
def test_static_numbers_are_those_of_torch(shard: int) -> None:
    hold_all(shard * SHARD, SHARD, Tally())


@pytest.mark.prove
@pytest.mark.promised("R12", of="networks")
@pytest.mark.parametrize(("first", "count"), shards(100_000, SHARD))
def test_static_numbers_are_those_of_torch_at_length(first: int, count: int, soak: Tally) -> None:
    hold_all(FIRST_LONG + first, count, soak)


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
    try:
        hold(e.text, batch_of(seed))
    except Exception as error:
        raise AssertionError(f"seed {seed}: {e.text}\n{error}") from error
    return "accepted, not for a batch of one" if c.lone else "accepted"


def accepted(text: str) -> Compiled | None:
    try:
        return compiled(text)
    except Refused:
        return None


def refused_by_torch(e: Edge) -> bool:
    return e.op in STRICTER or not runs(e.op, e.shapes, e.given)


def hold_edge(first: int, count: int, tally: Tally) -> None:
    tally.seed = f"{FIRST_LONG} + case"
    went: Counter[str] = Counter()
    for seed in range(first, first + count):
        with tally.case():
            went[on_the_edge(seed)] += 1
    if count >= SHARD:
        assert min(went["accepted"], went["refused"], went["accepted, not for a batch of one"]) > 0, went


@pytest.mark.parametrize("shard", range(5))
def test_what_is_valid_runs_and_what_is_not_does_not(shard: int) -> None:
    hold_edge(shard * SHARD, SHARD, Tally())


@pytest.mark.prove
@pytest.mark.promised("R13", of="networks")
@pytest.mark.parametrize(("first", "count"), shards(20_000, SHARD))
def test_what_is_valid_runs_and_what_is_not_does_not_at_length(first: int, count: int, soak: Tally) -> None:
    hold_edge(FIRST_LONG + first, count, soak)


# --- R14, R15 -----------------------------------------------------------------------------------------------------


def here(text: str) -> tuple[archdsl.Spec, str]:
    """What a program is in memory, and the hash of one step of training it."""
    spec = archdsl.loads(archdsl.Source("net.arch", text))
    return spec, trained(built(spec.build), samples([wire.values for wire in spec.network.graph.inputs], BATCH))


def written(spec: archdsl.Spec) -> str:
    """The text that `archdsl compile` writes."""
    return spec.module_text()


def hold_alone(first: int, count: int, folder: Path, tally: Tally) -> None:
    """Modules of a shard in one process without archdsl: each gives the bits that it gives here."""
    tally.seed = f"{2 * FIRST_LONG} + case"
    jobs, expected = [], []
    for seed in range(first, first + count):
        with tally.case():
            spec, bits = here(program(seed))
            file, text = folder / f"net{seed}.py", written(spec)
        file.write_text(text, encoding="utf-8")
        jobs.append([str(file), class_of(text), [wire.values for wire in spec.network.graph.inputs]])
        expected.append(bits)
    (folder / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    command = [sys.executable, "-I", str(HERE / "alone.py"), str(folder / "jobs.json")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    found = done.stdout.split()
    wrong = next((i for i, one in enumerate(expected) if found[i : i + 1] != [one]), None)
    assert wrong is None, f"seed {first + (wrong or 0)}\n{done.stderr[-2000:]}"
    assert done.returncode == 0, done.stderr[-2000:]


def class_of(text: str) -> str:
    """The network's class: the last one in the file."""
    return text.rpartition("\nclass ")[2].partition("(")[0]


@pytest.mark.parametrize("shard", range(5))
def test_modules_run_alone_and_give_the_same_bits(shard: int, tmp_path: Path) -> None:
    hold_alone(10_000 + shard * SHARD, SHARD, tmp_path, Tally())


@pytest.mark.prove
@pytest.mark.promised("R14, R15", of="modules")
@pytest.mark.parametrize(("first", "count"), shards(10_000, SHARD))
def test_modules_run_alone_and_give_the_same_bits_at_length(
    first: int, count: int, tmp_path: Path, soak: Tally
) -> None:
    hold_alone(2 * FIRST_LONG + first, count, tmp_path, soak)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda text: text.replace("bias=False", "bias=True", 1), "other weights"),
        (lambda text: "import archdsl\n" + text, "archdsl at hand"),
        (lambda text: text + "\n(", "no Python"),
    ],
)
def test_a_module_that_is_not_the_one_in_memory_is_found_out(
    change: Callable[[str], str], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control of R14 and R15: what is written for the other process is changed."""
    real = archdsl.Spec.module_text
    spec = archdsl.loads("network Net() {\n    input x: [2, 6, 6]\n    output = x -> conv(4, 3) -> bn\n}\n")
    assert change(real(spec)) != real(spec), what
    monkeypatch.setattr("networks.test_networks.program", lambda seed: spec.checked.source.text)
    hold_alone(0, 1, tmp_path, Tally())
    monkeypatch.setattr("networks.test_networks.written", lambda spec: change(real(spec)))
    with pytest.raises(AssertionError):
        hold_alone(0, 1, tmp_path, Tally())


def test_ruff_has_nothing_to_say(tmp_path: Path) -> None:
    for seed in range(150):
        (tmp_path / f"net{seed}.py").write_text(compiled(program(seed)).text, encoding="utf-8")
    config = ["--config", str(HERE.parent.parent / "pyproject.toml"), "--no-cache"]
    for command in (["check", "--ignore", "N801,N812"], ["format", "--check", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *config, str(tmp_path)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-500:]

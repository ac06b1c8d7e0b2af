"""R05: coverage-guided fuzzing finds nothing.

Four targets: the parser, everything that is done with a text, the generator (on programs that are valid, so that each
must come out as a module), and the readers of data sets. Each runs in a process of its own with 1 GiB of memory at
most, a watch for hangs, and 1 CPU second at most for an input. Promised: a minute each in CI, 15 minutes in SOAK;
`make test` gives each `ARCHDSL_FUZZ_SECONDS` (30), which is what its time allows. What is found is kept in
`tests/crashes`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zlib
from importlib.util import find_spec
from pathlib import Path

import pytest
from soak import SEED, Tally, scaled

from promises import datasets, saved

SECONDS = int(os.environ.get("ARCHDSL_FUZZ_SECONDS", "30"))
SOAK_SECONDS = 15 * 60
TARGETS = ("parser", "validator", "generator", "data")
ROOT = Path(__file__).parents[2]
fuzzer = pytest.mark.skipif(find_spec("atheris") is None, reason="atheris, the fuzzer, has no wheel for this platform")


@fuzzer
@pytest.mark.parametrize("target", TARGETS)
def test_fuzzing_finds_nothing(target: str, tmp_path: Path) -> None:
    _fuzz(target, SECONDS, tmp_path, Tally())


@fuzzer
@pytest.mark.prove
@pytest.mark.promised("R05", of="fuzzed inputs")
@pytest.mark.parametrize("target", TARGETS)
def test_fuzzing_at_length_finds_nothing(target: str, tmp_path: Path, soak: Tally) -> None:
    _fuzz(target, scaled(SOAK_SECONDS), tmp_path, soak)


def _fuzz(target: str, seconds: int, folder: Path, tally: Tally) -> None:
    tally.seed = SEED
    done = _run(target, folder, f"-max_total_time={seconds}", f"-seed={zlib.crc32(SEED.encode())}")
    tally.cases = _figure(done, "number_of_executed_units")
    print(f"{target}: {tally.cases} inputs, {_figure(done, 'new_units_added')} of them reached new code")
    assert done.returncode == 0, _found(target, folder, done)
    assert _figure(done, "new_units_added") > 0, f"the fuzzer sees no coverage\n{done.stderr[-1000:]}"


def _run(
    target: str, folder: Path, *options: str, plant: str = "def plant(): pass"
) -> subprocess.CompletedProcess[str]:
    """`python -m promises.fuzz`, with a mistake planted."""
    code = f"from promises.fuzz import main\n{plant}\nmain(plant)\n"
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    python = [sys.executable, "-X", "faulthandler", "-c", code, target, str(folder), *options]
    # libFuzzer reads the peak of memory, and a process starts with the peak of the one that ran it: a shell in between
    # is small, and tests that went before are not counted
    command = ["sh", "-c", '"$@"; exit $?', "sh", *python]
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, errors="replace", env=env, cwd=folder, check=False)


def _figure(done: subprocess.CompletedProcess[str], name: str) -> int:
    found = re.search(rf"stat::{name}: +(\d+)", done.stderr)
    return int(found[1]) if found else 0


def _found(target: str, folder: Path, done: subprocess.CompletedProcess[str]) -> str:
    """What the run stopped at, kept for ever."""
    kept = [saved.keep_input(target, path.read_bytes()) for path in _stopped_at(folder)]
    return f"{target} stopped ({done.returncode}) at {kept}\n{(done.stdout + done.stderr)[-6000:]}"


def _stopped_at(folder: Path) -> list[Path]:
    return sorted(path for kind in ("crash", "timeout", "oom") for path in folder.glob(f"{kind}-*"))


@fuzzer
@pytest.mark.parametrize("path", saved.kept_inputs(), ids=lambda path: path.name)
def test_what_was_found_stays_right(path: Path, tmp_path: Path) -> None:
    from promises.fuzz import prepared

    prepared(path.suffix[1:], tmp_path)(path.read_bytes())


def test_every_whole_set_is_taken(tmp_path: Path) -> None:
    """Else the fuzzer would start from files that are refused at once."""
    datasets.prepare(tmp_path)
    for data in datasets.seeds():
        assert datasets.feed(data, tmp_path), datasets.SETS[data[0]]


# ---- the fuzzer must bite ----------------------------------------------------------------------------------------

# Mistakes on paths that no seed takes.
PLANTED = {
    "parser": """
def plant():
    from archdsl.syntax import parser
    real = parser.tokenize
    def broken(*given):
        found = real(*given)
        if "NUMBER NUMBER" in " ".join(token.type for token in found.tokens):
            raise KeyError("planted")
        return found
    parser.tokenize = broken
""",
    "data": """
def plant():
    from archdsl.train.data import cifar
    real = cifar.read_pickle
    def broken(data):
        try:
            return real(data)
        except cifar.NotAllowed as refusal:
            raise KeyError("planted") if "imports" in str(refusal) else refusal
    cifar.read_pickle = broken
""",
}


@fuzzer
@pytest.mark.parametrize("target", PLANTED)
def test_a_planted_mistake_is_found(target: str, tmp_path: Path) -> None:
    """The negative control."""
    done = _run(target, tmp_path, "-runs=20000", "-max_total_time=60", "-seed=1", plant=PLANTED[target])
    print(_figure(done, "number_of_executed_units"), "inputs")
    assert done.returncode != 0
    assert "KeyError: 'planted'" in done.stdout + done.stderr
    assert _stopped_at(tmp_path)

"""R18: the same input gives the same bytes, whatever the surroundings.

Two hundred programs (the golden corpus and the specs) through everything that is printed, in processes with other hash
seeds, locales, working directories and time zones. Promised: 200 x 8 seeds x 3 locales x 2 directories x 2 zones, no
byte of difference. `make test` covers every value of each axis in 8 processes, `make prove` all 96 combinations.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from soak import share

ROOT = Path(__file__).parents[2]
SEEDS = ("0", "1", "2", "3", "42", "1000", "31337", "4294967295")
LOCALES = ("C", "C.UTF-8", "POSIX")
ZONES = ("UTC", "Asia/Kathmandu")
PLACES = ("/", ".")
EVERY = list(product(SEEDS, LOCALES, ZONES, PLACES))
# Each seed once; each locale, zone and directory several times.
FEW = [(seed, LOCALES[i % 3], ZONES[i % 2], PLACES[i // 2 % 2]) for i, seed in enumerate(SEEDS)]
_RUN = """
import hashlib, sys
from promises.golden import corpus, printed
total = hashlib.sha256()
for name, text in corpus().items():
    for kind, words in printed(name, text).items():
        total.update(f"{name}/{kind}\\0{words}\\0".encode("utf-8", "surrogatepass"))
print(len(corpus()), total.hexdigest())
"""


def _digest(seed: str, locale: str, zone: str, place: str, folder: Path) -> str:
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    surroundings = {"PYTHONHASHSEED": seed, "LC_ALL": locale, "LANG": locale, "TZ": zone, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", _RUN],
        cwd=folder if place == "." else place,
        env={"PATH": os.environ["PATH"], **surroundings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> str:
    return _digest(*FEW[0], tmp_path_factory.mktemp("first"))


@pytest.mark.parametrize("surroundings", FEW[1:], ids="-".join)
def test_the_same_bytes(surroundings: tuple[str, str, str, str], expected: str, tmp_path: Path) -> None:
    assert int(expected.split()[0]) >= 200
    assert _digest(*surroundings, tmp_path) == expected


@pytest.mark.prove
@pytest.mark.promised("R18", of="surroundings, each for 200 programs and more")
@pytest.mark.parametrize("surroundings", share(EVERY[1:]), ids="-".join)
def test_the_same_bytes_everywhere(surroundings: tuple[str, str, str, str], expected: str, tmp_path: Path) -> None:
    assert _digest(*surroundings, tmp_path) == expected


def test_an_order_that_depends_on_the_seed_is_noticed() -> None:
    """The negative control: names printed in the order of a set."""
    run = "print(*{'conv', 'bn', 'relu', 'linear', 'pool'})"
    orders = {
        hashlib.sha256(subprocess.check_output([sys.executable, "-c", run], env={"PYTHONHASHSEED": seed})).hexdigest()
        for seed in SEEDS
    }
    assert len(orders) > 1

"""R25: each image is trained on exactly once an epoch, over any kills and numbers of ranks.

Each part of a chain is a run on 1 to 4 ranks, one of which is killed; the next goes on with another number. What each rank
trained on is written down. Two chains in every run of the tests, 200 in SOAK: no image lost, none twice.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from soak import Tally, shards
from test_distributed import Launch, launch  # noqa: F401  a fixture

IMAGES, EPOCHS = 163, 2  # 37 of 200 are held back for validation

Steps = dict[tuple[int, int], list[list[int]]]


def seen(log: Path) -> Counter[tuple[int, int]]:
    """How often each image of each epoch counts: of a step that was done again, the last time."""
    steps: Steps = {}
    for path in sorted(log.parent.glob(f"{log.name}-*")):
        done: Steps = {}
        for line in path.read_text().splitlines():
            epoch, place, ids = json.loads(line)
            done.setdefault((epoch, place), []).append(ids)
        steps |= done
    return Counter((epoch, i) for (epoch, _), parts in steps.items() for ids in parts for i in ids)


def chain(folder: Path, launch: Launch, sizes: list[int], **request: bool) -> Counter[tuple[int, int]]:  # noqa: F811
    """A run whose every part has another number of ranks, killed within each but the last."""
    out, log = folder / "run", folder / "log"
    folder.mkdir()
    for part, size in enumerate(sizes):
        last = part == len(sizes) - 1
        fault = None if last else {"rank": size - 1, "step": 3 * (part + 1), "what": "SIGKILL"}
        options = {"save_steps": 2, "resume": part > 0}
        done = launch(out, size, "chance", options=options, fault=fault, log=f"{log}-{part}", **request)
        assert (done["codes"] == [0] * size) == last, done["texts"]
    return seen(log)


def each_once(counted: Counter[tuple[int, int]]) -> bool:
    return set(counted.values()) == {1} and len(counted) == EPOCHS * IMAGES


@pytest.mark.parametrize("sizes", [[1, 2, 1], [2, 3, 2]], ids=lambda sizes: "-".join(map(str, sizes)))
def test_each_image_counts_once_an_epoch(tmp_path: Path, launch: Launch, sizes: list[int]):  # noqa: F811
    assert each_once(chain(tmp_path / "a", launch, sizes))


@pytest.mark.prove
@pytest.mark.promised("R25", of="chains of kills")
@pytest.mark.parametrize(("first", "count"), shards(200, 25))
def test_each_image_counts_once_over_two_hundred_chains(
    tmp_path: Path,
    launch: Launch,  # noqa: F811
    first: int,
    count: int,
    soak: Tally,
):
    soak.seed = "chains/0"
    drawn = random.Random(f"chains/{first}")
    for number in range(count):
        sizes = [drawn.randint(1, 4) for _ in range(drawn.randint(2, 4))]
        with soak.case():
            assert each_once(chain(tmp_path / str(number), launch, sizes)), sizes


def test_an_order_of_hidden_chance_loses_images_and_doubles_others(tmp_path: Path, launch: Launch):  # noqa: F811
    """The negative control: the order is drawn anew by each process, as a loader does whose generator is not saved."""
    counted = chain(tmp_path / "a", launch, [1, 1], shuffled=True)
    assert max(counted.values()) > 1
    assert len(counted) < EPOCHS * IMAGES

"""Several processes train as one would: the same weights, the same stops, and never a wait for one that is gone.

Each image once an epoch, whatever the ranks: `promises/test_r25_each_image_once.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from harness import digest
from launching import Launch, launch
from safetensors.torch import load_file
from soak import Tally, scaled
from torch.distributed import HashStore

from archdsl.train import checkpoint, distributed, meeting
from archdsl.train.distributed import Ranks, Team
from archdsl.train.job import TrainConfig
from archdsl.train.trouble import Lost, Misfit

__all__ = ["launch"]  # a fixture


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(max(checkpoint.finished(out)) / checkpoint.WEIGHTS)


def distance(a: Path, b: Path) -> float:
    """The largest difference of any weight or buffer, relative to the largest number beside it."""
    theirs = weights(b)
    pairs = [(mine.double(), theirs[name].double()) for name, mine in weights(a).items()]
    return max(float((x - y).abs().max() / y.abs().max().clamp_min(1e-9)) for x, y in pairs)


def metrics(out: Path) -> list[list[float]]:
    rows = (out / "metrics.csv").read_text().splitlines()[1:]
    return [[float(number or 0) for number in row.split(",")[:-1]] for row in rows]


@pytest.mark.parametrize("job", ["plain", "norm"])
def test_two_ranks_do_what_one_process_does(tmp_path: Path, launch: Launch, job: str):
    """With the same batch of the recipe, its last one (8 of 200 images) included, to float tolerance."""
    for size in (1, 2, 3):
        done = launch(tmp_path / str(size), size, job, options={"sync_batch_norm": True})
        assert done["codes"] == [0] * size, done["texts"]
    for size in (2, 3):
        assert distance(tmp_path / "1", tmp_path / str(size)) < 1e-5
        for one, several in zip(metrics(tmp_path / "1"), metrics(tmp_path / str(size)), strict=True):
            assert several == pytest.approx(one, rel=1e-5)


def test_without_synchronised_statistics_it_is_another_network(tmp_path: Path, launch: Launch):
    """Negative control, and the usual meaning of batch norm on several devices."""
    for size in (1, 2):
        assert launch(tmp_path / str(size), size, "norm")["codes"] == [0] * size
    assert distance(tmp_path / "1", tmp_path / "2") > 1e-3


def test_ranks_add_up_micro_batches(tmp_path: Path, launch: Launch):
    assert launch(tmp_path / "1", 1)["codes"] == [0]
    assert launch(tmp_path / "2", 2, options={"micro_batch": 5})["codes"] == [0, 0]
    assert distance(tmp_path / "1", tmp_path / "2") < 1e-5


def test_the_same_ranks_give_the_same_bits(tmp_path: Path, launch: Launch):
    for name in "ab":
        assert launch(tmp_path / name, 2, "chance")["codes"] == [0, 0]
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_layers_that_one_rank_leaves_out(tmp_path: Path, launch: Launch):
    done = launch(tmp_path / "a", 2, "skipping")
    assert done["codes"] == [0, 0], done["texts"]


@pytest.mark.parametrize("what", ["SIGKILL", "exit", "raise"])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_lost_rank_is_named_and_a_restart_ends_in_the_same_bits(tmp_path: Path, launch: Launch, what: str, rank: int):
    out, other = tmp_path / "a", 1 - rank
    saves = {"save_steps": 3}
    done = launch(out, 2, "chance", options=saves, fault={"rank": rank, "step": 5, "what": what})
    assert done["codes"][other] == 77
    assert f"rank {other}: error: rank {rank} of 2 lost" in done["texts"][other]
    assert done["seconds"] < 10
    again = launch(out, 2, "chance", options=saves, restarts=1)
    assert again["codes"] == [0, 0], again["texts"]
    assert "going on after step 3" in again["texts"][0]
    assert launch(tmp_path / "whole", 2, "chance", options=saves)["codes"] == [0, 0]
    assert digest(out) == digest(tmp_path / "whole")


@pytest.mark.parametrize(
    "text",
    [
        "Application timeout caused pair closure",
        "[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:4711",
        "[2] is setting up NCCL communicator: ProcessGroupNCCL failed",
    ],
)
def test_what_is_said_of_a_connection_is_that_a_rank_is_lost(text: str, monkeypatch: pytest.MonkeyPatch):
    """Each is the whole of what torch says; which one comes is a matter of milliseconds."""
    monkeypatch.setattr(distributed, "_GRACE", 0.1)
    team = Ranks(HashStore(), 0, 2, timeout=2.0)
    with pytest.raises(Lost, match=r"rank 1 of 2 lost: dead, or silent for 2 s; --resume"), team.watched():
        raise RuntimeError(text)
    with pytest.raises(RuntimeError, match="mat1 and mat2"), team.watched():
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


def test_a_rank_that_hangs_is_lost_after_the_timeout(tmp_path: Path, launch: Launch):
    fault = {"rank": 1, "step": 5, "what": "SIGSTOP"}
    done = launch(tmp_path / "a", 2, options={"timeout": 2.0}, fault=fault)
    assert done["codes"] == [77, -9]
    assert "rank 1 of 2 lost: dead, or silent for 2 s" in done["texts"][0]
    assert done["seconds"] < 2 + 10


@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_rank_stops_all_at_the_same_step(tmp_path: Path, launch: Launch, rank: int):
    out = tmp_path / "a"
    done = launch(out, 2, "chance", fault={"rank": rank, "step": 5, "what": "SIGTERM"})
    assert done["codes"] == [75, 75]
    assert all("stopped by SIGTERM after step 5" in text for text in done["texts"])
    assert launch(out, 2, "chance", options={"resume": True})["codes"] == [0, 0]
    assert launch(tmp_path / "whole", 2, "chance")["codes"] == [0, 0]
    assert digest(out) == digest(tmp_path / "whole")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_number_that_is_not_finite_on_one_rank_stops_all_before_the_update(tmp_path: Path, launch: Launch, rank: int):
    out = tmp_path / "a"
    fault = {"rank": rank, "step": 5, "what": "nan"}
    done = launch(out, 2, options={"save_steps": 1}, fault=fault)
    assert done["codes"] == [76, 76]
    for number, text in enumerate(done["texts"]):
        assert f"rank {number}: error: step 6: rank {rank}: the images hold numbers that are not finite" in text
    assert max(checkpoint.finished(out)).name == "step-00000005"
    assert all(weight.isfinite().all() for weight in weights(out).values())


def test_another_number_of_ranks_is_said(tmp_path: Path, launch: Launch):
    out = tmp_path / "a"
    assert launch(out, 2, fault={"rank": 1, "step": 5, "what": "SIGTERM"})["codes"] == [75, 75]
    done = launch(out, 1, options={"resume": True})
    assert done["codes"] == [0]
    assert "not bit for bit: ranks was 2, is 1" in done["texts"][0]


def test_what_several_ranks_need(tmp_path: Path, launch: Launch):
    done = launch(tmp_path / "a", 2, "small")
    assert done["codes"] == [1, 1]
    assert "a batch of 3 cannot be shared by 2 ranks: each needs two images" in done["texts"][0]


def test_a_restart_goes_on_only_in_what_its_own_launch_began(tmp_path: Path, launch: Launch):
    """Of one process, too: what an earlier launch left is refused as often as torchrun tries."""
    out = tmp_path / "a"
    fault = {"rank": 0, "step": 5, "what": "SIGKILL"}
    assert launch(out, 1, "chance", options={"save_steps": 3}, restarts=0, fault=fault)["codes"] == [-9]
    again = launch(out, 1, "chance", options={"save_steps": 3}, restarts=1)
    assert again["codes"] == [0], again["texts"]
    assert "going on after step 3" in again["texts"][0]
    for size in (1, 2):
        for restarts in (0, 1):
            done = launch(out, size, "chance", restarts=restarts)
            assert done["codes"] == [3] * size
            assert all("already holds a run: add --resume to go on with it" in text for text in done["texts"])


def test_what_a_launcher_starts_needs_a_folder(monkeypatch: pytest.MonkeyPatch):
    team = Team()
    team.launch = HashStore()
    monkeypatch.setattr(distributed, "_teams", [team])
    with pytest.raises(Misfit, match="a restart could not find its checkpoints: give --out"):
        distributed.as_rank(TrainConfig())


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("save_steps", 3, "--save-steps was none, is 3"),
        ("micro_batch", 5, "--micro-batch was none, is 5"),
        ("resume", True, "--resume was false, is true"),
    ],
)
def test_ranks_with_other_options_are_refused(tmp_path: Path, launch: Launch, name: str, value: Any, said: str):
    done = launch(tmp_path / "a", 2, own={"1": {name: value}})
    assert done["codes"] == [1, 1], done["texts"]
    assert all(f"rank 1 has other options than rank 0: {said}" in text for text in done["texts"])


def test_ranks_that_all_answer_are_not_called_lost(monkeypatch: pytest.MonkeyPatch):
    store = HashStore()
    store.set("archdsl/here/1", "1")
    team = Ranks(store, 0, 2, timeout=2.0)
    with pytest.raises(Lost, match="all 2 ranks answer, but they are not at the same place"), team.watched():
        raise RuntimeError("gloo: no")


def test_ranks_do_not_meet_those_of_an_earlier_attempt():
    """Whoever comes first: what the dead have left in the store speaks of them, not of these."""
    store, found = HashStore(), set[str]()

    def attempt(first: int) -> None:
        places: dict[int, Any] = {}
        ranks = [Thread(target=lambda r=r: places.update({r: meeting.met(store, r, 3, 10.0)})) for r in range(3)]
        ranks[first].start()
        time.sleep(0.2)
        for rank in (rank for rank in ranks if rank is not ranks[first]):
            rank.start()
        for rank in ranks:
            rank.join()
        places[0].set("name", str(first))
        assert [place.get("name") for place in places.values()] == [str(first).encode()] * 3
        found.add(places[1].get("name").decode())

    for first in (0, 1, 2, 1):
        attempt(first)
    assert found == {"0", "1", "2"}


def test_a_rank_that_does_not_come_is_named():
    with pytest.raises(Lost, match=r"ranks 1, 2 of 3 did not come within 0\.1 s"):
        meeting.met(HashStore(), 0, 3, 0.1)
    with pytest.raises(Lost, match=r"rank 0 did not call this rank within 0\.1 s"):
        meeting.met(HashStore(), 1, 3, 0.1)


SCRIPT = """\
import sys; sys.path.insert(0, {here!r})
import os, pathlib, ranks
ranks.run.load = ranks.few
kill = int(os.environ['TORCHELASTIC_RESTART_COUNT']) < int(sys.argv[2])
fault = {{'rank': int(os.environ['WORLD_SIZE']) - 1, 'step': 5, 'what': 'SIGKILL'}} if kill else None
ranks.prepare(int(os.environ['RANK']), {{'fault': fault}})
code, text = ranks.go(pathlib.Path(sys.argv[1]), ranks.JOBS['chance'], save_steps=3, report=False)
print(text); sys.exit(code)
"""


def torchrun(out: Path, kills: int, ranks: int = 2, restarts: int = 2) -> subprocess.CompletedProcess[str]:
    """The real launcher, which this file otherwise stands in for; the last rank dies in the first `kills` attempts."""
    script = out.parent / "rank.py"
    script.write_text(SCRIPT.format(here=str(Path(__file__).parent)))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(ranks)]
    command += ["--master-port", "29655", "--max-restarts", str(restarts), str(script), str(out), str(kills)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_torchrun_restarts_killed_ranks_and_takes_over_no_other_folder(tmp_path: Path, launch: Launch):
    out = tmp_path / "a"
    done = torchrun(out, kills=2)  # at step 5, then again from step 3
    assert done.returncode == 0, done.stdout + done.stderr
    assert "going on after step 3" in done.stdout
    assert launch(tmp_path / "whole", 2, "chance", options={"save_steps": 3})["codes"] == [0, 0]
    assert digest(out) == digest(tmp_path / "whole")
    refused = torchrun(out, kills=0, restarts=1)
    assert refused.returncode == 1
    assert "test error" not in refused.stdout
    assert refused.stdout.count("rank 0: error:") == refused.stdout.count("already holds a run") / 2 == 2


@pytest.mark.prove
@pytest.mark.promised("R23", of="ranks that torchrun restarted")
@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_what_torchrun_restarted_ends_in_the_same_bits(tmp_path: Path, ranks: int, soak: Tally):
    assert torchrun(tmp_path / "whole", 0, ranks).returncode == 0
    soak.cases = scaled(5)
    for number in range(soak.cases):
        out = tmp_path / str(number)
        done = torchrun(out, 1 + number % 2, ranks)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "going on after step 3" in done.stdout
        assert digest(out) == digest(tmp_path / "whole")

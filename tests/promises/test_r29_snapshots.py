"""R29: a save is a snapshot: what happens to the tensors afterwards does not reach it.

Saves are synchronous: `save` returns when the checkpoint is on the disk. All tensors are overwritten right after it returns, and
what is read back is what they were: 1,000 times in every run of the tests.
"""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import safetensors.torch
import torch
from harness import config, few, job
from soak import Tally, scaled
from torch import Tensor

from archdsl.train import checkpoint, run
from archdsl.train.checkpoint import Checkpoint


def tensors(step: int) -> dict[str, Tensor]:
    """Of several layouts, two that share memory among them."""
    chance = torch.Generator().manual_seed(step)
    whole = torch.randn(8, 3, 5, 5, generator=chance)
    return {
        "channels last": torch.randn(4, 3, 5, 5, generator=chance).to(memory_format=torch.channels_last),
        "whole": whole,
        "part": whole[::2, :, 1:3],
        "count": torch.tensor(step),
        "half": torch.randn(64, generator=chance).bfloat16(),
    }


def overwritten(folder: Path, count: int, tally: Tally) -> int:
    """How many checkpoints are not what the tensors were."""
    torn = 0
    for step in range(1, count + 1):
        live, expected = tensors(step), tensors(step)
        with tally.case():
            checkpoint.save(folder, Checkpoint(step, live, live, {}))
        for tensor in live.values():
            tensor.fill_(-1)
        found = checkpoint.load(checkpoint.directory(folder, step))
        torn += any(not torch.equal(found.weights[name], value) for name, value in expected.items())
        torn += any(not torch.equal(found.training[name], value) for name, value in expected.items())
        checkpoint.prune(folder, 2, best=None)
    return torn


def test_what_is_overwritten_after_a_save_is_saved(tmp_path: Path):
    assert overwritten(tmp_path, 1_000, Tally()) == 0


@pytest.mark.prove
@pytest.mark.promised("R29", of="snapshots")
def test_a_thousand_snapshots(tmp_path: Path, soak: Tally):
    assert overwritten(tmp_path, scaled(1_000), soak) == 0


def test_a_save_in_the_background_of_live_tensors_is_torn():
    """The negative control: the writer begins after the tensors have gone on."""
    live, written = tensors(1), {}
    gone_on = threading.Event()

    def write() -> None:
        gone_on.wait()
        written.update(safetensors.torch.load(safetensors.torch.save({"half": live["half"]})))

    writer = threading.Thread(target=write)
    writer.start()
    live["half"].fill_(-1)
    gone_on.set()
    writer.join()
    assert not torch.equal(written["half"], tensors(1)["half"])


def test_training_does_not_go_on_before_the_save_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """No thread writes: while a file is written, the weights stand still."""
    monkeypatch.setattr(run, "load", few)
    before, write = threading.active_count(), checkpoint.write_inside
    during: list[int] = []

    def watched(root: Path, relative: str, data: bytes) -> None:
        during.append(threading.active_count())
        assert threading.current_thread() is threading.main_thread()
        write(root, relative, data)

    monkeypatch.setattr(checkpoint, "write_inside", watched)
    run.train(config(tmp_path, dry_run=True), job(), run.Console(quiet=True))
    assert set(during) == {before}

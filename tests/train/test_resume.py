"""Whatever ends a run, resuming it ends in the same bits.

Kills, steps, workers, parts of the state, full disks and other machines: `promises/test_r23` to `test_r30`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from harness import RECIPE, config, digest, few, go, job
from small_networks import AUXILIARY, TINY

from archdsl.fsio import FileTrouble, lock
from archdsl.recipe import Recipe
from archdsl.recipe.records import AdamW, Constant, CrossEntropy, MeanOf, PadCrop, Rule, Sgd, Warmup
from archdsl.train import checkpoint, loop, run, saving
from archdsl.train.augment import Batch

STEPS = 21  # 7 a epoch, 3 epochs


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run, "load", few)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of the run that nobody disturbs."""
    out = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "load", few)
        assert go(out, job())[0] == 0
    return digest(out)


def signal_after(monkeypatch: pytest.MonkeyPatch, step: int, number: int = signal.SIGTERM):
    """Send a signal to ourselves when the step is done."""
    original = loop.Trainer._between_steps

    def between(self: loop.Trainer, steps: int, batch: Batch):
        if self.progress.step == step:
            os.kill(os.getpid(), number)
        original(self, steps, batch)

    monkeypatch.setattr(loop.Trainer, "_between_steps", between)


def test_the_same_seed_gives_the_same_bits(tmp_path: Path, whole: str):
    assert go(tmp_path, job())[0] == 0
    assert digest(tmp_path) == whole
    assert go(tmp_path / "b", job(RECIPE.model_copy(update={"seed": 1})))[0] == 0
    assert digest(tmp_path / "b") != whole


@pytest.mark.parametrize("step", [1, 3, 7, 8, 14, 20, 21])
def test_stopped_after_any_step_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: str, step: int):
    number = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1][step % 3]
    with monkeypatch.context() as patch:
        signal_after(patch, step, number)
        code, text = go(tmp_path, job())
    assert code == 75
    assert f"stopped by {number.name} after step {step}" in text
    assert go(tmp_path, job(), resume=True)[0] == 0
    assert digest(tmp_path) == whole


def test_stopped_while_judging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: str):
    original = loop.judge

    def judge(*arguments: object):
        os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(loop, "judge", judge)
        assert go(tmp_path, job())[0] == 75
    assert go(tmp_path, job(), resume=True)[0] == 0
    assert digest(tmp_path) == whole


RECIPES = {
    "adamw": Recipe(optimizer=AdamW(), epochs=2, batch=32, clip=1.0),
    "limits": Recipe(
        optimizer=Sgd(momentum=0.5, momentum_to=0.9, momentum_epochs=2.0),
        rules=(Rule(on="conv", max_norm=1.0), Rule(on="bias", lr=2.0, decay=0.0, clamp=(-0.1, 0.1))),
        epochs=2,
        batch=32,
    ),
    "warm-up": Recipe(warmup=Warmup(until_error=0.9), epochs=10, batch=32),
    "passes": Recipe(evaluate=MeanOf(passes=3), loss=CrossEntropy(label_smoothing=0.1), epochs=2, batch=32),
    "iterations": Recipe(iterations=11, batch=32, validation=50, early_stop=5),
}


@pytest.mark.parametrize("name", RECIPES)
def test_every_kind_of_state_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    work = job(RECIPES[name])
    assert go(tmp_path / "whole", work)[0] == 0
    with monkeypatch.context() as patch:
        signal_after(patch, 5)
        assert go(tmp_path / "parts", work)[0] == 75
    with monkeypatch.context() as patch:
        signal_after(patch, 9)
        assert go(tmp_path / "parts", work, resume=True)[0] == 75
    assert go(tmp_path / "parts", work, resume=True)[0] == 0
    assert digest(tmp_path / "parts") == digest(tmp_path / "whole")


def test_bf16_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert go(tmp_path / "whole", job(), precision="bf16")[0] == 0
    with monkeypatch.context() as patch:
        signal_after(patch, 5)
        assert go(tmp_path / "parts", job(), precision="bf16")[0] == 75
    assert go(tmp_path / "parts", job(), precision="bf16", resume=True)[0] == 0
    assert digest(tmp_path / "parts") == digest(tmp_path / "whole")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


ANOTHER = {
    "recipe.batch was 32, is 16": job(RECIPE.model_copy(update={"batch": 16})),
    "recipe.schedule was cosine, is constant": job(RECIPE.model_copy(update={"schedule": Constant()})),
    "recipe.augment.1 was mixup, is none": job(RECIPE.model_copy(update={"augment": RECIPE.augment[:1]})),
    "recipe.augment.0.pad was 1, is 2": job(RECIPE.model_copy(update={"augment": (PadCrop(pad=2), RECIPE.augment[1])})),
    "auxiliary_weights.0 was none, is 0.5": job(auxiliary_weights=(0.5,)),
    "network was Tiny, is Other": job(module=TINY.replace("Tiny", "Other"), network="Other"),
}


@pytest.mark.parametrize("said", ANOTHER)
def test_another_network_or_recipe_is_refused_and_nothing_is_written(tmp_path: Path, said: str):
    assert go(tmp_path, job())[0] == 0
    before = contents(tmp_path)
    code, text = go(tmp_path, ANOTHER[said], resume=True)
    assert code == 3
    assert f"{tmp_path} holds another run, and nothing was done: " in text
    assert said in text
    assert contents(tmp_path) == before


def test_nothing_is_written_where_nothing_is_left_to_do(tmp_path: Path):
    assert go(tmp_path, job())[0] == 0
    before = contents(tmp_path)
    code, text = go(tmp_path, job(), resume=True, precision="bf16", keep=5)
    assert code == 0
    assert f"{tmp_path} is finished: nothing was left to do" in text
    assert text.splitlines()[-1].startswith("test error ")
    assert contents(tmp_path) == before


def test_only_the_report_is_made_again_where_it_is_missing(tmp_path: Path):
    assert go(tmp_path, job(), report=True)[0] == 0
    before = contents(tmp_path)
    (tmp_path / "report.md").unlink()
    (tmp_path / "curves.png").unlink()
    assert go(tmp_path, job(), report=True, resume=True)[0] == 0
    assert contents(tmp_path) == before


def test_each_part_of_a_run_has_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for step in (5, 9):
        with monkeypatch.context() as patch:
            signal_after(patch, step)
            assert go(tmp_path, job(), resume=step > 5)[0] == 75
    try:
        assert go(tmp_path, job(), resume=True, threads=2, report=True)[0] == 0
    finally:
        torch.set_num_threads(1)
    parts = json.loads((tmp_path / "environment.json").read_text())
    assert [(part["after_step"], part["threads"]) for part in parts] == [(0, 1), (9, 2)]
    report = (tmp_path / "report.md").read_text()
    assert "| where |  | after step 9 |" in report
    assert "| threads | 1 | 2 |" in report


def test_other_images_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert go(tmp_path, job())[0] == 0
    code, text = go(tmp_path, job(), resume=True, limit=40)
    assert code == 3
    assert "nothing was done: images.train was 200, is 40; images.test was 50, is 40" in text


@pytest.mark.parametrize("setting", ["ema", "seed", "clip", "evaluate"])
def test_a_run_of_a_time_without_a_setting_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str):
    """As long as the setting says nothing new; where it does, it is another run."""
    with monkeypatch.context() as patch:
        signal_after(patch, 5)
        work = job(RECIPE.model_copy(update={"ema": None}))
        go(tmp_path, work)
    forget(tmp_path, setting)
    if setting == "ema":
        code, text = go(tmp_path, job(), resume=True)
        assert (code, "recipe.ema was none, is 0.9" in text) == (3, True)
    assert go(tmp_path, work, resume=True)[0] == 0


def forget(out: Path, setting: str) -> None:
    """Write the newest checkpoint again as it was before recipes had a setting."""
    saved = checkpoint.newest(out, print)
    assert saved
    state = json.loads(json.dumps(saved.state))
    del state["identity"]["recipe"][setting]
    checkpoint.save(out, replace(saved, state=state))
    recipe = json.loads((out / "recipe.json").read_text())
    del recipe[setting]
    (out / "recipe.json").write_text(json.dumps(recipe))


def test_a_signal_while_weights_are_put_back_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """torch makes an error of its own of what is raised while it copies a weight."""
    with monkeypatch.context() as patch:
        signal_after(patch, 5)
        go(tmp_path, job())
    put_back, copy = saving.restore, torch.Tensor.copy_

    def interrupted(self: torch.Tensor, *given: object) -> torch.Tensor:
        signal.raise_signal(signal.SIGTERM)
        return copy(self, *given)  # type: ignore[arg-type]

    def restore(*given: object) -> object:
        monkeypatch.setattr(torch.Tensor, "copy_", interrupted)
        return put_back(*given)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(saving, "restore", restore)
        code, text = go(tmp_path, job(), resume=True)
    monkeypatch.undo()
    assert code == 75, text
    assert text.splitlines()[-1] == "stopped by SIGTERM before the first step: there was nothing to save"


def test_another_thread_count_is_said_aloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        signal_after(patch, 5)
        go(tmp_path, job())
    try:
        code, text = go(tmp_path, job(), resume=True, threads=2)
    finally:
        torch.set_num_threads(1)
    assert code == 0
    assert "not bit for bit: threads was 1, is 2" in text


def test_a_folder_with_a_run_is_not_overwritten(tmp_path: Path):
    assert go(tmp_path, job())[0] == 0
    code, text = go(tmp_path, job())
    assert code == 3
    assert "add --resume to go on with it" in text
    assert go(tmp_path, job(), resume=True)[0] == 0


def test_two_runs_cannot_share_a_folder(tmp_path: Path):
    held = "import sys, time, pathlib; from archdsl.fsio import lock\nwith lock(pathlib.Path(sys.argv[1])):\n"
    held += "    print('held', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", held, str(tmp_path / "run.lock")], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        code, text = go(tmp_path, job())
        assert code == 3
        assert f"process {other.pid} is using it" in text
    finally:
        other.kill()
        other.communicate()
    with lock(tmp_path / "run.lock"):
        pass
    assert go(tmp_path, job())[0] == 0


def test_damage_falls_back_to_the_checkpoint_before(tmp_path: Path, whole: str):
    assert go(tmp_path, job())[0] == 0
    last = checkpoint.directory(tmp_path, STEPS) / checkpoint.WEIGHTS
    data = bytearray(last.read_bytes())
    data[-3] ^= 1
    last.write_bytes(data)
    code, text = go(tmp_path, job(), resume=True)
    assert code == 0
    assert f"not used: step-{STEPS:08}/model.safetensors: expected" in text
    assert "going on after step 14" in text
    assert digest(tmp_path) == whole


def test_only_damaged_checkpoints_end_the_run(tmp_path: Path):
    assert go(tmp_path, job())[0] == 0
    for place in checkpoint.finished(tmp_path):
        (place / checkpoint.STATE).write_bytes(b"{}")
    code, text = go(tmp_path, job(), resume=True)
    assert code == 3
    assert "no checkpoint is whole" in text


def full_disk(monkeypatch: pytest.MonkeyPatch, fails: range):
    """The writes of the saves numbered in `fails` find no room."""
    original, count = checkpoint.write_inside, iter(range(10**6))

    def write(root: Path, relative: str, data: bytes):
        if relative.endswith(checkpoint.WEIGHTS) and next(count) in fails:
            raise FileTrouble(root / relative, "write", "no space left on device")
        original(root, relative, data)

    monkeypatch.setattr(checkpoint, "write_inside", write)


def test_a_full_disk_costs_one_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: str):
    full_disk(monkeypatch, range(1, 2))
    code, text = go(tmp_path, job())
    assert code == 0
    assert "not saved: cannot write" in text
    assert digest(tmp_path) == whole


def test_a_disk_that_stays_full_ends_the_run_with_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    full_disk(monkeypatch, range(1, 100))
    code, text = go(tmp_path, job(RECIPE.model_copy(update={"epochs": 6})))
    assert code == 3
    assert text.count("not saved") == 2
    assert "the newest checkpoint is that of step 7" in text
    assert checkpoint.load(checkpoint.directory(tmp_path, 7)).step == 7


def test_auxiliary_outputs_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    work = job(Recipe(epochs=2, batch=32), AUXILIARY, "Deep", auxiliary_weights=(0.3,))
    assert go(tmp_path / "whole", work)[0] == 0
    with monkeypatch.context() as patch:
        signal_after(patch, 5)
        assert go(tmp_path / "parts", work)[0] == 75
    assert go(tmp_path / "parts", work, resume=True)[0] == 0
    assert digest(tmp_path / "parts") == digest(tmp_path / "whole")


def test_saving_between_epochs(tmp_path: Path, whole: str):
    assert go(tmp_path, job(), save_steps=2, keep=3)[0] == 0
    assert digest(tmp_path) == whole
    places = sorted(p.name for p in checkpoint.finished(tmp_path))
    assert len(places) in (3, 4)  # the best is kept as well
    assert config(tmp_path).keep == 2

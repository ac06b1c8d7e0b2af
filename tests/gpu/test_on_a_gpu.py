"""What only a GPU can prove; `make prove-gpu` runs it, docs/gpu.md says what it should print.

With ARCHDSL_GPU=cpu it is rehearsed on the CPU, which shows that the tests themselves work and no more.
"""

from __future__ import annotations

import csv
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before the first use of cuBLAS
sys.path.insert(0, str(Path(__file__).parents[1] / "train"))

import pytest
import torch
from harness import digest, go, images, job
from PIL import Image
from small_networks import DIVIDING, RESNET20

from archdsl import commands
from archdsl.recipe import Recipe
from archdsl.recipe.records import Constant, Flip, Mixup, PadCrop, Sgd
from archdsl.train import engine, loop, memory, run
from archdsl.train.augment import Epoch
from archdsl.train.data.folder import Streamed
from archdsl.train.data.images import InMemory
from archdsl.train.data.pictures import Frame
from archdsl.train.data.workers import Team
from archdsl.train.job import Job, StepMemory

ROOT = Path(__file__).parents[2]
REHEARSED = os.environ.get("ARCHDSL_GPU") == "cpu"
WHERE = "cpu" if REHEARSED else "cuda"
ON_GPU_ALONE = pytest.mark.skipif(REHEARSED, reason="a rehearsal on the CPU has no such thing")
pytestmark = [
    pytest.mark.skipif(not (REHEARSED or torch.cuda.is_available()), reason="no CUDA device"),
    pytest.mark.filterwarnings("default"),  # torch's compiler warns of other parts of torch
]

RECIPE = Recipe(
    augment=(PadCrop(pad=2), Flip(), Mixup(alpha=0.3)),
    optimizer=Sgd(lr=0.05, weight_decay=1e-3),
    epochs=4,
    batch=32,
    ema=0.9,
)
WORK = job(RECIPE)  # with dropout
READING = """
from torch import nn


class Reading(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.drop = nn.Dropout(0.1)
        self.linear = nn.Linear(8, 10)

    def forward(self, x):
        x = self.conv(x)
        if float(x.detach().mean()) > 1e9:
            x = -x
        return self.linear(self.drop(x.relu().mean((2, 3))))
"""


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small images to train on, and settings of the process that last no longer than a test."""
    monkeypatch.setattr(run, "load", lambda *_: images(side=32))
    yield
    torch.use_deterministic_algorithms(False)
    torch._dynamo.reset()


def trained(out: Path, work: Job = WORK, **options: object) -> str:
    code, text = go(out, work, device=WHERE, **options)
    assert code == 0, text
    return text


def losses(out: Path) -> list[float]:
    rows = csv.DictReader((out / "metrics.csv").read_text().splitlines())
    return [float(row[name]) for row in rows for name in ("train_loss", "test_loss")]


def test_every_engine_computes_the_same_losses(tmp_path: Path) -> None:
    plain = job(RECIPE, arguments={"dropout": 0.0})
    for name in ("eager", "compile", "graph"):
        text = trained(tmp_path / name, plain, engine=name)
        assert REHEARSED or "eagerly" not in text, f"{name} was not used: {text}"
    expected = losses(tmp_path / "eager")
    print("losses, eagerly:", *(f"{loss:.4f}" for loss in expected))
    assert losses(tmp_path / "graph") == pytest.approx(expected, rel=1e-2)
    assert losses(tmp_path / "compile") == pytest.approx(expected, rel=2e-2)


@ON_GPU_ALONE
@pytest.mark.parametrize("name", ["eager", "compile", "graph"])
def test_no_step_waits_for_the_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Steps from the ninth on: before that libraries set themselves up, and a step is recorded or both sizes compiled."""
    original = loop.Trainer._step
    counted: list[int] = []

    def watched(self: loop.Trainer, *given: object) -> object:
        if self.progress.step < 8:
            return original(self, *given)  # type: ignore[arg-type]
        torch.cuda.set_sync_debug_mode("error")
        try:
            counted.append(self.progress.step)
            return original(self, *given)  # type: ignore[arg-type]
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(loop.Trainer, "_step", watched)
    trained(tmp_path, engine=name)
    print(f"{name}: {len(counted)} steps without a wait")
    assert len(counted) == 4 * 7 - 8


@ON_GPU_ALONE
def test_pictures_are_copied_while_the_host_goes_on(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (200, 20, 20)).save(tmp_path / "a.png")
    paths, labels = [tmp_path / "a.png"] * 8, torch.arange(8)
    split = Streamed(paths, labels, Frame(3, 8, 8), Team(0), torch.device("cpu")).to(torch.device(WHERE))
    batches = split.stream(torch.arange(8, device=WHERE).split(4))
    next(batches)
    torch.cuda.set_sync_debug_mode("error")
    try:
        pixels, _ = next(batches)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert pixels[0, 0, 0].tolist() == [200, 20, 20]


@pytest.mark.parametrize("name", ["eager", "compile", "graph"])
def test_step_and_layer_of_a_number_that_is_not_finite_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It comes with one image of the fifth step; the host looks at the end of the epoch."""
    spoilt = images(side=32)
    assert isinstance(spoilt.train, InMemory)
    spoilt.train.pixels[Epoch(RECIPE.seed, 0, 200).order()[4 * 32]] = 255
    monkeypatch.setattr(run, "load", lambda *_: spoilt)
    recipe = RECIPE.model_copy(update={"normalize": (), "augment": ()})
    code, text = go(tmp_path, job(recipe, DIVIDING, "Dividing"), device=WHERE, engine=name)
    print(text.splitlines()[-1])
    assert code == 76
    assert "step 5: the output of `conv` (Conv2d) is not finite" in text


CASES = [("eager", "fp32"), ("eager", "bf16"), ("eager", "fp16"), ("graph", "fp32"), ("graph", "bf16")]
CASES += [("compile", "fp32"), ("compile", "bf16")]


@pytest.mark.parametrize(("name", "precision"), CASES, ids=map("-".join, CASES))
def test_a_run_that_is_resumed_ends_in_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, precision: str
) -> None:
    """With deterministic algorithms, dropout, mixed images and an average; stopped twice, before and after a short batch."""
    if REHEARSED and precision == "fp16":
        pytest.skip("a CPU has no fp16")
    options = {"engine": name, "precision": precision, "deterministic": True}
    trained(tmp_path / "whole", **options)
    torch._dynamo.reset()  # as a process that begins
    original = loop.Trainer._step

    def stopping(self: loop.Trainer, *given: object) -> object:
        if self.progress.step in (2, 16):
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, *given)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "_step", stopping)
        assert go(tmp_path / "parts", WORK, device=WHERE, **options)[0] == 75
        assert go(tmp_path / "parts", WORK, device=WHERE, resume=True, **options)[0] == 75
    torch._dynamo.reset()
    text = trained(tmp_path / "parts", resume=True, **options)
    assert "not bit for bit" not in text
    assert digest(tmp_path / "parts") == digest(tmp_path / "whole")


@ON_GPU_ALONE
def test_fp16_learns_with_a_scaled_loss(tmp_path: Path) -> None:
    recipe = Recipe(augment=(), optimizer=Sgd(lr=0.2), schedule=Constant(), epochs=10, batch=32)
    text = trained(tmp_path, job(recipe, arguments={"dropout": 0.0}), precision="fp16", engine="eager")
    assert "fp16" in text
    assert losses(tmp_path)[-2] < 0.9 * losses(tmp_path)[0]


@ON_GPU_ALONE
def test_each_replay_draws_new_numbers() -> None:
    ones, dropped = torch.ones(1000, device="cuda"), torch.empty(1000, device="cuda")
    replay = engine.record_cuda(lambda: dropped.copy_(torch.nn.functional.dropout(ones)))
    drawn: list[torch.Tensor] = []
    for _ in range(2):
        replay()
        drawn.append(dropped.clone())
    assert not torch.equal(*drawn)


def test_a_recording_that_fails_is_told_and_dropout_goes_on(tmp_path: Path) -> None:
    text = trained(tmp_path, job(RECIPE, READING, "Reading"), engine="graph")
    print(next(line for line in text.splitlines() if "engine graph" in line))
    assert REHEARSED or "a step cannot be recorded" in text


@ON_GPU_ALONE
def test_a_gpu_that_is_full_ends_the_run_with_what_would_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "load", lambda *_: images(train=4096, side=32))
    work = job(Recipe(batch=4096), RESNET20, "ResNet20", memory=StepMemory(per_image=2 << 20, fixed=8 << 20))
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((512 << 20) / total)
    try:
        code, text = go(tmp_path, work, device=WHERE)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    print(text.splitlines()[-1])
    assert code == 4
    assert "out of memory" in text
    assert "--micro-batch" in text


@ON_GPU_ALONE
def test_the_memory_of_a_step_is_near_the_static_estimate(tmp_path: Path) -> None:
    request = commands.request(None, None, None)
    (work,), _ = commands.jobs(str(ROOT / "specs/resnet-20.arch"), request, None, [["batch=128"]])
    assert work.memory is not None
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before, free = torch.cuda.memory_allocated(), memory.room(torch.device("cuda"))
    trained(tmp_path, work, epochs=1, engine="eager")
    taken, estimate = torch.cuda.max_memory_allocated() - before, work.memory.at(128)
    print(f"ResNet-20, batch 128: {taken / 2**20:.0f} MiB at most, estimated {estimate / 2**20:.0f} MiB")
    assert free > 0
    assert 0.8 * estimate < taken < 2 * estimate

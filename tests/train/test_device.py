"""The decisions about arithmetic, on hardware that need not be there."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
from harness import digest, few, go, job
from pretended_cuda import Blind, Unread
from small_networks import AUXILIARY
from torch import nn

from archdsl.recipe import Recipe
from archdsl.recipe.records import Sgd
from archdsl.train import chance, distributed, loop, memory, run, synced_norm
from archdsl.train import device as device_module
from archdsl.train.augment import Batch
from archdsl.train.device import Device, Hardware, choose
from archdsl.train.job import Job, StepMemory, TrainConfig
from archdsl.train.optimizer import Optimizer
from archdsl.train.schedule import Clock
from archdsl.train.step import LEFT_OUT
from archdsl.train.trouble import Lost, Misfit, OutOfMemory

PLAIN = Hardware(cores=4)
MODERN = Hardware(cores=4, cpu_bf16=True, compiler=True)
AMPERE = Hardware(cores=4, cuda=True, cuda_name="a GPU", cuda_bf16=True, compiler=True)
TURING = Hardware(cores=4, cuda=True, cuda_name="a GPU", compiler=False)

# hardware, options → device, precision, engine
CHOICES = [
    (PLAIN, {}, "cpu", torch.float32, "eager"),
    (MODERN, {}, "cpu", torch.bfloat16, "eager"),
    (MODERN, {"precision": "fp32", "engine": "compile"}, "cpu", torch.float32, "compile"),
    (PLAIN, {"precision": "bf16"}, "cpu", torch.bfloat16, "eager"),
    (PLAIN, {"engine": "compile"}, "cpu", torch.float32, "eager"),
    (MODERN, {"engine": "graph", "precision": "fp32"}, "cpu", torch.float32, "eager"),
    (AMPERE, {}, "cuda", torch.bfloat16, "compile"),
    (AMPERE, {"device": "cpu"}, "cpu", torch.float32, "eager"),
    (AMPERE, {"engine": "eager", "precision": "fp16"}, "cuda", torch.float16, "eager"),
    (TURING, {}, "cuda", torch.float16, "eager"),
]


@pytest.mark.parametrize(("hardware", "options", "where", "precision", "engine"), CHOICES, ids=range(len(CHOICES)))
def test_what_is_chosen(
    hardware: Hardware, options: dict[str, object], where: str, precision: torch.dtype, engine: str
):
    device = choose(TrainConfig.model_validate(options), hardware)
    assert (device.device.type, device.precision, device.engine) == (where, precision, engine)
    assert device.layout is torch.channels_last
    assert device.reads_are_free == (where == "cpu")
    assert device.scales_loss == (precision is torch.float16)
    assert device.threads == 4


def test_a_slow_choice_is_said_to_be_slow():
    assert "faster in fp32" in choose(TrainConfig(precision="bf16"), PLAIN).reasons[0]
    assert "faster" not in choose(TrainConfig(precision="bf16"), MODERN).reasons[0]


@pytest.mark.parametrize("options", [{"device": "cuda"}, {"precision": "fp16"}])
def test_what_cannot_be_had_is_refused(options: dict[str, object]):
    with pytest.raises(Misfit):
        choose(TrainConfig.model_validate(options), PLAIN)


def test_the_skipping_of_a_step_works_in_the_fused_optimiser():
    """What keeps NaN out of the weights without looking at it, in the very first step too."""
    model = nn.Linear(3, 1)
    nn.init.ones_(model.weight)
    optimizer = Optimizer(model, Recipe(optimizer=Sgd(nesterov=False)), Clock(1, 2, 2))
    optimizer.prepare(0, None)
    for bad, expected in ((1.0, 1.0), (0.0, 0.9)):
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.inner.found_inf = torch.tensor(bad)  # type: ignore[attr-defined]
        optimizer.inner.grad_scale = None  # type: ignore[attr-defined]
        optimizer.inner.step()
        assert torch.allclose(model.weight, torch.full((1, 3), expected))


def trained(
    out: Path, monkeypatch: pytest.MonkeyPatch, device: Device, work: Job, **options: object
) -> tuple[int, str]:
    monkeypatch.setattr(run, "load", few)
    monkeypatch.setattr(device_module, "choose", lambda *_: device)
    return go(out, work, **options)


def test_a_gpu_like_run_gives_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cpu = torch.device("cpu")
    plain = Device(cpu, torch.float32, "eager", 1, "x")
    assert trained(tmp_path / "a", monkeypatch, plain, job())[0] == 0
    assert trained(tmp_path / "b", monkeypatch, Blind(cpu, torch.float32, "eager", 1, "x"), job())[0] == 0
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_a_gpu_like_run_keeps_its_weights_from_numbers_that_are_not_finite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    device = Blind(torch.device("cpu"), torch.float32, "eager", 1, "x")
    after: list[bool] = []
    original = loop.Trainer._refuse_not_finite

    def refuse(self: loop.Trainer, batch: Batch):
        after.append(all(p.isfinite().all() for p in self.model.parameters()))
        original(self, batch)

    monkeypatch.setattr(loop.Trainer, "_refuse_not_finite", refuse)
    module = AUXILIARY.replace("x = self.conv(x)", "x = self.conv(x) * float('inf')")
    code, text = trained(tmp_path, monkeypatch, device, job(Recipe(batch=32), module, "Deep", auxiliary_weights=(0.3,)))
    assert code == 76
    assert "is not finite" in text
    assert after == [True]


def test_fp16_scales_the_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    device = Device(torch.device("cpu"), torch.float16, "eager", 1, "x")
    recipe = Recipe(augment=(), optimizer=Sgd(lr=0.2), epochs=10, batch=32)
    code, text = trained(tmp_path, monkeypatch, device, job(recipe, arguments={"dropout": 0.0}))
    assert code == 0, text
    losses = [float(line.split(",")[3]) for line in (tmp_path / "metrics.csv").read_text().splitlines()[1:]]
    assert losses[-1] < 0.9 * losses[0]


NAN_GRADIENT = """
from torch import nn


class Rooted(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(192, 10)

    def forward(self, x):
        x = self.linear(x.flatten(1))
        return x + (x.float() * 0).sum(1, keepdim=True).sqrt()
"""


@pytest.mark.parametrize("kind", [Device, Blind])
def test_fp16_ends_where_no_scale_makes_the_gradients_finite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Device]
):
    """The loss is finite, its gradient never: √x at 0. A scaler alone would leave out every step in silence."""
    device = kind(torch.device("cpu"), torch.float16, "eager", 1, "x")
    work = job(Recipe(augment=(), epochs=9, batch=32), NAN_GRADIENT, "Rooted")
    code, text = trained(tmp_path, monkeypatch, device, work)
    assert code == 76, text
    assert f"step {LEFT_OUT}: the gradient of `linear.bias` is not finite; the last checkpoint is that of step" in text


@pytest.mark.parametrize(("first", "then"), [("fp32", "fp16"), ("fp16", "fp32")])
def test_a_run_goes_on_in_another_precision_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, then: str
):
    dtypes = {"fp32": torch.float32, "fp16": torch.float16}
    first_, then_ = (Device(torch.device("cpu"), dtypes[name], "eager", 1, "x") for name in (first, then))
    work = job(Recipe(augment=(), optimizer=Sgd(lr=0.2), epochs=10, batch=32), arguments={"dropout": 0.0})
    original = loop.Trainer._close_epoch

    def stopping(self: loop.Trainer) -> None:
        original(self)
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "_close_epoch", stopping)
        assert trained(tmp_path, monkeypatch, first_, work)[0] == 75
    code, text = trained(tmp_path, monkeypatch, then_, work, resume=True)
    assert code == 0, text
    assert f"not bit for bit: precision was {dtypes[first]}, is {dtypes[then]}" in text


# ---- what is asked of a GPU, asked of one that is pretended


@pytest.mark.parametrize(("bf16", "precision"), [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_is_found_with_what_it_has(monkeypatch: pytest.MonkeyPatch, bf16: bool, precision: torch.dtype):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bf16 or including_emulation)
    device = choose(TrainConfig(engine="eager"), Hardware.found())
    assert (device.device.type, device.precision, device.name) == ("cuda", precision, "a GPU")
    assert str(device).startswith("cuda (a GPU), ")
    assert isinstance(device.autocast(), torch.autocast)


def test_deterministic_algorithms_are_not_chosen_by_a_race(monkeypatch: pytest.MonkeyPatch):
    device = Device(torch.device("cpu"), torch.float32, "eager", torch.get_num_threads(), "x")
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    for deterministic in (True, False):
        monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: deterministic)  # noqa: B023
        device_module.apply(device)
        assert torch.backends.cudnn.benchmark is not deterministic


def test_deterministic_algorithms_are_used_where_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[bool] = []
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    monkeypatch.setattr(torch, "use_deterministic_algorithms", asked.append)
    monkeypatch.setattr(run, "load", few)
    assert go(tmp_path / "a", job())[0] == 0
    assert asked == []
    assert go(tmp_path / "b", job(), deterministic=True)[0] == 0
    assert asked == [True]
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_the_room_on_a_gpu_is_what_the_gpu_says(monkeypatch: pytest.MonkeyPatch):
    asked: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: asked.append(device) or (3 << 30, 8 << 30))
    assert memory.room(torch.device("cuda")) == 3 << 30
    assert asked == [torch.device("cuda")]


def test_a_gpu_that_is_full_is_told_with_the_batch_that_would_fit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1 << 30, 8 << 30))
    step = StepMemory(per_image=16 << 20, fixed=256 << 20)
    fits = memory.fitting(1 << 30, step)
    said = rf"1\.00 GiB were free.*128 images takes 2\.25 GiB.*--micro-batch {fits},"
    with pytest.raises(OutOfMemory, match=said), memory.watched(torch.device("cuda"), 128, step):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")


DOUBTFUL = ["could not create a primitive", "GET was unable to find an engine to execute this computation"]
SURE = ["CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", "CUDNN_STATUS_ALLOC_FAILED"]


@pytest.mark.parametrize("said", SURE)
def test_cublas_and_cudnn_run_out_of_memory_too(monkeypatch: pytest.MonkeyPatch, said: str):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1 << 30, 8 << 30))
    step = StepMemory(per_image=16, fixed=16)
    with pytest.raises(OutOfMemory), memory.watched(torch.device("cuda"), 2, step):
        raise RuntimeError(said)


@pytest.mark.parametrize("said", DOUBTFUL)
def test_words_that_may_mean_no_memory_are_believed_of_a_step_too_large_for_the_room(
    monkeypatch: pytest.MonkeyPatch, said: str
):
    """oneDNN and cuDNN have the same words for a kernel that they cannot make for another reason."""
    monkeypatch.setattr(memory, "room", lambda _: 1 << 30)
    step = StepMemory(per_image=16 << 20, fixed=256 << 20)
    fits = memory.fitting(1 << 30, step)
    for batch, raised in ((fits, RuntimeError), (fits + 1, OutOfMemory)):
        with pytest.raises(raised), memory.watched(torch.device("cpu"), batch, step):
            raise RuntimeError(said)


def test_memory_that_runs_out_in_the_trial_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It was taken for a network that does not fit the images."""
    failing(monkeypatch, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"), times=1)
    code, text = go(tmp_path, job(memory=StepMemory(per_image=16, fixed=16)), precision="bf16")
    assert code == 4
    assert "out of memory" in text


def test_the_plan_says_why_a_precision_was_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run, "load", few)
    assert "          bf16: as asked, " in go(tmp_path / "bf16", job(), precision="bf16", epochs=1)[1]
    failing(monkeypatch, RuntimeError("no kernel for this"), times=1)
    code, text = go(tmp_path / "fp32", job(), precision="bf16", engine="eager")
    assert code == 0
    assert "          fp32: bf16 failed (no kernel for this); eager: as asked\n" in text
    assert "bf16 failed" in (tmp_path / "fp32/environment.json").read_text()


def failing(monkeypatch: pytest.MonkeyPatch, error: RuntimeError, times: int) -> None:
    """Let so many first passes through the network end with this."""
    left, original = [error] * times, run.network.outputs

    def outputs(*given: object) -> object:
        if left:
            raise left.pop()
        return original(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "load", few)
    monkeypatch.setattr(run.network, "outputs", outputs)


def test_the_random_state_of_the_gpu_in_use_is_saved_and_put_back(monkeypatch: pytest.MonkeyPatch):
    state = torch.arange(16, dtype=torch.uint8)
    put: list[torch.Tensor] = []
    assert "chance/cuda" not in chance.tensors()
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: state)
    monkeypatch.setattr(torch.cuda, "set_rng_state", put.append)
    chance.restore(chance.tensors(), chance.numbers())
    assert len(put) == 1
    assert torch.equal(put[0], state)


def test_what_is_drawn_aside_is_drawn_again_on_the_gpu_in_use_too(monkeypatch: pytest.MonkeyPatch):
    forked: list[list[int]] = []
    monkeypatch.setattr(torch.random, "fork_rng", forked.append)
    chance.forked()
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    chance.forked()
    assert forked == [[], [3]]


@pytest.mark.parametrize("momentum", [0.1, None])
def test_batch_norm_over_several_gpus_makes_no_host_wait(monkeypatch: pytest.MonkeyPatch, momentum: float | None):
    """torch's own chooses ranks by a mask, whose size the host must know."""
    monkeypatch.setattr(synced_norm, "_total", lambda mine: mine)  # one rank alone
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, momentum=momentum))
    plain, shared = copy.deepcopy(network), synced_norm.synced(network)
    images = torch.rand(4, 3, 8, 8)
    with Unread():
        found = [shared(images) for _ in range(2)][1]
    assert torch.allclose(found, [plain(images) for _ in range(2)][1], atol=1e-5)
    for name, buffer in plain.named_buffers():
        assert torch.allclose(buffer, shared.get_buffer(name), atol=1e-5), name


LAUNCHED = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "x", "MASTER_PORT": "1", "LOCAL_RANK": "1"}


def test_a_rank_takes_the_gpu_of_its_number_and_speaks_over_nccl(monkeypatch: pytest.MonkeyPatch):
    told: list[object] = []
    for name, value in LAUNCHED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", told.append)
    monkeypatch.setattr(distributed, "rendezvous", lambda *_, **__: iter([("store", 1, 2)]))
    monkeypatch.setattr(distributed.meeting, "met", lambda launch, *_: launch)

    def refuse(backend: str, **_: object) -> None:
        told.append(backend)
        raise RuntimeError("enough")

    monkeypatch.setattr(distributed.dist, "init_process_group", refuse)
    for config in (TrainConfig(), TrainConfig(device="cpu")):
        with pytest.raises(Lost), distributed.assembled(config):
            pass
    assert told == [1, "cpu:gloo,cuda:nccl", "gloo"]


@pytest.mark.parametrize(("error", "told"), [(Lost("rank 0 of 2 lost"), ["abort", "destroy"]), (None, ["destroy"])])
def test_what_nccl_waits_for_is_given_up_where_a_rank_is_lost(
    monkeypatch: pytest.MonkeyPatch, error: Lost | None, told: list[str]
):
    """To destroy the group alone would wait for it, and the exit code would never come."""
    done: list[str] = []
    for name, value in LAUNCHED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(distributed, "rendezvous", lambda *_, **__: iter([("store", 1, 2)]))
    monkeypatch.setattr(distributed.meeting, "met", lambda launch, *_: launch)
    nccl = SimpleNamespace(abort=lambda: done.append("abort"))
    world = SimpleNamespace(_get_backend=lambda where: nccl if where.type == "cuda" else None)
    monkeypatch.setattr(distributed.dist, "group", SimpleNamespace(WORLD=world))
    monkeypatch.setattr(distributed.dist, "init_process_group", lambda *_, **__: None)
    monkeypatch.setattr(distributed.dist, "destroy_process_group", lambda: done.append("destroy"))
    with pytest.raises(Lost) if error else nullcontext(), distributed.assembled(TrainConfig()):
        if error:
            raise error
    assert done == told


@pytest.mark.parametrize(
    ("given", "spins"), [({}, "10000"), ({"GOMP_SPINCOUNT": "5"}, "5"), ({"OMP_WAIT_POLICY": "active"}, None)], ids=str
)
def test_threads_wait_for_a_moment_before_they_sleep(given: dict[str, str], spins: str | None):
    """It counts only if it is there before torch is loaded."""
    clean = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    code = "import os, sys, archdsl.train; print('torch' in sys.modules, os.environ.get('GOMP_SPINCOUNT'))"
    done = subprocess.run([sys.executable, "-c", code], env=clean | given, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", str(spins)]


def test_a_data_set_that_does_not_fit_into_memory_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for error in (MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")):
        monkeypatch.setattr(run, "load", Mock(side_effect=error))
        code, text = go(tmp_path / "a", job())
        assert code == 4
        assert text.startswith("error: out of memory while shapes was read: ")
    monkeypatch.setattr(run, "load", Mock(side_effect=RuntimeError("of another kind")))
    with pytest.raises(RuntimeError, match="of another kind"):
        go(tmp_path / "a", job())

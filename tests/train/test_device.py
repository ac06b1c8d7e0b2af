"""The decisions about arithmetic, on hardware that need not be there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from harness import digest, few, go, job
from small_networks import AUXILIARY
from torch import nn

from archdsl.recipe import Recipe
from archdsl.recipe.records import Sgd
from archdsl.train import device as device_module
from archdsl.train import loop, run
from archdsl.train.augment import Batch
from archdsl.train.device import Device, Hardware, choose
from archdsl.train.job import Job, TrainConfig
from archdsl.train.optimizer import Optimizer
from archdsl.train.schedule import Clock
from archdsl.train.trouble import Misfit

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
    assert "ten times as long" in choose(TrainConfig(precision="bf16"), PLAIN).reasons[0]
    assert "ten times" not in choose(TrainConfig(precision="bf16"), MODERN).reasons[0]


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


class Blind(Device):
    """A CPU that behaves as a GPU does: its numbers are looked at now and then only."""

    @property
    def reads_are_free(self) -> bool:
        return False


def trained(out: Path, monkeypatch: pytest.MonkeyPatch, device: Device, work: Job) -> tuple[int, str]:
    monkeypatch.setattr(run, "load", few)
    monkeypatch.setattr(device_module, "choose", lambda *_: device)
    return go(out, work)


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

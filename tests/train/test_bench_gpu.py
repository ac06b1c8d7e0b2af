"""What `archdsl bench` does on a GPU, as far as a CPU can show it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from harness import job
from pretended_cuda import Pretended, blind, cuda
from small_networks import READING, TINY
from torch._subclasses.fake_tensor import FakeTensorMode

from archdsl import load, training
from archdsl.recipe import Recipe
from archdsl.recipe.records import Constant, MeanStd, PadCrop, Sgd
from archdsl.train import device as device_module
from archdsl.train import network
from archdsl.train.bench import roofline
from archdsl.train.bench.asked import Asked
from archdsl.train.bench.ours import Bare, Paced
from archdsl.train.bench.run import Bench, _trouble, noise
from archdsl.train.data.images import Images
from archdsl.train.device import Device, Hardware
from archdsl.train.engine import Compiled
from archdsl.train.schedule import Clock
from archdsl.train.state import Plan

__all__ = ["cuda"]
SPEC = """
network Tiny(classes = 10) {
    input image: [3, 16, 16]
    output = image -> conv(4, 3, stride=2) -> bn -> relu -> global_avg_pool -> linear(classes)
}
recipe quick {
    batch = 8
}
"""
RECIPE = Recipe(
    batch=8,
    optimizer=Sgd(lr=0.1),
    normalize=(MeanStd(),),
    augment=(PadCrop(pad=1),),
    schedule=Constant(),
    drop_last=True,
)


def trainer(folder: Path, module: str, name: str, where: Device) -> Paced:
    work = job(RECIPE, module, name)
    (folder / "model.py").write_text(work.module)
    torch.manual_seed(0)
    pictures = noise((3, 8, 8), 10, 8)
    images = Images("noise", pictures, pictures.part(0, 1), ())
    clock = Clock(len(pictures) // 8, 10**9, 10**9)
    return Paced(Plan(RECIPE, images, where, clock, folder, {}), network.build(folder / "model.py", work))


def test_a_network_that_cannot_be_recorded_is_found_out_before_it_is_measured(tmp_path: Path, cuda: Pretended) -> None:
    """The fourth step is recorded; after one, an eager loop would be measured as a graph."""
    assert "a step cannot be recorded" in _trouble(trainer(tmp_path, READING, "Reading", blind("graph")))


def test_the_bare_loop_scales_the_loss_of_fp16_as_the_trainer_does(tmp_path: Path) -> None:
    ours = trainer(tmp_path, TINY, "Tiny", Device(torch.device("cpu"), torch.float16, "eager", 1, "x"))
    weights: list[torch.Tensor] = []
    for who in (ours, Bare(ours)):
        torch.manual_seed(1)  # of dropout
        who.work(5)
        weights.append(who.model.state_dict()["conv.weight"].clone())
    assert torch.equal(*weights)


def test_overhead_and_roofline_are_those_of_the_engine_that_a_run_would_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU it is the compiler, and the step by hand is compiled, too."""
    monkeypatch.setattr(device_module, "_engine", lambda asked, *_: ("compile" if asked == "auto" else asked, ""))
    monkeypatch.setattr(torch, "compile", lambda model, **_: model)
    (tmp_path / "tiny.arch").write_text(SPEC)
    spec = load(str(tmp_path / "tiny.arch"))
    work = training.job("tiny.arch", spec.checked, spec.network, spec.module_text(), spec.checked.recipes[0].recipe)
    (tmp_path / "model.py").write_text(work.module)
    asked = Asked.model_validate({"threads": 1, "workers": 0, "compiled": True})
    model = network.build(tmp_path / "model.py", work)
    found = Bench(asked, work, spec.network.graph, model, tmp_path, Hardware(cores=1, compiler=True))
    assert found.best.name == "compile fp32"
    assert isinstance(found.bare.forward, Compiled)


def test_the_peak_of_a_gpu_is_that_of_larger_matrices() -> None:
    """It multiplies 1024 × 1024 in less time than a kernel takes to start."""
    with FakeTensorMode():
        amounts = [roofline.multiplying(torch.device(where), torch.float32)[0] for where in ("cpu", "cuda")]
    assert amounts == [2 * 1024**3, 2 * 4096**3]

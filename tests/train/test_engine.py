"""How a step is run: recorded as a CUDA graph and replayed, compiled, or eagerly where that cannot be."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from harness import few, go, images, job
from pretended_cuda import Pretended, Unread, blind, cuda
from small_networks import AUXILIARY, DIVIDING, READING, SKIPPING
from torch import Tensor, nn

from archdsl.recipe import Recipe
from archdsl.recipe.records import (
    Adam,
    Affine,
    Augment,
    Colour,
    Constant,
    Crop,
    Cutmix,
    Cutout,
    Flip,
    Mixup,
    Optimizer,
    PadCrop,
    PcaColour,
    Phase,
    ResizedCrop,
    RmsProp,
    Sgd,
)
from archdsl.train import checkpoint, engine, loop, randomness, run
from archdsl.train import device as device_module
from archdsl.train.augment import Batch, Epoch, augment
from archdsl.train.data.images import InMemory
from archdsl.train.device import Device
from archdsl.train.engine import WARM_UP
from archdsl.train.job import Job
from archdsl.train.progress import Reporter

__all__ = ["cuda"]
CPU = Device(torch.device("cpu"), torch.float32, "eager", 1, "x")
STEPS, SHORT = 3 * 7, 3  # 200 images, 32 at once: the last batch of each of the three epochs is a short one
WHOLE = job(arguments={"dropout": 0.0})
# Numbers that are the same in float32 and in Python, so that a replay and an eager step end in the same bits.
DYADIC = Recipe(
    augment=(PadCrop(pad=1),),
    optimizer=Sgd(lr=0.0625, weight_decay=0.0),
    schedule=Constant(),
    epochs=3,
    batch=32,
)


def trained(out: Path, monkeypatch: pytest.MonkeyPatch, device: Device, work: Job, **options: object) -> str:
    monkeypatch.setattr(run, "load", few)
    monkeypatch.setattr(device_module, "choose", lambda *_: device)
    code, text = go(out, work, **options)
    assert code == 0, text
    return text


def trained_up_to(step: int, out: Path, monkeypatch: pytest.MonkeyPatch, device: Device) -> None:
    """Stop by a signal during this step."""
    monkeypatch.setattr(run, "load", few)
    monkeypatch.setattr(device_module, "choose", lambda *_: device)
    original = loop.Trainer._step

    def stopping(self: loop.Trainer, *given: object) -> object:
        if self.progress.step + 1 == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, *given)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "_step", stopping)
        assert go(out, WHOLE)[0] == 75


def losses(out: Path) -> list[float]:
    rows = csv.DictReader((out / "metrics.csv").read_text().splitlines())
    return [float(row[name]) for row in rows for name in ("train_loss", "test_loss")]


def bits(out: Path) -> tuple[object, ...]:
    """Weights, optimiser, random states, losses: all that a run ends with but the name of its engine."""
    place = max(checkpoint.finished(out))
    state = json.loads((place / checkpoint.STATE).read_text())
    files = [(place / name).read_bytes() for name in (checkpoint.WEIGHTS, checkpoint.TRAINING)]
    return *files, state["chance"], losses(out)


# ---- recorded


def test_a_recorded_run_ends_in_the_same_bits_as_an_eager_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: Pretended
) -> None:
    work = job(DYADIC, arguments={"dropout": 0.0})
    trained(tmp_path / "eager", monkeypatch, blind(), work)
    assert cuda.log == []
    text = trained(tmp_path / "graph", monkeypatch, blind("graph"), work)
    assert "eagerly" not in text
    assert cuda.replays == STEPS - WARM_UP - SHORT
    assert bits(tmp_path / "graph") == bits(tmp_path / "eager")


ADAM = Recipe(augment=(Mixup(alpha=0.3),), optimizer=Adam(lr=0.01), epochs=3, batch=32, ema=0.9, clip=0.5)
KINDS = {
    "momentum, mixed images, an average": WHOLE,
    "adam, a clipped norm": job(ADAM, arguments={"dropout": 0.0}),
    "auxiliary outputs": job(DYADIC, AUXILIARY, "Deep", auxiliary_weights=(0.3,)),
}


@pytest.mark.parametrize("work", KINDS.values(), ids=KINDS)
def test_numbers_that_change_from_step_to_step_reach_a_recorded_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: Pretended, work: Job
) -> None:
    """Rates, shares of mixed images and of the average are read from memory: one that was frozen would show."""
    trained(tmp_path / "eager", monkeypatch, blind(), work)
    trained(tmp_path / "graph", monkeypatch, blind("graph"), work)
    assert cuda.replays == STEPS - WARM_UP - SHORT
    assert losses(tmp_path / "graph") == pytest.approx(losses(tmp_path / "eager"), rel=1e-4)


@pytest.mark.parametrize("step", [2, 5, 16])
def test_a_recorded_run_that_was_stopped_and_resumed_ends_in_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: Pretended, step: int
) -> None:
    """Other steps of it are replays: those after the resumption are done as they are, and recorded anew."""
    trained(tmp_path / "whole", monkeypatch, blind("graph"), WHOLE)
    trained_up_to(step, tmp_path / "parts", monkeypatch, blind("graph"))
    code, text = go(tmp_path / "parts", WHOLE, resume=True)
    assert code == 0
    assert "not bit for bit: without --deterministic a GPU adds in another order each time" in text
    assert bits(tmp_path / "parts") == bits(tmp_path / "whole")


def test_a_recorded_run_that_goes_on_with_a_short_batch_is_recorded_for_the_whole_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: Pretended
) -> None:
    """Stopped after six steps: a recording of the seventh's shape would fit two more of fifteen steps."""
    trained_up_to(6, tmp_path, monkeypatch, blind("graph"))
    cuda.replays = 0
    trained(tmp_path, monkeypatch, blind("graph"), WHOLE, resume=True)
    assert cuda.replays == STEPS - 6 - WARM_UP - 2


@pytest.mark.parametrize("frozen", ["the rates", "the batch"])
def test_a_number_that_was_frozen_would_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: Pretended, frozen: str
) -> None:
    """The control of the tests above."""
    trained(tmp_path / "eager", monkeypatch, blind(), WHOLE)
    if frozen == "the batch":
        monkeypatch.setattr(engine, "_fill", lambda *_: None)
    else:
        numbers = cache(engine.Recorded._numbers)  # for ever those of the recording
        monkeypatch.setattr(engine.Recorded, "_numbers", lambda self: numbers(self))
    trained(tmp_path / "graph", monkeypatch, blind("graph"), WHOLE)
    assert losses(tmp_path / "graph") != pytest.approx(losses(tmp_path / "eager"), rel=1e-4)


def test_the_first_steps_are_done_on_one_side_stream_that_both_sides_wait_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: Pretended
) -> None:
    made: list[str] = []
    monkeypatch.setattr(torch.cuda, "Stream", lambda: made.append("side") or cuda.Stream())
    trained(tmp_path, monkeypatch, blind("graph"), WHOLE)
    assert made == ["side"]
    assert cuda.log == [*["side waits for main", "main waits for side"] * WARM_UP, "recording"]


def test_an_optimizer_counts_as_capturable_only_while_it_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: Pretended
) -> None:
    """Adam refuses to be recorded otherwise, and warns where it is capturable and not recorded."""
    seen: list[tuple[bool, bool]] = []
    step = torch.optim.Adam.step

    def watched(self: torch.optim.Adam, closure: None = None) -> None:
        group = self.param_groups[0]
        seen.append((bool(group["capturable"]), isinstance(group["lr"], Tensor)))
        step(self, closure)

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    trained(tmp_path, monkeypatch, blind("graph"), job(ADAM, arguments={"dropout": 0.0}))
    assert seen.count((True, True)) == 1
    assert seen.count((False, False)) == WARM_UP + SHORT
    assert len(seen) == 1 + WARM_UP + SHORT


def test_a_step_is_recorded_for_the_shape_of_the_first_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: Pretended
) -> None:
    """Four batches an epoch: the first step after the warm-up has the short one."""
    work = job(DYADIC.model_copy(update={"batch": 56}), arguments={"dropout": 0.0})
    trained(tmp_path, monkeypatch, blind("graph"), work)
    assert cuda.replays == 3 * 4 - WARM_UP - 3


def test_a_network_that_reads_a_number_goes_on_eagerly_with_the_reason_and_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: Pretended
) -> None:
    work = job(DYADIC, READING, "Reading")
    trained(tmp_path / "eager", monkeypatch, blind(), work)
    text = trained(tmp_path / "graph", monkeypatch, blind("graph"), work)
    said = "a step cannot be recorded (operation not permitted when stream is capturing); going on eagerly"
    assert text.count(said) == 1
    assert cuda.now is cuda.main, "the stream of the recording is left"
    assert not cuda.generator.recording, "the generator no longer waits for the end of the recording"
    assert bits(tmp_path / "graph") == bits(tmp_path / "eager")


DRAWS = ["random.random()", "numpy.random.rand()"]


@pytest.mark.parametrize("draw", DRAWS)
def test_a_network_that_decides_by_chance_on_the_host_goes_on_eagerly_and_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: Pretended, draw: str
) -> None:
    module = SKIPPING.replace("torch.rand(()) < 0.5", f"{draw} < 0.5").replace(
        "import torch\n", f"import {draw.split('.')[0]}\n"
    )
    work = job(DYADIC, module, "Skipping")
    trained(tmp_path / "eager", monkeypatch, blind(), work)
    text = trained(tmp_path / "graph", monkeypatch, blind("graph"), work)
    assert text.count("decides by chance on the host") == 1
    assert cuda.replays == 0
    assert bits(tmp_path / "graph") == bits(tmp_path / "eager")


# ---- what cannot be recorded


def test_each_obstacle_is_named_and_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = {
        "there is no CUDA device": (Device(torch.device("cpu"), torch.float32, "graph", 1, "x"), DYADIC),
        "the loss scale of fp16 is decided on the host": (blind("graph", torch.float16), DYADIC),
        "sgd with these settings cannot leave out": (
            blind("graph"),
            DYADIC.model_copy(update={"optimizer": Sgd(lr=0.05, dampening=0.1)}),
        ),
        "the momentum changes from step to step": (
            blind("graph"),
            DYADIC.model_copy(update={"optimizer": Sgd(lr=0.05, momentum_to=0.95, momentum_epochs=2)}),
        ),
    }
    for number, (reason, (device, recipe)) in enumerate(cases.items()):
        text = trained(tmp_path / str(number), monkeypatch, device, job(recipe, arguments={"dropout": 0.0}))
        assert f"engine graph: {reason}" in text


# ---- no look at the device's numbers


@pytest.mark.parametrize("optimizer", [Sgd(lr=0.0625), RmsProp(lr=0.01)], ids=lambda optimizer: optimizer.kind)
def test_step_and_layer_of_a_number_that_is_not_finite_are_told_as_on_a_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: Pretended, optimizer: Optimizer
) -> None:
    """It comes with one image, and the host looks steps later: its batch is made again, and no weight has moved."""
    spoilt = images()
    assert isinstance(spoilt.train, InMemory)
    spoilt.train.pixels[Epoch(DYADIC.seed, 0, 200).order()[4 * 32]] = 255
    monkeypatch.setattr(run, "load", lambda *_: spoilt)
    work = job(DYADIC.model_copy(update={"optimizer": optimizer, "normalize": ()}), DIVIDING, "Dividing")
    told: set[str] = set()
    for number, device in enumerate((CPU, blind(), blind("graph"), blind(precision=torch.float16))):
        monkeypatch.setattr(device_module, "choose", lambda *_, device=device: device)
        code, text = go(tmp_path / str(number), work)
        assert code == 76
        told.add(text.splitlines()[-1])
    assert told == {"error: step 5: the output of `conv` (Conv2d) is not finite; no checkpoint was made yet"}


def test_rates_of_dropout_that_change_are_not_compiled(monkeypatch: pytest.MonkeyPatch):
    """torch would compile each, and go on eagerly after eight, and say nothing."""
    monkeypatch.setattr(torch, "compile", lambda model, **_: model)
    told: list[str] = []
    network, compiled = nn.Linear(2, 2), replace(CPU, engine="compile")
    phases = Recipe(dropout=(Phase(times=0.0, to=1.0, end=1.0, by="fraction"),))
    assert engine.forward(network, phases, compiled, told.append) is network
    assert told == ["engine compile: the rates of dropout change in the course of the run; going on eagerly"]
    assert isinstance(engine.forward(network, Recipe(), compiled, told.append), engine.Compiled)
    assert engine.forward(network, Recipe(), CPU, told.append) is network
    assert len(told) == 1


def test_nothing_in_a_step_makes_the_host_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the batch's images to the next weights; a GPU would run dry while its host waits."""
    original = loop.Trainer._step
    steps: list[int] = []

    def unread(self: loop.Trainer, *given: object) -> object:
        with Unread():
            steps.append(1)
            return original(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(loop.Trainer, "_step", unread)
    trained(tmp_path, monkeypatch, blind(), job(ADAM))
    assert len(steps) == STEPS


@pytest.mark.parametrize(("device", "shown"), [(blind(), 3), (CPU, STEPS)], ids=["gpu", "cpu"])
def test_a_terminal_is_told_only_what_the_host_has_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: Device, shown: int
) -> None:
    """A bar that wants numbers all the time gets those of an epoch's last step, and no look of its own."""
    told: list[int] = []
    monkeypatch.setattr(Reporter, "wants", lambda *_: True)
    monkeypatch.setattr(Reporter, "step", lambda _self, done, *_: told.append(done))
    trained(tmp_path, monkeypatch, device, WHOLE)
    assert len(told) == shown


def test_the_seconds_of_an_epoch_are_counted_until_the_device_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the last look the host waits for all that it has asked for."""
    monkeypatch.setattr(loop.Trainer, "_refuse_not_finite", lambda *_: time.sleep(0.3))
    trained(tmp_path, monkeypatch, blind(), WHOLE)
    rows = list(csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines()))
    assert all(float(row["seconds"]) > 0.3 for row in rows)


RECORDS = [
    PadCrop(pad=1, mode="reflect"),
    Crop(size=6),
    ResizedCrop(size=6),
    Flip(),
    Cutout(size=3),
    Affine(rotate=10.0, scale=0.1, shift=0.1, shear=0.1),
    Colour(brightness=0.1, contrast=0.1, saturation=0.1),
    PcaColour(),
    Mixup(alpha=0.3),
    Cutmix(alpha=1.0),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.kind)
def test_no_augmentation_makes_the_host_wait(record: Augment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(randomness, "_in_numpy", lambda _: False)  # as on a device that is not the host
    images, index, colours = torch.rand(4, 3, 8, 8), torch.arange(4), torch.eye(3)
    with Unread():
        augment((record,), Batch(images, index), Epoch(0, 0, 4).chance(index, 0), 0.0, colours)


def test_a_read_would_be_seen() -> None:
    """The control of the test above."""
    for work in (lambda t: float(t[0]), lambda t: t[t > 0], lambda _: torch.tensor([1.0, 2.0])):
        with pytest.raises(AssertionError, match="the host waits"), Unread():
            work(torch.ones(3))


def test_fp16_makes_no_update_from_a_loss_that_is_not_finite_nor_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scaler looks at gradients alone, and these are finite where a constant is added to the loss."""
    monkeypatch.setattr(run, "load", few)
    monkeypatch.setattr(device_module, "choose", lambda *_: blind(precision=torch.float16))
    weights: list[Tensor] = []
    original = loop.Trainer._step

    def step(self: loop.Trainer, *given: object) -> object:
        if self.progress.step == 2:
            objective = self.stepper.objective
            self.stepper.objective = lambda *parts: objective(*parts) + float("inf")
        elif self.progress.step == 3:
            self.stepper.objective = loop.Stepper(self.plan, self.model).objective
        taken = original(self, *given)  # type: ignore[arg-type]
        weights.append(torch.cat([p.detach().flatten().clone() for p in self.model.parameters()]))
        return taken

    monkeypatch.setattr(loop.Trainer, "_step", step)
    code, text = go(tmp_path, job(DYADIC, arguments={"dropout": 0.0}))
    assert code == 76, text
    assert "is not finite" in text
    assert not torch.equal(weights[0], weights[1])
    assert all(torch.equal(weights[1], later) for later in weights[2:])

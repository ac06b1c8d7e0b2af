"""`archdsl bench`: its arithmetic on faked clocks and rates, that what it compares does the same, and what it prints.

No test of CI looks at a time. The figures of docs/evidence.md are measured again by the tests with the mark `prove`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

import archdsl
from archdsl import cli, training
from archdsl.recipe.records import Crop, Cutout, Flip, PadCrop
from archdsl.spec import Spec
from archdsl.train import network
from archdsl.train.augment import Batch, Epoch, augment
from archdsl.train.bench import plain
from archdsl.train.bench.asked import Asked
from archdsl.train.bench.pacing import FEWEST, ROUNDS, Contestant, calibrate, paced, ratio
from archdsl.train.bench.roofline import Layer, Peak, bounds, layers
from archdsl.train.bench.run import PLAIN, Bench, answering, measure, mode, noise, recipe
from archdsl.train.device import Hardware
from archdsl.train.normalize import to_float
from archdsl.train.trouble import Misfit

ROOT = Path(__file__).parents[2]
SPEC = """
network Tiny(width = 4, classes = 10) {
    input image: [3, 16, 16]
    output = image -> conv(width, 3, stride=2) -> bn -> relu -> dropout(0.5) -> global_avg_pool -> linear(classes)
}
recipe quick {
    optimizer = sgd(lr=0.1, momentum=0.9, nesterov=true, weight_decay=1e-4)
    batch = 8
}
"""
ONE_CORE = Hardware(cores=1, compiler=True)
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "tiny.arch").write_text(SPEC)
    return tmp_path / "tiny.arch"


def bench(*words: object) -> Result:
    return CliRunner().invoke(cli.app, ["bench", *map(str, words)])


def loaded(path: Path) -> Spec:
    return archdsl.load(str(path))


# ---- the arithmetic


class FakeClock:
    """Time passes only where somebody works; the machine may get slower."""

    def __init__(self) -> None:
        self.now, self.pace = 0.0, 1.0

    def __call__(self) -> float:
        return self.now

    def contestant(
        self, name: str, seconds: float, amount: float = 10, prepares: float = 0, **more: float
    ) -> Contestant:
        def work(steps: int) -> None:
            self.now += steps * seconds * self.pace

        def ready(_steps: int) -> None:
            self.now += prepares

        return Contestant(name, amount, work, ready, **more)  # type: ignore[arg-type]


def test_ratios_hold_on_a_machine_that_becomes_slower():
    clock = FakeClock()
    slow, fast = clock.contestant("slow", 2.0), clock.contestant("fast", 0.5)
    turns: list[str] = []
    for one in (slow, fast):
        one.ready = lambda _steps, name=one.name: turns.append(name)
    rates = {"slow": [], "fast": []}
    for _ in range(5):
        for name, found in paced([slow, fast], 1, clock).items():
            rates[name] += found
        clock.pace *= 3
    assert ratio(rates, "fast", "slow").median == pytest.approx(4)
    assert rates["fast"][0] == pytest.approx(20)
    assert rates["fast"][4] == pytest.approx(20 / 81)


def test_every_other_round_goes_backwards():
    clock, turns = FakeClock(), []
    both = [clock.contestant(name, 1.0) for name in "ab"]
    for one in both:
        one.ready = lambda _steps, name=one.name: turns.append(name)
    paced(both, 3, clock)
    assert "".join(turns) == "abbaab"


def test_preparations_take_no_time():
    clock = FakeClock()
    one = clock.contestant("one", 1.0, prepares=50.0)
    assert paced([one], 1, clock) == {"one": [pytest.approx(10)]}


def test_the_median_of_ratios_and_its_quarters():
    rates = {"one": [1.0, 4.0, 9.0, 16.0, 25.0], "two": [1.0, 2.0, 3.0, 4.0, 5.0]}
    found = ratio(rates, "one", "two", factor=10)
    assert (found.low, found.median, found.high) == (20, 30, 40)


def test_steps_are_as_many_as_fit_into_the_time():
    clock = FakeClock()
    quick, slow = clock.contestant("quick", 0.01), clock.contestant("slow", 0.1, share=3.0)
    assert calibrate([quick, slow], 36.0, clock) == ROUNDS
    assert (quick.steps, slow.steps) == (100, 30)  # of the 4 seconds of a round, one and three


def test_steps_that_take_long_are_done_in_fewer_rounds():
    clock = FakeClock()
    slow = clock.contestant("slow", 5.0)
    assert (calibrate([slow], 20.0, clock), slow.steps) == (4, 1)
    assert calibrate([slow], 1.0, clock) == FEWEST


def test_mfu_is_three_forward_passes_of_the_peak_in_the_same_precision():
    rates = {
        PLAIN: [10.0],
        "eager bf16": [20.0],
        answering(PLAIN): [50.0],
        answering("eager bf16"): [75.0],
        "peak fp32": [600.0],
        "peak bf16": [1200.0],
    }
    found = mode("eager bf16", "bf16", 5, rates)  # 20 images of 3 × 2 × 5 operations
    assert (found.mfu.median, found.training_ratio.median, found.inference_ratio.median) == (0.5, 2, 1.5)
    assert mode(PLAIN, "fp32", 5, rates).mfu.median == 0.5


def test_a_layer_is_bound_by_what_takes_longer():
    heavy, light = Layer("conv", (1,), 1, 1000, 10, 0), Layer("relu", (1,), 1, 0, 100, 0)
    found = bounds([light, heavy], Peak(flops=100, bandwidth=50, width=4), batch=1)
    assert [(b.layer.kind, b.by, b.seconds) for b in found] == [("conv", "arithmetic", 10), ("relu", "memory", 2)]
    halved = bounds([light], Peak(flops=100, bandwidth=50, width=2), batch=1)
    assert halved[0].seconds == 1


def test_weights_are_read_once_for_a_batch():
    layer = Layer("linear", (1,), 1, 0, 0, 400)
    assert bounds([layer], Peak(1, 1, 4), batch=100)[0].seconds == 4


@pytest.mark.parametrize("name", ["resnet-20", "densenet-40-12", "googlenet", "fractalnet-20", "shake-shake-26-2x32d"])
def test_all_layers_together_are_the_network(name: str):
    spec = loaded(ROOT / "specs" / f"{name}.arch")
    assert sum(layer.flops for layer in layers(spec.network.graph)) == 2 * spec.cost.macs.total


def test_layers_move_what_goes_in_and_out(spec: Path):
    found = {layer.kind: layer for layer in layers(loaded(spec).network.graph)}
    assert found["conv"].moved == 4 * (3 * 16 * 16 + 4 * 8 * 8)
    assert found["conv"].weights == 4 * 3 * 4 * 9
    assert found["relu"].moved == 4 * 2 * 4 * 8 * 8
    assert found["linear"].moved == 4 * (4 + 10)


# ---- what is compared


def set_up(path: Path, folder: Path, **asked: object) -> Bench:
    found = loaded(path)
    options = Asked.model_validate({"threads": 1, "workers": 0, **asked})
    job = training.job(str(path), found.checked, found.network, found.module_text(), found.checked.recipes[0].recipe)
    (folder / "model.py").write_text(job.module)
    torch.manual_seed(0)
    model = network.build(folder / "model.py", job)
    return Bench(options, job, found.network.graph, model, folder, ONE_CORE)


def test_the_bare_loop_does_the_very_step_of_the_trainer(spec: Path, tmp_path: Path):
    found = set_up(spec, tmp_path)
    trainer, bare = found.best.trainer, found.bare
    trainer.endless = trainer._endless()
    trainer.progress.epoch, trainer.progress.seen, trainer.progress.step = 0, 0, 0
    weights = []
    for who in (trainer, bare):
        torch.manual_seed(1)  # of dropout
        who.begin_anew(0)
        who.work(5)
        weights.append(who.model.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not torch.equal(weights[0]["conv.weight"], trainer.start["conv.weight"])


def test_every_turn_begins_with_the_same_weights(spec: Path, tmp_path: Path):
    trainer = set_up(spec, tmp_path).best.trainer
    trainer.work(3)
    trainer.begin_anew(0)
    assert all(torch.equal(trainer.model.state_dict()[name], value) for name, value in trainer.start.items())
    assert all(not m["momentum_buffer"].any() for m in trainer.stepper.optimizer.inner.state.values())


def test_epochs_follow_each_other_without_a_file(spec: Path, tmp_path: Path):
    trainer = set_up(spec, tmp_path).best.trainer
    before = sorted(tmp_path.iterdir())
    trainer.work(205)  # an epoch is a hundred
    assert trainer.progress.epoch == 2
    assert sorted(tmp_path.iterdir()) == before


def test_the_plain_loop_learns(spec: Path, tmp_path: Path):
    found = set_up(spec, tmp_path)
    before = [p.detach().clone() for p in found.loop.model.parameters()]
    found.loader.ready(2)
    found.loop.train(2)
    assert all(not torch.equal(a, b) for a, b in zip(before, found.loop.model.parameters(), strict=True))


def test_both_pipelines_make_the_same_of_a_picture_that_is_not_moved(monkeypatch: pytest.MonkeyPatch):
    images = noise((3, 8, 8), 10, 4)
    mean, std = torch.rand(3, 1, 1), torch.rand(3, 1, 1) + 0.5
    pictures = plain.Pictures(images, mean, std)
    monkeypatch.setattr(plain, "_moved", lambda picture: picture)
    ours = (to_float(images.pixels[:1]) - mean) / std
    torch.testing.assert_close(pictures[0][0][None], ours.contiguous())


def test_a_plain_picture_is_a_window_of_the_padded_one():
    picture = Image.fromarray(torch.arange(1, 65, dtype=torch.uint8).view(8, 8).numpy())
    torch.manual_seed(0)
    corners = {plain._moved(picture).getpixel((0, 0)) for _ in range(3000)}
    assert corners == {0, *range(1, 41)}  # padding, and the five rows that can be the first


@pytest.mark.parametrize("workers", [0, 1])
def test_the_loader_gives_as_many_batches_as_were_asked_for(workers: int):
    pictures = plain.Pictures(noise((1, 8, 8), 10, 4), torch.zeros(1, 1, 1), torch.ones(1, 1, 1))
    loader = plain.Loader(pictures, 4, workers)
    for steps in (3, 1):
        loader.ready(steps)
        found = list(loader.take(steps))
        assert [images.shape for images, _ in found] == [(4, 1, 8, 8)] * steps
        assert next(loader.rest, None) is None


def test_only_batch_and_optimizer_are_the_recipes(spec: Path):
    given = loaded(spec).checked.recipes[0].recipe
    assert given is not None
    found = recipe(Asked(), given.model_copy(update={"ema": 0.9, "augment": (Cutout(size=4),)}))
    assert (found.batch, found.optimizer, found.ema) == (8, given.optimizer, None)
    assert recipe(Asked(batch=16), given).batch == 16


# ---- the quick input pipeline


def mirrored_after(images: torch.Tensor, flips: torch.Tensor) -> torch.Tensor:
    return torch.stack([one.flip(2) if flip else one for one, flip in zip(images, flips, strict=True)])


@pytest.mark.parametrize("window", [PadCrop(pad=3), PadCrop(pad=2, mode="reflect"), Crop(size=7)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_window_and_its_flip_in_one_gather_are_both_after_another(window: PadCrop | Crop, channels: int):
    images = torch.randn(50, channels, 9, 11).to(memory_format=torch.channels_last)
    batch, chance = Batch(images, torch.zeros(50)), Epoch(3, 1, 50).chance(torch.arange(50), 0)
    together = augment([window, Flip()], batch, chance, 0.0).images
    cut = augment([window], batch, chance, 0.0).images
    flips = chance.draw(1, 1)[:, 0] < 0.5
    assert torch.equal(together, mirrored_after(cut, flips))
    assert together.is_contiguous(memory_format=torch.channels_last)


def test_a_lone_flip_and_a_flip_that_comes_later_are_done():
    images = torch.randn(50, 3, 8, 8)
    batch, chance = Batch(images, torch.zeros(50)), Epoch(3, 1, 50).chance(torch.arange(50), 0)
    alone = augment([Flip()], batch, chance, 0.0).images
    assert torch.equal(alone, mirrored_after(images, chance.draw(0, 1)[:, 0] < 0.5))
    twice = augment([Crop(size=8), Flip(), Flip()], batch, chance, 0.0).images
    flips = (chance.draw(1, 1) < 0.5) ^ (chance.draw(2, 1) < 0.5)
    assert torch.equal(twice, mirrored_after(images, flips[:, 0]))


# ---- the command


MODE = {"name", "precision", "training", "training_ratio", "mfu", "inference", "inference_ratio"}
FIELDS = {"version", "network", "parameters", "macs", "batch", "device", "workers", "peaks", "bandwidth", "modes"}
FIELDS |= {"seconds", "skipped", "input", "overhead", "roofline"}


def test_a_tiny_network_as_json(spec: Path):
    ran = bench(spec, "--seconds", 0.3, "--threads", 1, "--workers", 0, "--batch", 4, "--format", "json")
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert set(found) == FIELDS
    assert (found["network"], found["parameters"], found["batch"]) == ("tiny", 166, 4)
    assert [set(mode) for mode in found["modes"]] == [MODE] * len(found["modes"])
    assert found["modes"][0]["name"] == PLAIN
    assert found["modes"][0]["training_ratio"]["median"] == 1
    assert all(mode["training"] > 0 and mode["inference"] > 0 for mode in found["modes"])
    assert found["roofline"]["images"] == pytest.approx(1 / sum(b["seconds"] for b in found["roofline"]["bounds"]))
    assert found["overhead"]["pairs"] >= 3


def test_a_tiny_network_as_a_page(spec: Path):
    ran = bench(spec, "--seconds", 0.3, "--threads", 1, "--workers", 0, "--cpu-time")
    assert ran.exit_code == 0, ran.output
    for part in (
        "by CPU seconds",
        "plain loop",
        "eager fp32",
        "× plain",
        "MFU",
        "images/s",
        "FLOP/byte",
        "of PIL pictures with no workers",
    ):
        assert part in ran.stdout


def test_what_is_not_measured_is_said(spec: Path, tmp_path: Path):
    skipped = set_up(spec, tmp_path).skipped
    assert skipped["graph fp32"] == "there is no CUDA device"
    assert "--compiled" in skipped["compile fp32"]
    assert "fp32" in skipped["eager bf16"]


def test_a_network_without_pictures_or_classes_is_refused_in_a_line(tmp_path: Path):
    for text, said in (
        ("network A() { input x: [8]\n output = x -> linear(2) }", "takes [8]"),
        ("network A() { input x: [3, 8, 8]\n output = x -> conv(2, 3) }", "gives [2, 8, 8]"),
    ):
        (tmp_path / "a.arch").write_text(text)
        ran = bench(tmp_path / "a.arch")
        assert (ran.exit_code, ran.stdout) == (1, "")
        assert ran.stderr.count("\n") == 1
        assert said in ran.stderr


def test_a_network_of_two_inputs_is_refused(spec: Path):
    found = loaded(spec)
    job = training.job("a", found.checked, found.network, "", found.checked.recipes[0].recipe)
    found.network.graph.inputs = found.network.graph.inputs * 2
    with pytest.raises(Misfit, match="pictures"):
        measure(Asked(), job, found.network.graph)


@pytest.mark.parametrize(
    "flag", [("--seconds", "0"), ("--batch", "1"), ("--device", "tpu"), ("--format", "xml"), ("--cpu-time",)]
)
def test_misuse_is_told(spec: Path, flag: tuple[str, ...]):
    ran = bench(spec, *flag)
    assert ran.exit_code == 2
    assert flag[0] in ran.stderr


# ---- the figures


FLAGS = ("--threads", "1", "--workers", "0", "--cpu-time", "--seconds", "60", "--format", "json")


@pytest.fixture(scope="module", params=["resnet-20", "wrn-16-4"])
def measured(request: pytest.FixtureRequest) -> dict:
    """In a process of its own, by CPU seconds, since the proofs share the cores. About two minutes each."""
    flags = os.environ.get("ARCHDSL_BENCH", "").split() or FLAGS
    words = [sys.executable, "-m", "archdsl", "bench", f"specs/{request.param}.arch", *flags]
    return json.loads(subprocess.run(words, cwd=ROOT, check=True, capture_output=True).stdout)


@pytest.mark.prove
def test_a_step_is_at_least_1_15_times_as_fast_as_the_plain_loops(measured: dict):
    best = max(mode["training_ratio"]["median"] for mode in measured["modes"][1:])
    assert best >= 1.15, measured["modes"]


@pytest.mark.prove
def test_the_trainer_costs_less_than_two_percent(measured: dict):
    assert measured["overhead"]["share"]["median"] < 0.02, measured["overhead"]


@pytest.mark.prove
def test_batches_are_made_at_least_15_times_as_fast_as_by_pil_on_one_core(measured: dict):
    assert measured["input"]["ratio"]["median"] >= 15, measured["input"]

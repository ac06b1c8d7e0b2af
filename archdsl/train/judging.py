"""A trained network is judged again, or asked about a picture."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from rich.console import Console

from archdsl.inputs import Misuse
from archdsl.train import device, network, reopened, run
from archdsl.train.data.images import Images
from archdsl.train.data.pictures import Frame
from archdsl.train.device import Device, Hardware
from archdsl.train.evaluate import judge, scores
from archdsl.train.job import TrainConfig
from archdsl.train.loss import measure
from archdsl.train.refused import refusal
from archdsl.train.signals import watched
from archdsl.train.stored import Stored
from archdsl.train.trouble import Misfit, Stopped

TOP = 5  # classes that `predict` names
_OTHERWISE = 1000  # images, of which a GPU without --deterministic may answer one otherwise


@dataclass(frozen=True)
class Judgement:
    """What `archdsl eval` found. `logged` is the test error in the metrics of the same step, on the same images."""

    run: str
    data: str
    step: int
    epoch: int | None
    images: int
    test_error: float
    test_loss: float
    logged: float | None
    tolerance: int = 0
    """Images that may be answered otherwise than then, by a GPU that adds in another order each time."""

    @property
    def as_logged(self) -> bool:
        """Whether it is the number of the metrics, as far as there is one."""
        return self.logged is None or round(abs(self.logged - self.test_error) * self.images) <= self.tolerance

    def __str__(self) -> str:
        epoch = "" if self.epoch is None else f" (epoch {self.epoch})"
        wrong = round(self.test_error * self.images)
        same = self.logged is None or self.logged == self.test_error
        then = "" if self.logged is None else ", as logged" if same else f"; logged was {self.logged:.4%}"
        return (
            f"{self.run} on {self.data}, step {self.step}{epoch}: test error {self.test_error:.2%} "
            f"({wrong:,} of {self.images:,} images), loss {self.test_loss:.4f}{then}"
        )


@dataclass(frozen=True)
class Guess:
    """A class and its probability."""

    name: str
    probability: float


def evaluate(stored: Stored, which: str, changes: dict[str, object]) -> Judgement:
    """Judge a checkpoint of the run on the test images, as the recipe says.

    `which`: see `reopen`. `changes` are options of training in place of the run's own: data, data_dir, device, threads.
    """
    config = _config(stored, changes)
    where = _device(config)
    images = run.images_for(config, reopened.job_of(stored), Console(stderr=True))
    _check(stored, images)
    found = reopened.reopen(stored, which)
    model = network.moved(found.model, where)
    normalize = reopened.normalization(stored, where.device)
    test = images.test.to(where.device)
    with watched() as flag:
        loss, most = measure(stored.recipe.loss), config.micro_batch
        verdict = judge(model, test, stored.recipe, where, normalize, loss, flag, at_once=most)
    if verdict is None:
        raise Stopped(f"stopped by {flag.name}")
    return Judgement(
        run=stored.label,
        data=images.name,
        step=found.step,
        epoch=found.row.epoch if found.row else None,
        images=len(test),
        test_error=verdict.error,
        test_loss=verdict.loss,
        logged=found.row.test_error if found.row and _same(stored, images) else None,
        tolerance=0 if where.reads_are_free or config.deterministic else max(len(test) // _OTHERWISE, 1),
    )


def predict(stored: Stored, which: str, pictures: list[Path], changes: dict[str, object]) -> list[list[Guess]]:
    """For each picture its likeliest classes, at most `TOP`, by the recipe's policy of evaluation."""
    where = _device(_config(stored, changes))
    model = network.moved(reopened.reopen(stored, which).model, where)
    network.prepare_evaluation(model, stored.recipe)
    normalize = reopened.normalization(stored, where.device)
    found: list[list[Guess]] = []
    for path in pictures:
        torch.manual_seed(stored.recipe.seed)
        with torch.inference_mode():
            image = normalize(picture(stored, path).to(where.device))
            probabilities = scores(model, image, stored.recipe, where).float().softmax(1)[0].cpu()
        values, classes = probabilities.topk(min(TOP, len(stored.plan.classes)))
        pairs = zip(classes.tolist(), values.tolist(), strict=True)
        found.append([Guess(stored.plan.classes[number], value) for number, value in pairs])
    return found


def picture(stored: Stored, path: Path) -> torch.Tensor:
    """A picture of any size as [1, H, W, C] bytes, brought to the size, colours and margin of the run's data."""
    channels, height, width = stored.plan.shape
    margin = stored.plan.margin
    pixels = Frame(channels, height - 2 * margin, width - 2 * margin).read(path)
    return torch.nn.functional.pad(torch.tensor(pixels)[None], (0, 0, margin, margin, margin, margin))


def _config(stored: Stored, changes: dict[str, object]) -> TrainConfig:
    """The options of the run, in its precision and with its threads: other ones may round otherwise."""
    plan = stored.plan
    asked = {name: value for name, value in changes.items() if value is not None}
    own: dict[str, object] = {"threads": plan.threads, "out": None, "resume": False, "teacher": None, "download": False}
    if asked.get("device", plan.device) == plan.device:
        own |= {"device": plan.device, "precision": plan.precision}
    if asked.get("data", stored.config.data) != stored.config.data:
        own |= {"limit": None, "dry_run": False, "overfit_batch": False, "data_dir": None}
        own |= {"workers": None, "unofficial": False}
    try:
        return TrainConfig.model_validate({**stored.config.model_dump(), **own, "engine": "eager", **asked})
    except ValidationError as error:
        raise Misuse(refusal(TrainConfig, error)) from None


def _device(config: TrainConfig) -> Device:
    where = device.choose(config, Hardware.found())
    device.apply(where, config.deterministic)
    return where


def _check(stored: Stored, images: Images) -> None:
    plan = stored.plan
    if len(images.classes) != len(plan.classes):
        raise Misfit(f"{stored.path} knows {len(plan.classes)} classes, {images.name} has {len(images.classes)}")
    if images.shape[0] != plan.shape[0]:
        raise Misfit(f"{stored.path} takes {plan.shape[0]} channels, {images.name} has {images.shape[0]}")
    if stored.recipe.resize is None and images.shape != plan.shape:
        then, now = ("×".join(map(str, shape)) for shape in (plan.shape, images.shape))
        raise Misfit(f"{stored.path} was trained on images of {then}, {images.name} has {now}")


def _same(stored: Stored, images: Images) -> bool:
    return (images.name, len(images.test)) == (stored.plan.data, stored.plan.test)

"""Every family of `specs/` is trained by its own recipe: two steps on noise, and on CIFAR-10 until the loss is lower."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from harness import config
from rich.console import Console

from archdsl import pipeline, training
from archdsl.inputs import read
from archdsl.pipeline import Request
from archdsl.recipe import Recipe
from archdsl.train import checkpoint, run
from archdsl.train.data import Images
from archdsl.train.data import Request as DataRequest
from archdsl.train.data.images import InMemory
from archdsl.train.job import Job

SPECS = Path(__file__).parents[2] / "specs"


@dataclass(frozen=True)
class Family:
    """A small member of a family, and how many images a step has on CIFAR-10."""

    spec: str
    parameters: dict[str, str]
    batch: int = 16
    recipe: str | None = None
    changes: tuple[str, ...] = ()
    """Of the recipe on CIFAR-10, beside its batch, length and evaluation."""


TEN = {"classes": "10"}
FAMILIES = {
    "LeNet-5": Family("lenet-5", {"channels": "3"}, 32),
    "AlexNet": Family("alexnet", TEN, 8),
    "NIN": Family("nin", {}, 16, changes=("optimizer.lr=0.02",)),
    "DSN": Family("dsn", {}, 16, changes=("optimizer.lr=0.01",)),
    "Maxout": Family("maxout", {}, 8),
    "FitNet": Family("fitnet-19", {}, 8, changes=("stages.1.loss.to=4",)),  # else the loss falls with its weight
    "All-CNN": Family("all-cnn-c", {}, 16),
    "Highway": Family("highway", {}, 8),
    "ELU": Family("elu-11", TEN, 16, changes=("optimizer.lr=0.001",)),
    "Fractional max-pooling": Family("fmp", {"k": "6"}, 16),
    "Plain": Family("plain", {}),
    "ResNet": Family("resnet", {}),
    "ResNet, bottleneck": Family("resnet-bottleneck", {"depth": "20"}),
    "Pre-activation ResNet": Family("preresnet", {"depth": "20"}),
    "Stochastic depth": Family("stochastic-depth", {"depth": "20"}),
    "Swapout": Family("swapout", {"depth": "14", "k": "1"}),
    "Weighted ResNet": Family("weighted-resnet", {"depth": "22"}),
    "Wide ResNet": Family("wrn", {"depth": "10", "k": "2"}),
    "DenseNet": Family("densenet", {"depth": "22"}),
    "PyramidNet": Family("pyramidnet", {"depth": "20"}),
    "FractalNet": Family("fractalnet", {"width": "8"}),
    "ResNeXt": Family("resnext", {"depth": "11", "cardinality": "2", "base": "16"}),
    "GoogLeNet": Family("googlenet", TEN, 8),
    "Shake-Shake": Family("shake-shake", {"base": "8"}),
    "SGDR": Family("wrn", {"depth": "10", "k": "2"}, recipe="sgdr"),
    "He & Sun": Family("he-sun", TEN, 8),
}


def job(family: Family, *changes: str) -> Job:
    source = read(str(SPECS / f"{family.spec}.arch"))
    checked, modules = pipeline.compile(source, Request(family.parameters))
    recipe = training.chosen_recipe(checked, family.recipe, changes)
    return training.job(source.name, checked, checked.networks[0], next(iter(modules.values())), recipe)


def settings(recipe: Recipe, batch: int) -> list[str]:
    """One judging pass, small batches, no image held back: what a recipe is shortened by."""
    found = [f"batch={batch}", "validation=0"]
    found += ["evaluate=single"] if recipe.evaluate.kind in ("mean", "ten_crop") else []
    return found


def chosen(family: Family) -> Recipe:
    source = read(str(SPECS / f"{family.spec}.arch"))
    checked = pipeline.check(source, Request(imported_recipes=True))
    return training.chosen_recipe(checked, family.recipe, ())


def noise(_name: str, _request: DataRequest) -> Images:
    """Random images; those of ImageNet's networks are made larger by their recipes."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (16, 32, 32, 3), generator=generator, dtype=torch.uint8)
    split = InMemory(pixels, torch.arange(16) % 10)
    return Images("noise", split, split, tuple("abcdefghij"))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("name", FAMILIES)
def test_two_steps(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each by its own recipe. Whitening is left out: its eigenvectors take longer than everything else together."""
    family = FAMILIES[name]
    recipe = chosen(family)
    changes = settings(recipe, 2)
    if any(record.kind == "zca" for record in recipe.normalize):
        changes.append("normalize=gcn")
    work = job(family, *changes)
    if work.teacher is None:  # stages hand their weights on in checkpoints; the others need not write them
        monkeypatch.setattr(checkpoint, "save", lambda *_: None)
    else:
        monkeypatch.setattr(
            checkpoint, "_verified", lambda place: {n: (place / n).read_bytes() for n in checkpoint._FILES}
        )
    monkeypatch.setattr(run, "load", noise)
    console = Console(file=io.StringIO(), width=200)
    code = run.run(config(tmp_path, dry_run=True, report=False), work, console)
    assert code == 0, console.file.getvalue()  # type: ignore[attr-defined]
    (row,) = csv.DictReader(io.StringIO((tmp_path / "metrics.csv").read_text()))
    assert int(row["step"]) == 2


STEPS, EPOCHS = 40, 6


@pytest.mark.prove
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("name", FAMILIES)
def test_the_loss_falls_on_cifar_10(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Six epochs of forty steps; the mean loss of the last is below that of the first."""
    directory = os.environ.get("ARCHDSL_CIFAR10")
    if not directory:
        pytest.skip("ARCHDSL_CIFAR10 does not name the folder that has cifar-10-batches-py/")
    family = FAMILIES[name]
    recipe = chosen(family)
    # the beginning of the recipe, not all of it drawn together; of a teacher and two stages it is the latter
    length = [] if recipe.stages else [f"iterations={STEPS * EPOCHS}"]
    work = job(family, *settings(recipe, family.batch), *family.changes, *length)
    options: dict[str, object] = {"data": "cifar10", "data_dir": Path(directory), "limit": STEPS * family.batch}
    options |= {"epochs": EPOCHS} if recipe.stages else {}
    console = Console(file=io.StringIO(), width=200)
    code = run.run(config(tmp_path, report=False, **options), work, console)
    assert code == 0, console.file.getvalue()  # type: ignore[attr-defined]
    how = [f"{name}={value}" for name, value in family.parameters.items()] + list(family.changes)
    for folder in sorted(path.parent for path in tmp_path.rglob("metrics.csv")):
        rows = list(csv.DictReader(io.StringIO((folder / "metrics.csv").read_text())))
        first, last = rows[0], rows[-1]
        batch = Recipe.model_validate_json((folder / "recipe.json").read_text()).batch
        part = "" if folder == tmp_path else f" ({folder.name})"
        with capsys.disabled():
            print(
                f"| {name}{part} | {' '.join([family.spec, *how])} | {int(last['step'])} × {batch} "
                f"| {float(first['train_loss']):.3f} | {float(last['train_loss']):.3f} "
                f"| {float(first['train_error']):.1%} | {float(last['train_error']):.1%} |"
            )
        assert float(last["train_loss"]) < float(first["train_loss"])

"""Recipes of several runs: a teacher, a hint from its inside, its softened answers; and that they resume exactly."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
from pathlib import Path

import pytest
import torch
from harness import config, digest, few, go
from harness import job as plain_job
from safetensors.torch import load_file
from torch import Tensor

from archdsl import pipeline, training
from archdsl.analyses.layers import TooManyLayers
from archdsl.inputs import Misuse
from archdsl.pipeline import Request
from archdsl.recipe import Recipe
from archdsl.recipe.records import Crop, Distill, Hint, PcaColour, Phase, Plateau, Sgd, Stage
from archdsl.source import Source
from archdsl.train import checkpoint, loop, run
from archdsl.train.data.pictures import Frame
from archdsl.train.data.request import request
from archdsl.train.job import Job
from archdsl.train.loss import faded
from archdsl.train.teaching import Regressor, half_squared_distance, softened

SPEC = """
network Student(classes = 10) {
    input image: [3, 8, 8]
    one: [6, 8, 8] = image -> conv(6, 3, bias=true) -> relu
    two: [8, 4, 4] = one -> dropout(0.1) -> conv(8, 3, stride=2, bias=true) -> relu
    output: [classes] = two -> global_avg_pool -> linear(classes)
}

network Teacher(classes = 10) {
    input image: [3, 8, 8]
    low:  [8, 6, 6] = image -> conv(8, 3, padding="valid") -> bn -> relu
    high: [8, 6, 6] = low -> conv(8, 3) -> bn -> relu
    output: [classes] = high -> global_avg_pool -> linear(classes)
}

recipe both {
    augment   = [pad_crop(1), flip]
    optimizer = rmsprop(lr=0.005)
    teacher   = Teacher()
    epochs    = 2
    batch     = 50
    stages    = [stage(loss=hint(layer="one", of="low", activation="relu"), train=["one.*", "hint_regressor.*"], epochs=3),
                 stage(loss=distill(temperature=3, weight=4, to=1), optimizer=sgd(lr=0.05))]
}
"""


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run, "load", few)


def staged(text: str = SPEC, *changes: str, network: str = "Student") -> Job:
    checked, modules = pipeline.compile(Source("small.arch", text), Request(network=network))
    assert modules, [d.title for d in checked.diagnostics]
    recipe = training.chosen_recipe(checked, None, changes)
    return training.job("small.arch", checked, checked.networks[0], next(iter(modules.values())), recipe)


def losses(folder: Path) -> list[float]:
    return [float(row["train_loss"]) for row in csv.DictReader(io.StringIO((folder / "metrics.csv").read_text()))]


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(max(checkpoint.finished(folder)) / checkpoint.WEIGHTS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of the recipe, undisturbed."""
    out = tmp_path_factory.mktemp("staged") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "load", few)
        code, text = go(out, staged(), report=False)
    assert code == 0, text
    return out


def test_a_teacher_and_two_stages_are_three_runs(whole: Path):
    assert [len(losses(folder)) for folder in (whole / "teacher", whole / "stage-1", whole)] == [2, 3, 2]
    teacher, hint, student = (weights(folder) for folder in (whole / "teacher", whole / "stage-1", whole))
    assert hint["hint_regressor.map.weight"].shape == (8, 6, 3, 3)  # 8 - 6 + 1 rows and columns
    assert student.keys() == hint.keys() - {"hint_regressor.map.weight", "hint_regressor.map.bias"}
    assert "bn1.weight" in teacher
    assert losses(whole / "stage-1")[-1] < 0.9 * losses(whole / "stage-1")[0]
    assert json.loads((whole / "recipe.json").read_text())["loss"]["kind"] == "distill"


def test_only_what_is_named_moves(whole: Path, tmp_path: Path):
    """The first stage moves `one`; the layers behind it are those that the seed gives."""
    assert go(tmp_path / "run", staged(), dry_run=True, report=False)[0] == 0
    short, long = weights(tmp_path / "run" / "stage-1"), weights(whole / "stage-1")
    moved = {name for name in long if not torch.equal(short[name], long[name])}
    assert {name.split(".")[0] for name in moved} == {"one", "hint_regressor"}
    assert len(long) == len(moved) + 4  # the second convolution and the classifier


def test_a_stage_begins_with_what_the_one_before_has_learned(whole: Path, tmp_path: Path):
    """At a rate of zero the last stage ends where it began."""
    still = staged(SPEC.replace("sgd(lr=0.05)", "sgd(lr=1e-12)"))
    code, text = go(tmp_path / "run", still, teacher=whole / "teacher", report=False)
    assert code == 0, text
    before, after = weights(tmp_path / "run" / "stage-1"), weights(tmp_path / "run")
    assert all(torch.allclose(after[name], before[name], atol=1e-8) for name in after)


def test_a_teacher_takes_pictures_of_any_size_too(tmp_path: Path):
    """Of a folder, whose pictures are brought to the size of its network."""
    teacher = staged().teacher
    assert teacher is not None
    assert request(config(tmp_path, data="folder"), teacher).frame == Frame(3, 8, 8)


def test_a_trained_teacher_takes_the_place_of_training_one(whole: Path, tmp_path: Path):
    code, text = go(tmp_path / "run", staged(), teacher=whole / "teacher", report=False)
    assert code == 0, text
    assert not (tmp_path / "run" / "teacher").exists()
    assert digest(tmp_path / "run") == digest(whole)


@pytest.mark.parametrize(("part", "step"), [("teacher", 5), ("stage-1", 6), ("", 3)])
def test_a_recipe_stopped_in_any_part_ends_in_the_same_bits(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, step: int
):
    out = tmp_path / "run"
    original = loop.Trainer._between_steps

    def between(self: loop.Trainer, *more: object):
        if self.progress.step == step and self.plan.out == out / part:
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, *more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "_between_steps", between)
        code, text = go(out, staged(), report=False)
    assert code == 75, text
    assert go(out, staged(), report=False)[0] == 3  # a part of a run is not written over
    assert go(out, staged(), resume=True, report=False)[0] == 0
    assert digest(out) == digest(whole)
    assert digest(out / "stage-1") == digest(whole / "stage-1")


def test_another_teacher_is_another_run(whole: Path, tmp_path: Path):
    """Negative control: the answers of the teacher are part of what is computed."""
    other = staged(SPEC.replace("epochs    = 2", "epochs    = 1"))
    assert go(tmp_path / "run", other, report=False)[0] == 0
    code, text = go(tmp_path / "run", other, teacher=whole / "teacher", resume=True, report=False)
    assert code == 3
    assert "holds another run, and nothing was done: weights was " in text


def test_distillation_without_stages(tmp_path: Path):
    text = SPEC[: SPEC.index("    stages")] + "    loss = distill(temperature=4)\n}\n"
    code, said = go(tmp_path / "run", staged(text), report=False)
    assert code == 0, said
    assert [len(losses(folder)) for folder in (tmp_path / "run" / "teacher", tmp_path / "run")] == [2, 2]


def test_a_teacher_of_other_weights_is_refused(whole: Path, tmp_path: Path):
    code, text = go(tmp_path / "run", staged(), teacher=whole / "stage-1", report=False)
    assert code == 1
    assert "stage-1, the teacher, has the weights of another network than Teacher: bn1.bias differs" in text
    code, text = go(tmp_path / "run2", staged(), teacher=tmp_path / "nowhere", report=False)
    assert code == 3
    assert "nowhere holds no finished checkpoint to learn from" in text


def test_a_teacher_that_nobody_asked_for_is_refused(whole: Path, tmp_path: Path):
    text = SPEC[: SPEC.index("recipe both")]
    code, said = go(tmp_path / "run", staged(text), teacher=whole / "teacher", report=False)
    assert code == 1
    assert "--teacher: the recipe has no teacher" in said


def test_changes_from_outside_are_held_against_the_networks():
    with pytest.raises(Misuse, match=r"Student: no layer of Student is called 'tow'"):
        staged(SPEC, 'stages.0.loss.layer="tow"')
    with pytest.raises(Misuse, match=r"Student: \[8, 4, 4\] and \[10\] are not two maps or two vectors"):
        staged(SPEC, 'stages.0.loss.layer="two"', 'stages.0.loss.of="output"')
    with pytest.raises(Misuse, match="a teacher is a network that a recipe of the file names"):
        staged(SPEC, 'teacher="Other()"')


# --- formulas


def test_the_regressor_is_fitnets():
    """A student's map of 10×9 and a teacher's of 7×7 ask for a kernel of 4×3."""
    regressor = Regressor((5, 10, 9), (12, 7, 7), "maxout")
    assert regressor.map.weight.shape == (24, 5, 4, 3)
    x = torch.randn(2, 5, 10, 9)
    y = regressor(x)
    assert y.shape == (2, 12, 7, 7)
    assert torch.equal(y[:, 3], torch.maximum(regressor.map(x)[:, 6], regressor.map(x)[:, 7]))
    assert Regressor((5,), (12,), "none")(torch.randn(2, 5)).shape == (2, 12)
    assert Regressor((5,), (12,), "relu")(torch.randn(9, 5)).min() == 0


def test_the_hint_is_equation_3():
    a, b = torch.randn(4, 3, 2, 2), torch.randn(4, 3, 2, 2)
    by_hand = sum(0.5 * float(((a[i] - b[i]) ** 2).sum()) for i in range(4)) / 4
    assert float(half_squared_distance(a, b)) == pytest.approx(by_hand, rel=1e-6)


def test_softened_answers_are_equation_2():
    a, b = torch.randn(4, 10), torch.randn(4, 10)
    expected = torch.nn.functional.cross_entropy(a / 3, (b / 3).softmax(1))
    assert torch.isclose(softened(a, b, 3.0), expected)
    assert float(softened(b, b, 3.0)) < float(softened(a, b, 3.0))


def test_the_weight_of_the_teacher_falls_from_four_to_one():
    recipe = Recipe(teacher="T()", loss=Distill(temperature=3.0, weight=4.0, to=1.0))
    assert [faded(recipe, [], done)[-1] for done in (0.0, 0.5, 1.0)] == pytest.approx([4, 2.5, 1])


def test_a_stage_says_what_differs():
    first = Stage(loss=Hint(layer="a", of="b"), epochs=3, batch=7)
    recipe = Recipe(stages=(first, Stage()), iterations=50, clip=1.0)
    one, two = recipe.of_stage(0), recipe.of_stage(1)
    assert (one.epochs, one.iterations, one.batch, one.clip, one.stages) == (3, None, 7, 1.0, ())
    assert (two.epochs, two.iterations, two.batch) == (None, 50, 128)


def test_plateaus_phases_and_colours_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What depends on the errors so far, on the time and on the training pixels is the same after a resume."""
    recipe = Recipe(
        resize=10,
        augment=(Crop(size=8), PcaColour(std=0.5)),
        schedule=Plateau(patience=1, of="train"),
        optimizer=Sgd(lr=0.3),
        dropout=(Phase(times=0.0, to=3.0, end=1.0, by="fraction"),),
        epochs=5,
        batch=50,
    )
    assert go(tmp_path / "whole", plain_job(recipe), report=False)[0] == 0
    rates = [float(row["lr"]) for row in csv.DictReader(io.StringIO((tmp_path / "whole" / "metrics.csv").read_text()))]
    assert rates[-1] < rates[0]  # the rate has fallen, or the test would show nothing
    original = loop.Trainer._between_steps

    def between(self: loop.Trainer, *more: object):
        if self.progress.step == 18:
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, *more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "_between_steps", between)
        assert go(tmp_path / "parts", plain_job(recipe), report=False)[0] == 75
    assert go(tmp_path / "parts", plain_job(recipe), resume=True, report=False)[0] == 0
    assert digest(tmp_path / "parts") == digest(tmp_path / "whole")


def test_the_memory_of_a_teacher_of_too_many_layers_is_not_predicted(monkeypatch: pytest.MonkeyPatch):
    def refuse(_graph: object) -> int:
        raise TooManyLayers

    assert staged().memory is not None
    monkeypatch.setattr(training, "answer", refuse)
    assert staged().memory is None

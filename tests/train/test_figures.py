"""What is on the pictures of a run: the numbers behind them, and the axes, lines and letters that show them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harness import images
from matplotlib.figure import Figure
from torch import nn

from archdsl.recipe import Recipe
from archdsl.recipe.records import Cosine, OneCycle, Plateau, Steps, Warmup
from archdsl.train import stored
from archdsl.train.answers import Answers
from archdsl.train.answers import answers as ask
from archdsl.train.device import Hardware, choose
from archdsl.train.figures import confusion, curves, errors
from archdsl.train.figures.errors import Mistake
from archdsl.train.figures.style import png
from archdsl.train.job import TrainConfig
from archdsl.train.normalize import Normalization
from archdsl.train.progress import Row
from archdsl.train.schedule import Clock, learning_rate, plateau_drops
from archdsl.train.stored import Stored

Drawn = Callable[[Any], Figure]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """The figure that a function draws, as it stands when it becomes a PNG."""

    def of(draw: Callable[[], bytes]) -> Figure:
        seen: list[Figure] = []
        for module in (confusion, curves, errors):
            monkeypatch.setattr(module, "png", lambda figure: (seen.append(figure), png(figure))[1])
        assert draw().startswith(b"\x89PNG")
        return seen[0]

    return of


def answers() -> Answers:
    """Of seven images of three classes: two are taken for another class, surely and less so, one is close."""
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 2])
    predicted = torch.tensor([0, 1, 0, 1, 1, 0, 2])
    sure = torch.tensor([0.9, 0.6, 0.99, 0.8, 0.7, 0.95, 0.5])
    probabilities = ((1 - sure) / 2)[:, None].repeat(1, 3).scatter(1, predicted[:, None], sure[:, None])
    return Answers(labels, predicted, probabilities)


def test_confusion_counts_true_by_predicted():
    assert answers().confusion().tolist() == [[2, 1, 0], [0, 2, 0], [1, 0, 1]]
    assert answers().error == pytest.approx(2 / 7)


def test_the_worst_are_the_surest_that_are_wrong():
    assert answers().worst(10).tolist() == [5, 1]
    assert answers().worst(1).tolist() == [5]


def test_the_confusion_matrix_has_true_classes_down_and_predicted_ones_across(drawn: Drawn):
    counts = answers().confusion().numpy()
    figure = drawn(lambda: confusion.confusion(counts, ("cat", "dog", "emu"), "title"))
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    for names in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [name.get_text() for name in names] == ["cat", "dog", "emu"]
    cells = {text.get_position(): text.get_text() for text in axes.texts}  # column, row
    assert cells == {
        (0, 0): "66.7",
        (1, 0): "33.3",
        (2, 0): "",
        (0, 1): "",
        (1, 1): "100.0",
        (2, 1): "",
        (0, 2): "50.0",
        (1, 2): "",
        (2, 2): "50.0",
    }
    shares = axes.images[0].get_array()
    assert np.allclose(np.asarray(shares).sum(1), 100)


def test_a_class_without_images_is_no_division_by_zero(drawn: Drawn):
    figure = drawn(lambda: confusion.confusion(np.array([[1, 0], [0, 0]]), "ab", "title"))
    assert [text.get_text() for text in figure.axes[0].texts] == ["100.0", "", "", ""]


def test_the_sheet_shows_each_error_with_what_it_is(drawn: Drawn):
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    found = [Mistake(red, "cat", "dog", 0.987, 17), Mistake(red[..., :1], "emu", "cat", 0.5, 3)]
    figure = drawn(lambda: errors.sheet(found, "title"))
    first, second, third = figure.axes[:3]
    assert first.get_title() == "dog 98.7%"
    assert [text.get_text() for text in first.texts] == ["is cat", "no. 17"]
    assert np.asarray(first.images[0].get_array())[0, 0].tolist() == [255, 0, 0]
    assert [text.get_text() for text in second.texts] == ["is emu", "no. 3"]
    assert np.asarray(second.images[0].get_array()).shape == (4, 4)  # grey, between 0 and 255
    assert second.images[0].get_clim() == (0, 255)
    assert not third.images


def rows(*errors: float) -> tuple[Row, ...]:
    return tuple(
        Row(number, 10 * number, 0.1 / number, error, error / 2, None, error, error, 1.0)
        for number, error in enumerate(errors, 1)
    )


def a_run(name: str, *errors: float, claim: float | None = None) -> Stored:
    network = stored.Network(name, "Net", claims={} if claim is None else {"shapes": claim})
    plan = stored.Plan("shapes", ("a", "b"), (3, 32, 32), 0, 100, 0, 100, 30, 10, "cpu", "fp32", 1)
    return Stored(Path("runs") / name, network, plan, Recipe(), TrainConfig(), rows(*errors))


def test_the_curves_of_a_run_are_its_errors_in_percent(drawn: Drawn):
    upper, lower = drawn(lambda: curves.one(a_run("net", 0.5, 0.2, 0.25, claim=0.1))).axes
    lines = {str(line.get_label()): line for line in upper.lines}
    assert list(lines) == ["training", "test, 25.00% at the end (best 20.00% in epoch 2)", "test, paper: 10.00%"]
    training, test, paper = lines.values()
    assert np.asarray(training.get_xdata()).tolist() == [1, 2, 3]
    assert np.asarray(training.get_ydata()).tolist() == [25.0, 10.0, 12.5]
    assert np.asarray(test.get_ydata()).tolist() == [50.0, 20.0, 25.0]
    assert list(paper.get_ydata()) == [10.0, 10.0]
    assert (upper.get_ylabel(), lower.get_xlabel()) == ("error (%)", "epoch")
    bottom, top = upper.get_ylim()
    assert (bottom, top > 50) == (0, True)


@pytest.mark.parametrize(
    "schedule", [Cosine(), OneCycle(), Steps(at=(1.5,)), Plateau(patience=1, of="test")], ids=lambda s: s.kind
)
def test_the_rate_is_drawn_as_it_was_at_each_step(drawn: Drawn, schedule: Any):
    """30 steps, ten an epoch: stairs of one step, which end with the last; the errors of an epoch are at its end."""
    recipe = Recipe(schedule=schedule, epochs=3)
    run = replace(a_run("net", 0.5, 0.2, 0.25), recipe=recipe)
    line = drawn(lambda: curves.one(run)).axes[1].lines[0]
    clock = Clock(10, 30, 30)
    expected: dict[float, float] = {}
    for step in range(30):
        drops = plateau_drops(recipe, clock, [0.5, 0.2, 0.25][: step // 10])
        expected[step / 10] = learning_rate(recipe, clock, step, None, drops)
    epochs, rates = np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist()
    assert dict(zip(epochs, rates, strict=True)) == pytest.approx(expected | {3.0: expected[2.9]})
    assert line.get_drawstyle() == "steps-post"


def test_of_a_long_run_five_hundred_rates_are_drawn(drawn: Drawn):
    run = a_run("net", 0.5, 0.2, 0.25)
    run = replace(run, plan=replace(run.plan, steps=30_000, steps_per_epoch=10_000), recipe=Recipe(schedule=Cosine()))
    run = replace(run, rows=tuple(replace(row, step=row.epoch * 10_000) for row in run.rows))
    line = drawn(lambda: curves.one(run)).axes[1].lines[0]
    rates = np.asarray(line.get_ydata())
    assert 450 < len(rates) <= 502
    assert (np.diff(rates) <= 0).all()
    assert np.abs(np.diff(rates)).max() < 0.01 * rates[0]


def test_a_warm_up_that_waits_has_the_rates_of_its_epochs(drawn: Drawn):
    recipe = Recipe(warmup=Warmup(until_error=0.8, lr=0.01))
    run = replace(a_run("net", 0.5, 0.2, 0.25), recipe=recipe)
    line = drawn(lambda: curves.one(run)).axes[1].lines[0]
    assert np.asarray(line.get_xdata()).tolist() == [0, 1, 2, 3]
    assert np.asarray(line.get_ydata()).tolist() == pytest.approx([0.1, 0.05, 0.1 / 3, 0.1 / 3])


def test_runs_of_one_name_are_told_apart_by_as_much_of_their_paths_as_it_takes(drawn: Drawn):
    paths = ("x/one/net", "x/two/net", "y/two/net", "y/two/other")
    runs = [replace(a_run("net", 0.9, 0.1), path=Path(path)) for path in paths]
    assert stored.labels(runs) == ["one/net", "x/two/net", "y/two/net", "other"]
    assert stored.labels(runs[:1]) == ["net"]
    assert stored.labels([runs[0], runs[0]]) == ["net", "net"]
    (axes,) = drawn(lambda: curves.several(runs)).axes
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()][:2] == ["one/net: 10.00%", "x/two/net: 10.00%"]


def test_several_runs_lie_over_each_other(drawn: Drawn):
    runs = [a_run(f"net-{number}", 0.9, 0.1 * number) for number in range(1, 10)]
    (axes,) = drawn(lambda: curves.several(runs)).axes
    legend = axes.get_legend()
    assert legend is not None
    told = [text.get_text() for text in legend.get_texts()]
    assert told == [*(f"net-{number}: {number}0.00%" for number in range(1, 10)), "training", "test"]
    tests = [line for line in axes.lines if str(line.get_label()).startswith("net-")]
    assert [np.asarray(line.get_ydata())[-1] for line in tests] == pytest.approx([10.0 * n for n in range(1, 10)])
    assert len({(line.get_color(), line.get_marker()) for line in tests}) == 9  # told apart, though there are 7 colours


class Counting(nn.Module):
    """Writes down how many images come at once."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(x))
        return x.mean((2, 3)).repeat(1, 4)[:, :10]


@pytest.mark.parametrize(("at_once", "most"), [(None, 32), (8, 8)])
def test_the_answers_take_no_more_images_at_once_than_a_step(at_once: int | None, most: int):
    model, recipe = Counting(), Recipe(batch=32)
    device = choose(TrainConfig(precision="fp32"), Hardware(1))
    found = ask(model, images().test, recipe, device, Normalization(()), at_once)
    assert (max(model.sizes), sum(model.sizes), len(found.labels)) == (most, 50, 50)

"""Learning rates against the papers' own words, worked out by hand."""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from archdsl.recipe import Recipe
from archdsl.recipe.records import (
    Cosine,
    Every,
    Exponential,
    HalvingRemaining,
    Linear,
    OneCycle,
    Phase,
    Piecewise,
    Plateau,
    Sgd,
    Sgdr,
    Steps,
    Warmup,
)
from archdsl.train.engine import obstacle
from archdsl.train.phases import Phases
from archdsl.train.schedule import clock, learning_rate, momentum, plateau_drops
from archdsl.train.trouble import Misfit


def rates(recipe: Recipe, steps_per_epoch: int = 10, epochs: int | None = None) -> list[float]:
    time = clock(recipe, steps_per_epoch, epochs)
    return [learning_rate(recipe, time, step, None) for step in range(time.total)]


def sgd(lr: float = 0.1) -> Sgd:
    return Sgd(lr=lr)


def test_steps_fall_at_the_start_of_those_epochs():
    r = rates(Recipe(optimizer=sgd(), schedule=Steps(at=(60.0, 120.0, 160.0), gamma=0.2), epochs=200), 391)
    changes = [i / 391 for i in range(1, len(r)) if r[i] != r[i - 1]]
    assert changes == [60, 120, 160]
    assert r[-1] == pytest.approx(0.1 * 0.2**3)


def test_steps_by_iteration_and_fraction():
    by_iteration = Recipe(optimizer=sgd(), schedule=Steps(at=(32_000.0, 48_000.0), by="iteration"), iterations=64_000)
    r = rates(by_iteration, 352)
    assert [i for i in range(1, 64_000) if r[i] != r[i - 1]] == [32_000, 48_000]
    by_fraction = Recipe(optimizer=sgd(), schedule=Steps(at=(0.5, 0.75), by="fraction"), epochs=300)
    r = rates(by_fraction)
    assert [i / 10 for i in range(1, 3000) if r[i] != r[i - 1]] == [150, 225]


def test_halving_remaining_is_fractalnets():
    r = rates(Recipe(optimizer=sgd(0.02), schedule=HalvingRemaining(), epochs=400))
    changes = [i / 10 for i in range(1, len(r)) if r[i] != r[i - 1]]
    assert changes[:5] == [200, 300, 350, 375, 388]
    assert r[3999] < r[3000]


def test_cosine_is_shake_shakes():
    r = rates(Recipe(optimizer=sgd(0.2), schedule=Cosine(), epochs=1800), 391)
    for epoch, i in ((1, 0), (900, 17), (1800, 390)):
        now = (epoch - 1) * 391 + i
        assert r[now] == pytest.approx(0.1 * (1 + math.cos(math.pi * now / (1800 * 391))))


def test_sgdr_restarts_with_longer_cycles():
    r = rates(Recipe(optimizer=sgd(), schedule=Sgdr(first=10.0, mult=2.0, lr_min=0.01), epochs=70))
    for start, length in ((0, 100), (100, 200), (300, 400)):
        assert r[start] == pytest.approx(0.1)
        assert r[start + length // 2] == pytest.approx(0.055)
        assert r[start + length - 1] == pytest.approx(0.01, rel=0.03)


def test_the_others():
    assert rates(Recipe(schedule=Every(epochs=8.0, gamma=0.96), epochs=20))[170] == pytest.approx(0.1 * 0.96**2)
    assert rates(Recipe(schedule=Exponential(rate=0.005), epochs=20))[155] == pytest.approx(0.1 * math.exp(-0.075))
    assert rates(Recipe(schedule=Linear(to=0.01, epochs=500.0), epochs=474))[2500] == pytest.approx(0.1 * 0.505)
    cycle = rates(Recipe(schedule=OneCycle(rise=0.25, start=0.1, end=0.0, shape="linear"), epochs=40))
    assert cycle[0] == pytest.approx(0.01)
    assert max(cycle) == cycle[100] == pytest.approx(0.1)
    assert cycle[250] == pytest.approx(0.05)


def test_warm_ups():
    constant = rates(Recipe(warmup=Warmup(iterations=40, lr=0.01), schedule=Steps(at=(5.0,)), epochs=10))
    assert constant[39:41] == [0.01, 0.1]
    ramp = rates(Recipe(warmup=Warmup(epochs=2.0, lr=0.01, ramp="linear"), epochs=10, schedule=Steps(at=(5.0,))))
    assert ramp[10] == pytest.approx(0.055)
    assert ramp[20] == 0.1
    waiting = Recipe(warmup=Warmup(until_error=0.8), schedule=Steps(at=(5.0,)), epochs=10)
    time = clock(waiting, 10)
    assert learning_rate(waiting, time, 99, None) == 0.01
    assert learning_rate(waiting, time, 30, 30) == 0.1


def test_a_shorter_run_draws_the_schedule_together():
    recipe = Recipe(schedule=Steps(at=(60.0, 120.0)), epochs=200, warmup=Warmup(epochs=20.0))
    r = rates(recipe, 10, epochs=20)
    assert [i / 10 for i in range(1, 200) if r[i] != r[i - 1]] == [2, 6, 12]


def test_momentum_moves():
    recipe = Recipe(optimizer=Sgd(momentum=0.5, momentum_to=0.65, momentum_epochs=250.0), epochs=474)
    time = clock(recipe, 10)
    assert momentum(recipe, time, 0) == 0.5
    assert momentum(recipe, time, 1250) == pytest.approx(0.575)
    assert momentum(recipe, time, 4000) == pytest.approx(0.65)
    assert momentum(Recipe(), time, 4000) is None


def test_piecewise_is_lenets():
    """0.0005 for two passes, 0.0002 for three, 0.0001 for three, 0.00005 for four, then 0.00001."""
    shares = Piecewise(at=(2.0, 5.0, 8.0, 12.0), to=(0.4, 0.2, 0.1, 0.02))
    r = rates(Recipe(optimizer=sgd(0.0005), schedule=shares, epochs=20))
    assert [round(r[10 * epoch], 7) for epoch in range(20)] == [5e-4] * 2 + [2e-4] * 3 + [1e-4] * 3 + [5e-5] * 4 + [
        1e-5
    ] * 8


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_a_plateau_is_torchs(patience: int):
    """torch counts the epochs that are allowed, we those that are enough."""
    chance = random.Random(patience)
    errors = [0.9 * 0.97**epoch + 0.05 * chance.random() for epoch in range(90)]
    recipe = Recipe(optimizer=sgd(0.01), schedule=Plateau(patience=patience, times=3, of="test"), epochs=90)
    parameter = torch.nn.Parameter(torch.zeros(1))
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(
        torch.optim.SGD([parameter], 0.01), patience=patience - 1, threshold=0.0, min_lr=1.01e-5, eps=0.0
    )
    time = clock(recipe, 10)
    fell = 0
    for epoch in range(1, 91):
        oracle.step(errors[epoch - 1])
        rate = learning_rate(recipe, time, 0, None, plateau_drops(recipe, time, errors[:epoch]))
        assert rate == pytest.approx(max(oracle.optimizer.param_groups[0]["lr"], 1e-5), rel=0.02)
        fell += rate < 0.009
    assert fell


def test_a_plateau_is_as_short_as_its_run():
    recipe = Recipe(schedule=Plateau(patience=20, of="test"), epochs=100)
    assert plateau_drops(recipe, clock(recipe, 10), [0.5] * 15) == 0
    assert plateau_drops(recipe, clock(recipe, 10, epochs=10), [0.5] * 15) == 7
    assert plateau_drops(Recipe(), clock(recipe, 10), [0.5] * 15) == 0


def test_phases_of_dropout_are_elus():
    """For 75,000 iterations dropout in the last layers alone, then in all, in the end one and a half times as much."""
    model = nn.Sequential(
        OrderedDict(inner=nn.Dropout(0.2), last=nn.Dropout(0.2), linear=nn.Linear(2, 2), map=nn.Dropout2d(0.1))
    )
    phases = (
        Phase(name="inner", times=0.0, end=75_000.0, by="iteration"),
        Phase(times=1.5, start=125_000.0, by="iteration"),
    )
    recipe = Recipe(dropout=phases, iterations=165_000)
    at = Phases(model, phases, clock(recipe, 500))
    found = {}
    for step in (0, 74_999, 75_000, 124_999, 125_000, 164_999):
        at.set(step)
        found[step] = [round(model.inner.p, 9), round(model.last.p, 9), round(model.map.p, 9)]  # type: ignore[union-attr]
    assert found[0] == found[74_999] == [0, 0.2, 0.1]
    assert found[75_000] == found[124_999] == [0.2, 0.2, 0.1]
    assert found[125_000] == found[164_999] == [0.3, 0.3, 0.15]


def test_a_phase_may_move():
    recipe = Recipe(dropout=(Phase(times=0.0, to=1.0, end=1.0, by="fraction"),), epochs=10)
    model = nn.Dropout(0.5)
    at = Phases(nn.Sequential(model), recipe.dropout, clock(recipe, 10))
    at.set(50)
    assert model.p == pytest.approx(0.25)


def test_a_phase_that_cannot_be_is_refused():
    model = nn.Sequential(nn.Dropout(0.5))
    with pytest.raises(Misfit, match=r"no dropout layer of the network is called x\*"):
        Phases(model, (Phase(name="x*", times=0.0),), clock(Recipe(), 10))
    with pytest.raises(Misfit, match=r"a phase raises a dropout rate of 0.5 to 1.25 in step 1001"):
        Phases(model, (Phase(times=2.5, start=100.0),), clock(Recipe(), 10))


def test_phases_are_not_recorded_in_a_cuda_graph():
    """A recording would keep the rates that it was made with."""
    recipe = Recipe(dropout=(Phase(times=0.0),))
    stepper = SimpleNamespace(
        recipe=recipe,
        device=SimpleNamespace(device=torch.device("cuda"), reads_are_free=False),
        scaler=SimpleNamespace(is_enabled=lambda: False),
        optimizer=SimpleNamespace(skips=True),
    )
    alone = SimpleNamespace(size=1)
    assert "rates of dropout" in obstacle(stepper, alone)  # type: ignore[arg-type]
    stepper.recipe = Recipe()
    assert obstacle(stepper, alone) == ""  # type: ignore[arg-type]

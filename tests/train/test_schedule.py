"""Learning rates against the papers' own words, worked out by hand."""

from __future__ import annotations

import math

import pytest

from archdsl.recipe import Recipe
from archdsl.recipe.records import (
    Cosine,
    Every,
    Exponential,
    HalvingRemaining,
    Linear,
    OneCycle,
    Sgd,
    Sgdr,
    Steps,
    Warmup,
)
from archdsl.train.schedule import clock, learning_rate, momentum


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

"""What no edit of a text shows: facts of generated modules and of recipes, held by functions of their own."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from zoo import ROOT

import archdsl
from archdsl.train.optimizer import treatments
from archdsl.train.schedule import clock, learning_rate
from pitfalls import texts
from pitfalls.checks import network
from pitfalls.pairs import CARRIED, pyramid
from pitfalls.texts import edited


def recipe_of(spec: str, name: str = "cifar") -> Any:
    checked = archdsl.load(str(ROOT / "specs" / f"{spec}.arch")).checked
    return next(recipe.recipe for recipe in checked.recipes if recipe.name == name)


def scales_are_held_and_not_decayed() -> None:
    """λ stays in [−1, 1] and is drawn to 0 by nothing but the loss."""
    with torch.device("meta"):
        module = network(texts.spec("weighted-resnet"), {"depth": 10}).build()
    found = treatments(module, recipe_of("weighted-resnet").rules)
    scales = {name: one for name, one in found.items() if "scale" in name}
    assert len(scales) == 3
    assert all((one.decay, one.clamp) == (0, (-1, 1)) for one in scales.values())
    assert all(one.decay == 1 for name, one in found.items() if name not in scales)


def dropouts_of_densenet() -> None:
    """After both convolutions of a B layer, and in the transitions; a port has one in a layer and none between."""
    once = edited(
        "densenet",
        ("conv(4*growth, 1) -> thin", "conv(4*growth, 1)"),
        ("in.channels), 1) -> thin", "in.channels), 1)"),
    )
    given: dict[str, object] = {"depth": 22, "growth": 4, "drop": 0.2}
    found = [
        sum(isinstance(part, nn.Dropout) for part in network(text, given).build().modules())
        for text in (once.right, once.wrong)
    ]
    assert found == [2 * 9 + 2, 9]


def widths_of_resnext() -> None:
    """D is 64·C, 128·C, 256·C from stage to stage."""
    convs = [
        part
        for part in network(texts.spec("resnext"), {}).build().modules()
        if isinstance(part, nn.Conv2d) and part.groups > 1
    ]
    assert [(conv.in_channels, conv.out_channels, conv.groups) for conv in convs] == [
        (d, d, 8) for d in (512, 1024, 2048) for _ in range(3)
    ]


def shift_goes_down_and_right() -> None:
    module = archdsl.loads("network N() {\n    input image: [1, 3, 3]\n    output = image -> shift(1, 1)\n}\n").build()
    moved = module(torch.arange(1.0, 10.0).view(1, 1, 3, 3))
    assert moved.flatten().tolist() == [0, 0, 0, 0, 1, 2, 0, 4, 5]


def joins_are_flat() -> None:
    """A join of a join is one mean: a third of each, where the textbook's recursion has a half and two quarters."""
    module = archdsl.loads(
        "network N() {\n    input image: [1, 1, 1]\n    a = image -> affine(1)\n    b = image -> affine(10)\n"
        "    c = image -> affine(100)\n    output = join(a, join(b, c))\n}\n"
    ).build()
    assert module.eval()(torch.ones(1, 1, 1, 1)).item() == pytest.approx(111 / 3)


def carried_widths_end_where_they_should_not() -> None:
    """16 + α (four times that behind bottlenecks) is where widths end that are carried exactly."""
    ends = ((pyramid(110, 48), 16), (pyramid(110, 84), 70), (pyramid(110, 270), 286))
    deep = ((pyramid(200, 240), 856), (pyramid(236, 220), 688), (pyramid(272, 200), 784))
    for parameters, wrong in (*ends, *deep):
        right = (16 + parameters["alpha"]) * (4 if parameters["bottleneck"] else 1)
        assert (features(CARRIED.right, parameters), features(CARRIED.wrong, parameters)) == (right, wrong)


def features(text: str, parameters: dict[str, Any]) -> int:
    """How many numbers the classifier reads."""
    with torch.device("meta"):
        *_, last = network(text, parameters).build().children()
    return last.in_features


def cosine_falls_in_every_iteration() -> None:
    recipe = recipe_of("shake-shake")
    time = clock(recipe, 391)
    rates = [learning_rate(recipe, time, step, None) for step in range(391, 3 * 391)]
    assert all(later < sooner for sooner, later in pairwise(rates))


def companions_leave_and_are_squared() -> None:
    """They give outputs in training only, and the loss is the squared hinge, fading."""
    with torch.device("meta"):
        module, images = network(texts.spec("dsn"), {}).build(), torch.empty(2, 3, 32, 32)
    assert [tuple(out.shape) for out in module.train()(images)] == [(2, 10)] * 4
    assert tuple(module.eval()(images).shape) == (2, 10)
    recipe = recipe_of("dsn")
    assert (recipe.loss.kind, recipe.auxiliary.kind) == ("squared_hinge", "fade")


def lrn_is_the_papers() -> None:
    """b = a / (2 + 1e-4 · Σ a²)^0.75 over five channels, not divided by five."""
    said = re.search(r"lrn\([^)]*\)", texts.spec("alexnet"))
    assert said is not None
    x = 100 * torch.rand(2, 8, 3, 3).double()
    ours = archdsl.loads(f"network N() {{\n    input image: [8, 3, 3]\n    output = image -> {said[0]}\n}}\n").build()(
        x
    )
    for alpha, same in ((1e-4, True), (1e-4 / 5, False)):
        sums = torch.stack([x[:, max(c - 2, 0) : c + 3].square().sum(1) for c in range(8)], 1)
        assert torch.allclose(ours, x / (2 + alpha * sums) ** 0.75) == same


def gates_carry_at_first() -> None:
    """Each gate has a convolution of its own whose bias is −2; a bias of 0 would carry half of the input."""
    small = edited("highway", ("[32, 80, 128]", "[4, 4, 4]"), ("[4, 5, 5]", "[1, 1, 1]"))
    module = network(small.wrong, {}).build()
    gates = [value for name, value in module.named_parameters() if "gate" in name and name.endswith("bias")]
    assert len(gates) == 3
    assert all(torch.equal(gate, torch.full_like(gate, -2)) for gate in gates)


def buffers_are_not_counted() -> None:
    spec = network(texts.spec("resnet"), {})
    module = spec.build()
    parameters, buffers = (sum(t.numel() for t in ts) for ts in (module.parameters(), module.buffers()))
    assert spec.cost.params.total == parameters == 269_722
    assert buffers > 1_000


def every_operation_is_counted() -> None:
    """torch's own counter sees what is called, functions included: two operations for a multiply-accumulate."""
    for name, given, macs in (("resnet", {}, 40_551_040), ("resnext", {}, 5_387_266_048)):
        spec = network(texts.spec(name), given)
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            spec.build().eval()(torch.empty(1, 3, 32, 32))
        assert counter.get_total_flops() == 2 * macs == 2 * spec.cost.macs.total

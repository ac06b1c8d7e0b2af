"""The recipes of `specs/` beside what the papers and the code released with them say, setting by setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archdsl import pipeline, training
from archdsl.inputs import read
from archdsl.pipeline import Request
from archdsl.recipe import Recipe

SPECS = Path(__file__).parents[1] / "specs"

CROP4 = {"augment.0.kind": "pad_crop", "augment.0.pad": 4, "augment.0.mode": "zero", "augment.1.kind": "flip"}
SGD = {"optimizer.kind": "sgd", "optimizer.momentum": 0.9}
NESTEROV = {**SGD, "optimizer.nesterov": True, "optimizer.dampening": 0}


def steps(lr: float, decay: float, at: tuple[float, ...], by: str = "epoch", gamma: float = 0.1) -> dict[str, Any]:
    """lr, weight decay, and where the rate is multiplied by gamma."""
    return {
        "optimizer.lr": lr,
        "optimizer.weight_decay": decay,
        "schedule.kind": "steps",
        "schedule.at": at,
        "schedule.by": by,
        "schedule.gamma": gamma,
    }


PUBLISHED: dict[tuple[str, str | None], dict[str, Any]] = {
    ("alexnet", None): {
        **SGD,
        "resize": 256,
        "augment.0.kind": "crop",
        "augment.2.std": 0.1,
        "optimizer.lr": 0.01,
        "optimizer.weight_decay": 5e-4,
        "schedule.kind": "plateau",
        "schedule.gamma": 0.1,
        "schedule.times": 3,
        "evaluate.kind": "ten_crop",
        "batch": 128,
        "epochs": 90,
    },
    ("nin", None): {
        **SGD,
        "normalize": ["gcn", "zca"],
        "optimizer.weight_decay": 1e-4,
        "schedule.kind": "plateau",
        "schedule.of": "train",
        "rules.0.on": "bias",
        "rules.0.lr": 2,
        "rules.0.decay": 0,
        "batch": 128,
    },
    ("dsn", None): {
        "normalize": ["gcn"],
        "loss.kind": "squared_hinge",
        "loss.margin": 1,
        "auxiliary.to": 0,
        "rules.1.name": "scores*",
        "rules.1.lr": 0.1,
    },
    ("maxout", None): {
        "normalize": ["gcn", "zca"],
        "augment.0.pad": 8,
        "optimizer.lr": 0.17,
        "optimizer.momentum": 0.5,
        "optimizer.momentum_to": 0.65,
        "optimizer.momentum_epochs": 250,
        "schedule.kind": "linear",
        "schedule.to": 0.01,
        "schedule.epochs": 500,
        "rules.0.lr": 0.05,
        "rules.1.max_norm": 1.9365,
        "rules.2.max_norm": 0.9,
        "rules.3.max_norm": 1.9,
        "epochs": 474,
        "batch": 128,
    },
    ("fitnet-19", None): {
        "optimizer.kind": "rmsprop",
        "optimizer.lr": 0.005,
        "optimizer.decay": 0.9,
        "rules.0.lr": 0.05,
        "teacher": "Maxout()",
        "stages.0.loss.kind": "hint",
        "stages.0.loss.layer": "group2",
        "stages.1.loss.kind": "distill",
        "stages.1.loss.temperature": 3,
        "stages.1.loss.weight": 4,
        "stages.1.loss.to": 1,
        "batch": 128,
    },
    ("all-cnn-c", None): {**SGD, **steps(0.05, 1e-3, (200, 250, 300)), "augment.0.pad": 5, "epochs": 350},
    ("highway", None): {
        **SGD,
        **steps(0.025, 1e-3, (100_000, 150_000, 175_000), "iteration"),
        "optimizer.nesterov": True,
        "normalize": ["gcn"],
        "augment.0.pad": 8,
        "rules.0.on": "linear",
        "rules.0.decay": 10,
        "rules.1.lr": 2,
        "rules.1.decay": 0,
        "iterations": 200_000,
        "batch": 100,
    },
    ("elu", None): {
        **SGD,
        **CROP4,
        **steps(0.01, 5e-4, (35_000,), "iteration"),
        "normalize": ["gcn", "zca"],
        "dropout.1.times": 1.5,
        "batch": 100,
    },
    ("fmp", None): {
        "optimizer.lr": 0.003,
        "optimizer.momentum": 0.99,
        "schedule.kind": "exponential",
        "schedule.rate": 0.005,
        "augment.0.until": 0.98,  # the last ten epochs of 510
        "evaluate.passes": 12,
        "epochs": 510,
        "batch": 50,
    },
    ("resnet", None): {**SGD, **CROP4, **steps(0.1, 1e-4, (82, 123)), "normalize": ["per_pixel_mean"], "epochs": 164},
    ("resnet", "paper"): {
        **steps(0.1, 1e-4, (32_000, 48_000), "iteration"),
        "optimizer.nesterov": False,
        "validation": 5000,
        "iterations": 64_000,
        "batch": 128,
    },
    ("resnet-110", None): {"warmup.lr": 0.01, "warmup.until_error": 0.8},
    ("plain", None): {**SGD, **CROP4, **steps(0.1, 1e-4, (82, 123))},
    ("preresnet", None): {**SGD, **CROP4, **steps(0.1, 1e-4, (82, 123)), "warmup.lr": 0.01, "warmup.iterations": 400},
    ("stochastic-depth", None): {
        **NESTEROV,
        **CROP4,
        **steps(0.1, 1e-4, (0.5, 0.75), "fraction"),
        "validation": 5000,
        "epochs": 500,
    },
    ("stochastic-depth", "svhn"): {**steps(0.1, 1e-4, (0.6, 0.7), "fraction"), "augment": [], "epochs": 50},
    ("swapout", None): {**SGD, **CROP4, **steps(0.1, 1e-4, (196, 224)), "evaluate.passes": 30, "epochs": 256},
    ("weighted-resnet", None): {
        **SGD,
        **CROP4,
        **steps(0.1, 1e-4, (82, 123)),
        "rules.0.clamp": (-1, 1),
        "rules.0.decay": 0,
        "warmup": None,
    },
    ("wrn", None): {
        **NESTEROV,
        **steps(0.1, 5e-4, (60, 120, 160), gamma=0.2),
        "augment.0.mode": "reflect",
        "epochs": 200,
        "batch": 128,
    },
    ("wrn", "whitened"): {"normalize": ["gcn", "zca"]},
    ("wrn", "svhn"): {**steps(0.01, 5e-4, (80, 120)), "normalize": ["scale"], "augment": [], "epochs": 160},
    ("wrn", "sgdr"): {"schedule.kind": "sgdr", "schedule.first": 10, "schedule.mult": 2, "schedule.lr_min": 0},
    ("densenet", None): {
        **NESTEROV,
        **CROP4,
        **steps(0.1, 1e-4, (0.5, 0.75), "fraction"),
        "epochs": 300,
        "batch": 64,
    },
    ("densenet", "svhn"): {"normalize": ["scale"], "augment": [], "epochs": 40, "batch": 64},
    ("pyramidnet", None): {**NESTEROV, **CROP4, **steps(0.1, 1e-4, (150, 225)), "epochs": 300, "batch": 128},
    ("pyramidnet", "cifar100"): {**NESTEROV, **steps(0.5, 1e-4, (150, 225))},
    ("fractalnet", None): {
        **SGD,
        "optimizer.lr": 0.02,
        "schedule.kind": "halving_remaining",
        "schedule.gamma": 0.1,
        "epochs": 400,
        "batch": 100,
    },
    ("resnext", None): {**NESTEROV, **CROP4, **steps(0.1, 5e-4, (150, 225)), "epochs": 300, "batch": 128},
    ("googlenet", None): {
        **SGD,
        "augment.0.area": (0.08, 1),
        "augment.0.ratio": (0.75, 4 / 3),
        "schedule.kind": "every",
        "schedule.epochs": 8,
        "schedule.gamma": 0.96,
    },
    ("shake-shake", None): {
        **NESTEROV,
        **CROP4,
        "optimizer.lr": 0.2,
        "optimizer.weight_decay": 1e-4,
        "schedule.kind": "cosine",
        "schedule.lr_min": 0,
        "epochs": 1800,
        "batch": 128,
    },
    ("shake-shake-29-2x4x64d", None): {"optimizer.lr": 0.025, "optimizer.weight_decay": 5e-4, "batch": 32},
    ("he-sun", None): {"resize": 256, "augment.0.size": 224, "augment.1.kind": "flip"},
}


def recipe(spec: str, name: str | None) -> Recipe:
    checked = pipeline.check(read(str(SPECS / f"{spec}.arch")), Request(imported_recipes=True))
    return training.chosen_recipe(checked, name, ())


def setting(recipe: Recipe, path: str) -> Any:
    value: Any = recipe
    for part in path.split("."):
        value = value[int(part)] if part.isdigit() else getattr(value, part)
    if path in ("normalize", "augment"):
        return [record.kind for record in value]
    return value


@pytest.mark.parametrize(("spec", "name"), PUBLISHED, ids=[" ".join(filter(None, key)) for key in PUBLISHED])
def test_the_recipe_is_the_published_one(spec: str, name: str | None):
    found = recipe(spec, name)
    wanted = PUBLISHED[spec, name]
    assert {path: setting(found, path) for path in wanted} == wanted


def test_every_spec_has_a_recipe():
    """All but the modules that are no networks of their own."""
    known = pipeline.Known()
    found = {path.stem: pipeline.check(read(str(path)), known=known) for path in SPECS.glob("*.arch")}
    assert {spec for spec, checked in found.items() if not checked.recipes} == {"inception", "inception-naive"}

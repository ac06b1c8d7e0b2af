"""The recipe border: every published choice is taken, every mistake is said with its place, all of them at once."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archdsl.recipe import Problem, RawCall, Recipe, override, validate
from archdsl.recipe.records import CHOICES


def call(name: str, /, *args: object, **kwargs: object) -> RawCall:
    return RawCall(name, args, kwargs)


PUBLISHED: dict[str, dict[str, object]] = {
    "resnet": {
        "augment": [call("pad_crop", 4), call("flip")],
        "normalize": call("per_pixel_mean"),
        "optimizer": call("sgd", lr=Fraction(1, 10), momentum=Fraction(9, 10), weight_decay=Fraction(1, 10**4)),
        "schedule": call("steps", at=[32_000, 48_000], by="iteration"),
        "warmup": call("warmup", until_error=Fraction(4, 5), lr=Fraction(1, 100)),
        "iterations": 64_000,
        "validation": 5_000,
    },
    "wrn": {
        "augment": [call("pad_crop", 4, mode="reflect"), call("flip")],
        "normalize": [call("gcn"), call("zca")],
        "optimizer": call("sgd", lr=Fraction(1, 10), nesterov=True, weight_decay=Fraction(5, 10**4)),
        "schedule": call("steps", at=[60, 120, 160], gamma=Fraction(1, 5)),
        "epochs": 200,
    },
    "densenet": {"schedule": call("steps", [Fraction(1, 2), Fraction(3, 4)], by="fraction"), "batch": 64},
    "fractalnet": {
        "schedule": call("halving_remaining"),
        "epochs": 400,
        "evaluate": call("deepest_column"),
        "batch": 100,
    },
    "shake": {"schedule": call("cosine"), "epochs": 1800, "optimizer": call("sgd", Fraction(1, 5), nesterov=True)},
    "sgdr": {"schedule": call("sgdr", first=10, mult=2, lr_min=0)},
    "googlenet": {"schedule": call("every", epochs=8, gamma=Fraction(96, 100))},
    "fmp": {
        "augment": [call("affine", rotate=15, until=Fraction(98, 100)), call("colour", brightness=Fraction(1, 5))],
        "schedule": call("exponential", rate=Fraction(5, 1000)),
        "optimizer": call("sgd", lr=Fraction(3, 1000), momentum=Fraction(99, 100)),
        "batch": 50,
        "epochs": 510,
    },
    "maxout": {
        "optimizer": call("sgd", momentum=Fraction(1, 2), momentum_to=Fraction(65, 100), momentum_epochs=250),
        "schedule": call("linear", to=Fraction(1, 100), epochs=500),
        "rules": [
            call("rule", on="conv", lr=Fraction(5, 100), max_norm=Fraction(9, 10)),
            call("rule", name="*fc*", max_norm=Fraction(19, 10)),
        ],
    },
    "highway": {"rules": [call("rule", "bias", lr=2, decay=0), call("rule", name="output.*", decay=10)]},
    "dsn": {"loss": call("squared_hinge"), "auxiliary": call("fade")},
    "fitnet": {"optimizer": call("rmsprop", lr=Fraction(5, 1000))},
    "swapout": {"evaluate": call("mean", passes=30)},
    "weighted": {"rules": [call("rule", name="*scale*", clamp=[-1, 1])]},
    "modern": {
        "optimizer": call("adamw"),
        "schedule": call("onecycle"),
        "loss": call("cross_entropy", label_smoothing=Fraction(1, 10)),
        "augment": [call("mixup", Fraction(1, 5)), call("cutmix"), call("cutout", 16)],
        "ema": Fraction(999, 1000),
        "clip": 1,
        "early_stop": 10,
        "warmup": call("warmup", epochs=5, ramp="linear"),
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_recipes_are_valid_and_survive_json(name: str):
    recipe, problems = validate(PUBLISHED[name])
    assert problems == ()
    assert recipe is not None
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_numbers_stay_exact_until_here():
    recipe, _ = validate({"optimizer": call("sgd", lr=Fraction(1, 3)), "epochs": Fraction(200)})
    assert recipe is not None
    assert recipe.optimizer.lr == 1 / 3
    assert recipe.epochs == 200


# what is written, where the blame goes, what is said, what is advised
MISTAKES: list[tuple[dict[str, object], tuple[str | int, ...], str, str | None]] = [
    ({"epocs": 3}, ("epocs",), "a recipe has no `epocs`", "did you mean `epochs`?"),
    ({"optimizer": call("sdg")}, ("optimizer",), "no optimizer is called `sdg`", "did you mean `sgd`?"),
    (
        {"optimizer": call("sgd", momentun=0)},
        ("optimizer", "momentun"),
        "sgd has no `momentun`",
        "did you mean `momentum`?",
    ),
    ({"optimizer": call("sgd", -1)}, ("optimizer", 0), "`lr` must be above 0, found -1", None),
    ({"optimizer": call("sgd", lr=True)}, ("optimizer", "lr"), "`lr` needs a number, found true", None),
    ({"optimizer": call("sgd", lr="1")}, ("optimizer", "lr"), "`lr` needs a number, found '1'", None),
    ({"optimizer": call("sgd", 1, lr=1)}, ("optimizer", "lr"), "`lr` is given twice", None),
    (
        {"optimizer": call("sgd", momentum=0, nesterov=True)},
        ("optimizer",),
        "nesterov needs a momentum above 0 and a dampening of 0",
        None,
    ),
    (
        {"optimizer": "sgd"},
        ("optimizer",),
        "optimizer needs `sgd`, `rmsprop`, `adam`, `adamw`, found 'sgd'",
        "write the name without quotes",
    ),
    ({"epochs": Fraction(1, 2)}, ("epochs",), "`epochs` needs a whole number, found 0.5", None),
    ({"epochs": 0}, ("epochs",), "`epochs` must be at least 1, found 0", None),
    ({"epochs": 3, "iterations": 3}, (), "give `epochs` or `iterations`, not both", None),
    ({"batch": 10**5000}, ("batch",), "this number is out of all bounds", None),
    ({"batch": float("nan")}, ("batch",), "this number is out of all bounds", None),
    ({"augment": [call("flip"), call("pad_crop")]}, ("augment", 1), "`pad` is missing", None),
    (
        {"augment": [call("pad_crop", 4, "mirror")]},
        ("augment", 0, 1),
        "`mode` is one of 'zero' or 'reflect', found 'mirror'",
        None,
    ),
    ({"augment": [call("flip", 1, 2, 3)]}, ("augment", 0, 1), "flip takes at most 1 arguments", None),
    (
        {"augment": [call("flip", p=call("x"))]},
        ("augment", 0, "p"),
        "a value is needed here, found `x`",
        "a text is written in quotes",
    ),
    ({"schedule": call("steps", at=[60, 30])}, ("schedule",), "the points of `at` must rise", None),
    (
        {"schedule": call("steps", at=[60, -3])},
        ("schedule", "at", 1),
        "`at` must be above 0, found -3",
        None,
    ),
    ({"schedule": call("steps", at=60)}, ("schedule", "at"), "`at` needs a list, found 60", None),
    ({"warmup": call("warmup")}, ("warmup",), "warmup needs one of `iterations`, `epochs`, `until_error`", None),
    ({"rules": [call("rule", lr=2)]}, ("rules", 0), "a rule says what it is for: `on` or `name`", None),
    ({"ema": 1}, ("ema",), "`ema` must be below 1, found 1", None),
    ({"augment": [call("flip")] * 2000}, ("augment",), "a list of 2000 is too long", None),
    ({"seed": [1] * 2000}, ("seed",), "a list of 2000 is too long", None),
    ({"drop_last": 1}, ("drop_last",), "`drop_last` is true or false, found 1", None),
    (
        {"x\x1b[31m\n": 1},
        ("x\x1b[31m\n",),
        r"a recipe has no `x\x1b[31m\n`",
        None,
    ),
]


@pytest.mark.parametrize(("raw", "path", "message", "hint"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_has_place_message_and_hint(
    raw: dict[str, object], path: tuple[str | int, ...], message: str, hint: str | None
):
    recipe, problems = validate(raw)
    assert recipe is None
    assert [(p.path, p.message) for p in problems] == [(path, message)]
    assert hint is None or problems[0].hint == hint


def test_all_mistakes_come_at_once():
    raw = {
        "epocs": 3,
        "optimizer": call("sgd", -1, momentun=0, nesterov=True),
        "augment": [call("flop"), call("pad_crop", 4, "x")],
        "batch": 0,
    }
    where = [("epocs",), ("optimizer", "momentun"), ("augment", 0), ("augment", 1, 1), ("optimizer", 0), ("batch",)]
    assert [p.path for p in validate(raw)[1]] == where


def test_an_echo_is_not_a_mistake():
    raw = {"augment": [call("pad_crop", pad=10**400)], "warmup": call("warmup", iterationz=4)}
    assert [p.path for p in validate(raw)[1]] == [("augment", 0, "pad"), ("warmup", "iterationz")]


def test_override_takes_numbers_names_calls_and_places():
    recipe = Recipe(epochs=200)

    def changed(key: str, text: str) -> Recipe:
        result, problems = override(recipe, key, text)
        assert problems == ()
        assert result is not None
        return result

    assert changed("optimizer.lr", "0.05").optimizer.lr == 0.05
    assert changed("optimizer", "adamw(lr=1e-3)").optimizer.kind == "adamw"
    assert changed("augment.1.p", "0.25").augment[1] == Recipe(augment=recipe.augment).augment[1].model_copy(
        update={"p": 0.25}
    )
    assert changed("augment", "[]").augment == ()
    assert changed("iterations", "500").epochs is None
    assert changed("epochs", "3").epochs == 3
    assert changed("ema", "none").ema is None
    assert changed("drop_last", "true").drop_last


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("optimizer.lrr", "1"),
        ("optimizer.lr.x", "1"),
        ("augment.9.p", "1"),
        ("augment.²", "1"),
        ("batch", "__import__('os').system('true')"),
        ("batch", "[" * 150),
        ("batch", "1" * 199),
        ("batch", "1" * 201),
        ("", ""),
        ("seed", "-1"),
        ("optimizer", "sgd(**x)"),
    ],
)
def test_override_refuses_in_words(key: str, text: str):
    recipe, problems = override(Recipe(), key, text)
    assert recipe is None
    assert problems


atoms = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**300, max_value=10**5000)
    | st.fractions()
    | st.floats()
    | st.text(max_size=20)
)
values = st.recursive(
    atoms,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.builds(
            RawCall,
            st.sampled_from([name for family in CHOICES.values() for name in family]) | st.text(max_size=5),
            st.lists(inner, max_size=3).map(tuple),
            st.dictionaries(st.sampled_from(["lr", "at", "p", "on", "clamp", "kind"]) | st.text(max_size=5), inner),
        )
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(list(Recipe.model_fields)) | st.text(max_size=8), values, max_size=5))
def test_any_data_gives_a_recipe_or_printable_problems(raw: dict[str, object]):
    recipe, problems = validate(raw)
    assert (recipe is None) == bool(problems)
    for problem in problems:
        assert problem.message.isprintable()
        assert len(problem.message) < 600
        _follow(raw, problem)


def _follow(raw: object, problem: Problem):
    """The path leads into what was given (the last step may be what is missing)."""
    here = raw
    for part in problem.path:
        if isinstance(here, RawCall):
            here = here.kwargs[part] if isinstance(part, str) else (*here.args, None)[part]
        else:
            here = here[part]  # type: ignore[index]


def test_the_recipe_needs_no_torch():
    code = "import sys, archdsl.recipe as r; r.validate({}); sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

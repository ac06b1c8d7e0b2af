"""What is left after training, and the commands that read it: the report, the pictures, `eval`, `predict`, `plot`, `runs`."""

from __future__ import annotations

import csv
import json
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from harness import images
from PIL import Image
from pretended_cuda import blind
from pydantic import ValidationError

from archdsl import commands, run_commands, training
from archdsl.inputs import Misuse
from archdsl.recipe import Recipe
from archdsl.train import device, run, stored
from archdsl.train.job import Job, TrainConfig
from archdsl.train.progress import Row
from archdsl.train.refused import refusal
from archdsl.train.report import report
from archdsl.train.stored import Stored

SPEC = """
network Net(classes = 10) {
    input image: [3, 32, 32]
    output = image -> conv(8, 3, stride=2) -> bn -> relu -> global_avg_pool -> linear(classes)
    reported error(shapes) = 1%
}
recipe quick {
    optimizer = sgd(lr=0.1, nesterov=true)
    batch = 64
}
"""
PICTURES = ("curves.png", "confusion.png", "errors.png")
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short run."""
    folder = tmp_path_factory.mktemp("outcome")
    (folder / "net.arch").write_text(SPEC)
    options = {"out": str(folder / "run"), "epochs": 2, "limit": 512, "threads": 1, "precision": "fp32"}
    request = commands.request(None, None, None)
    assert commands.train(str(folder / "net.arch"), request, options, None, ["optimizer.lr=0.05"]) == 0
    return folder / "run"


def metrics(run: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))


def test_the_report_says_what_was_done(finished: Path) -> None:
    text = (finished / "report.md").read_text()
    last = metrics(finished)[-1]
    assert f"Test error **{float(last['test_error']):.2%}** after 2 epochs" in text
    assert "The paper says 1.00%" in text
    assert "Not the whole of the paper's training: the recipe was changed: `optimizer.lr=0.05`" in text
    assert "only the first 512 images were used" in text
    assert "`sgd(lr=0.05, momentum=0.9, nesterov=true, weight_decay=0, dampening=0)`" in text
    for name in PICTURES:
        assert f"({name})" in text
        assert (finished / name).read_bytes().startswith(b"\x89PNG")


IMPORTING = """
import "parts/block.arch" { unit }
network Net(width = 8, classes = 10) {
    input image: [3, 32, 32]
    output: [classes] = image -> unit(width) -> global_avg_pool -> linear(classes)
    reported error(shapes) = 1%
}
recipe first {
    epochs = 1
}
recipe second {
    epochs = 2
}
"""
UNIT = """
block unit(width) {
    out = in -> conv(width, 3) -> bn -> relu
}
"""


def asked(folder: Path, recipe: str | None = None, **parameters: str) -> Job:
    (folder / "parts").mkdir(exist_ok=True)
    (folder / "parts" / "block.arch").write_text(UNIT)
    (folder / "net.arch").write_text(IMPORTING)
    request = commands.request([f"{name}={value}" for name, value in parameters.items()], None, None)
    (found,), _ = commands.jobs(str(folder / "net.arch"), request, recipe, [()])
    return found


def test_another_network_has_not_the_claim_of_the_paper(tmp_path: Path) -> None:
    """But the number of classes is another on each data set."""
    assert asked(tmp_path).claims == {"shapes": 0.01}
    assert asked(tmp_path, width="16").claims == {}
    assert asked(tmp_path, classes="7").claims == {"shapes": 0.01}
    assert asked(tmp_path, classes="7", width="16").claims == {}


def test_a_run_says_what_was_asked_of_its_file(tmp_path: Path) -> None:
    options = {"out": str(tmp_path / "run"), "limit": 128, "threads": 1, "precision": "fp32"}
    request = commands.request(["width=4"], None, None)
    asked(tmp_path)
    assert commands.train(str(tmp_path / "net.arch"), request, options, "second", []) == 0
    report = (tmp_path / "run" / "report.md").read_text()
    assert report.startswith("# net (width=4, recipe second) on shapes\n")
    assert "Not the whole of the recipe: the network has `-p width=4`; only the first 128" in report
    known = json.loads((tmp_path / "run" / "network.json").read_text())
    assert known["chosen"] == {"variant": None, "parameters": {"width": "4"}, "recipe": "second"}


def test_the_files_that_a_spec_imports_go_with_its_run(tmp_path: Path, capsys: Captured) -> None:
    request, spec = commands.request(None, None, None), tmp_path / "net.arch"
    assert asked(tmp_path).sources == {"net.arch": IMPORTING, "parts/block.arch": UNIT}
    options = {"out": str(tmp_path / "run"), "dry_run": True, "threads": 1, "precision": "fp32"}
    assert commands.train(str(spec), request, options, None, []) == 0
    copy = tmp_path / "run" / "sources" / "net.arch"
    codes = [commands.lint([str(path)], request, "text") for path in (spec, copy)]
    assert codes[0] == codes[1]
    assert "N204" not in capsys.readouterr().err


def test_weights_of_another_module_are_said(finished: Path, tmp_path: Path, capsys: Captured) -> None:
    other = tmp_path / "other"
    shutil.copytree(finished, other)
    text = (other / "model.py").read_text()
    (other / "model.py").write_text(text.replace("8", "9"))
    assert run_commands.evaluate(str(other), "newest", {}, "text") == 3
    assert "has not the weights of model.py: " in capsys.readouterr().err


def test_a_picture_is_the_same_bytes_each_time(finished: Path, tmp_path: Path) -> None:
    drawn: list[bytes] = []
    for name in ("a.png", "b.png"):
        assert run_commands.plot([str(finished)], str(tmp_path / name)) == 0
        drawn.append((tmp_path / name).read_bytes())
    assert drawn[0] == drawn[1] == (finished / "curves.png").read_bytes()
    width, height = struct.unpack(">II", drawn[0][16:24])
    assert width > 600
    assert height > 400


def test_eval_finds_the_logged_error(finished: Path, capsys: Captured) -> None:
    assert run_commands.evaluate(str(finished), "newest", {}, "text") == 0
    assert "as logged" in capsys.readouterr().out


def logging(error: float, finished: Path, other: Path) -> str:
    """A copy of the run whose last test error is another one."""
    shutil.copytree(finished, other)
    rows = metrics(other)
    rows[-1]["test_error"] = repr(error)
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    (other / "metrics.csv").write_text("\n".join(lines) + "\n")
    return str(other)


def test_eval_sees_another_error(finished: Path, tmp_path: Path, capsys: Captured) -> None:
    """The control: a logged number that is not so is a finding."""
    assert run_commands.evaluate(logging(0.001, finished, tmp_path / "other"), "newest", {}, "text") == 1
    assert "as logged" not in capsys.readouterr().out


def test_eval_on_another_set_leaves_behind_what_was_for_the_runs_own(
    finished: Path, tmp_path: Path, capsys: Captured
) -> None:
    for name, options in (
        ("pictures", {"data": "folder", "data_dir": "d", "workers": 2}),
        ("files", {"data": "cifar10", "data_dir": "d", "unofficial": True}),
    ):
        other = shutil.copytree(finished, tmp_path / name)
        config = json.loads((other / "config.json").read_text())
        (other / "config.json").write_text(json.dumps({**config, **options}))
        assert run_commands.evaluate(str(other), "newest", {"data": "shapes", "limit": 512}, "text") == 0
        assert "on shapes" in capsys.readouterr().out


def test_eval_with_options_that_do_not_go_together_says_so(finished: Path) -> None:
    with pytest.raises(Misuse, match=r"^--data shapes needs no files: --data-dir is for the other sets$"):
        run_commands.evaluate(str(finished), "newest", {"data_dir": Path("d")}, "text")


def test_eval_on_images_of_another_size_is_refused(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(run, "load", lambda *_: images(side=28))
    assert run_commands.evaluate(str(finished), "newest", {}, "text") == 1
    assert "was trained on images of 3×32×32, few has 3×28×28" in capsys.readouterr().err


def test_an_image_that_a_gpu_answers_otherwise_is_no_finding(
    finished: Path, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It adds in another order each time; on a CPU, and with --deterministic, the number is the very same."""
    asked: list[bool] = []
    monkeypatch.setattr(torch, "use_deterministic_algorithms", asked.append)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    error = float(metrics(finished)[-1]["test_error"])
    one, two = (logging(error + n / 512, finished, tmp_path / str(n)) for n in (1, 2))
    assert run_commands.evaluate(one, "newest", {}, "text") == 1
    monkeypatch.setattr(device, "choose", lambda *_: blind())
    assert [run_commands.evaluate(run, "newest", {}, "text") for run in (one, two)] == [0, 1]
    assert "; logged was" in capsys.readouterr().out
    assert asked == []
    config = Path(one, "config.json")
    config.write_text(config.read_text().replace('"deterministic": false', '"deterministic": true'))
    assert run_commands.evaluate(one, "newest", {}, "text") == 1
    assert asked == [True]


def test_predict_gives_five_classes(finished: Path, tmp_path: Path, capsys: Captured) -> None:
    picture = tmp_path / "red.png"
    Image.new("RGB", (50, 40), (200, 20, 20)).save(picture)
    assert run_commands.predict(str(finished), [str(picture)], "newest", {}, "json") == 0
    (guesses,) = json.loads(capsys.readouterr().out).values()
    shares = [guess["probability"] for guess in guesses]
    assert len(shares) == 5
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1 + 1e-6


def test_runs_are_listed(finished: Path, capsys: Captured) -> None:
    assert run_commands.runs(str(finished.parent), "text") == 0
    out = capsys.readouterr().out
    assert "run " in out
    assert "2/2" in out
    assert "finished" in out


def test_a_run_that_was_not_started_is_listed_among_the_others(
    finished: Path, tmp_path: Path, capsys: Captured
) -> None:
    shutil.copytree(finished, tmp_path / "b")
    for name in "ac":
        (tmp_path / name).mkdir()
        for file in ("network.json", "config.json"):
            shutil.copy(finished / file, tmp_path / name)
    assert run_commands.runs(str(tmp_path), "text") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["a", "b", "c"]
    assert [line.endswith("  not started") for line in out.splitlines()[1:]] == [True, False, True]
    assert run_commands.runs(str(tmp_path), "json") == 0
    entries = json.loads(capsys.readouterr().out)
    assert [entry["started"] for entry in entries] == [False, True, False]
    assert {frozenset(entry) for entry in entries} == {frozenset(entries[1])}


def test_a_folder_without_a_run_is_said(tmp_path: Path, capsys: Captured) -> None:
    assert run_commands.plot([str(tmp_path)], str(tmp_path / "a.png")) == 3
    assert "holds no run" in capsys.readouterr().err


def test_tensorboard_has_the_errors_of_each_epoch(finished: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(finished)).Reload()
    rows = metrics(finished)
    for tag in ("test_error", "train_error"):
        found = [event.value for event in events.Scalars(f"log/{tag}")]
        assert found == pytest.approx([float(row[tag]) for row in rows])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data_dir": "d"}, "--data shapes needs no files: --data-dir is for the other sets"),
        ({"data": "digits", "data_dir": "d"}, "--data digits needs no files"),
        ({"unofficial": True}, "--unofficial is for sets with published checksums: shapes has none"),
        ({"data": "folder", "unofficial": True}, "--unofficial is for sets with published checksums: folder has none"),
        ({"workers": 2}, "--workers is for --data folder: shapes lies in memory"),
        ({"data": "mnist", "download": True}, "--download needs the folder that the files go to: --data-dir"),
        ({"worker_timeout": 9.0}, "--worker-timeout is for the workers of --data folder, and there are none"),
        ({"data": "folder", "workers": 0, "worker_timeout": 9.0}, "--worker-timeout is for the workers"),
        ({"timeout": 9.0}, "--timeout is for several ranks, such as torchrun starts, and there is one"),
        ({"resume": True}, "--resume needs the run folder: --out"),
        ({"data": "folder", "data_dir": "a\udce9"}, "--data-dir: expected a path in UTF-8, found a\\u{dce9}"),
        ({"download": True, "data_dir": "d"}, "--data shapes needs no files: there is nothing to --download"),
        ({"data": "digits", "download": True}, "--data digits needs no files: there is nothing to --download"),
        ({"dry_run": True, "overfit_batch": True}, "--dry-run and --overfit-batch are two different tries"),
        ({"dry_run": True, "epochs": 7}, "--dry-run is two steps: --epochs is for a whole run"),
        ({"dry_run": True, "limit": 100}, "--dry-run takes the images of two batches: --limit is for"),
        ({"overfit_batch": True, "limit": 9}, "--overfit-batch takes one batch: not --limit N but --set batch=N"),
    ],
)
def test_flags_that_would_be_passed_over_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(Misuse) as caught:
        training.config(options)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "--epochs takes a whole number from 1 to 100,000, not 0"),
        ({"limit": -3}, "--limit takes a whole number from 1 to 1,000,000,000, not -3"),
        ({"micro_batch": 0}, "--micro-batch takes a whole number from 1 to 1,000,000,000, not 0"),
        ({"keep": 1}, "--keep takes a whole number from 2 to 1,000, not 1"),
        ({"threads": 9999}, "--threads takes a whole number from 1 to 1,024, not 9,999"),
        (
            {"data": "folder", "worker_timeout": 0.0},
            "--worker-timeout takes a number above 0 and up to 86,400, not 0",
        ),
        (
            {"data": "folder", "worker_timeout": float("nan")},
            "--worker-timeout takes a number above 0 and up to 86,400, not nan",
        ),
        ({"precision": "fp8"}, "--precision takes auto, fp32, bf16 or fp16, not 'fp8'"),
        ({"device": "gpu"}, "--device takes auto, cpu or cuda, not 'gpu'"),
        ({"device": "tpu"}, "--device takes auto, cpu or cuda, not 'tpu'"),
        ({"changes": ("x" * 1001,)}, "--set takes at most 1,000 characters, not 1,001"),
    ],
)
def test_a_value_out_of_range_is_said_with_the_range(options: dict[str, object], message: str) -> None:
    with pytest.raises(Misuse) as caught:
        training.config(options)
    assert str(caught.value).startswith(message)


def test_no_option_shows_the_words_of_a_library() -> None:
    """Whatever an option takes, it is told what does not fit: a text of another kind, and no number that there is."""
    for name in TrainConfig.model_fields:
        for wrong in (object(), float("inf"), -1, "\0"):
            try:
                TrainConfig.model_validate({name: wrong})
            except ValidationError as error:
                said = refusal(TrainConfig, error)
                assert said.startswith("--"), said
                assert "nput should" not in said, said


def test_eval_says_which_options_do_not_go_together(finished: Path) -> None:
    with pytest.raises(Misuse, match="--data shapes needs no files: --data-dir is for the other sets"):
        run_commands.evaluate(str(finished), "newest", {"data_dir": "d"}, "text")


@pytest.mark.parametrize("held", [False, True])
def test_the_report_says_which_images_chose_the_best_epoch_and_the_end(held: bool) -> None:
    errors = [(0.5, 0.4), (0.3, 0.45), (0.35, 0.38), (0.36, 0.47)]  # of validation, of the test
    rows = tuple(
        Row(n, 7 * n, 0.1, 1.0, 0.2, mine if held else None, 1.0, test, 2.0) for n, (mine, test) in enumerate(errors, 1)
    )
    network = stored.Network("net", "Net")
    plan = stored.Plan("shapes", ("a", "b"), (3, 32, 32), 0, 100, 40 * held, 50, 70, 7, "cpu", "fp32", 1)
    recipe = Recipe(early_stop=2 if held else 1, validation=40 * held)
    run = Stored(Path("runs/net"), network, plan, recipe, TrainConfig(), rows)
    text = report(run, np.array([[25, 0], [3, 22]]), [{"after_step": 0}])
    which, best, error = ("validation", 2, "45.00%") if held else ("test", 3, "38.00%")
    assert (
        f"It stopped early after epoch 4 of 10: the {which} error was lowest in epoch {best}, and `early_stop`" in text
    )
    assert f"| test error of the best epoch, {best}: the {which} images chose it | {error} |" in text
    assert ("| validation error | 36.00% |" in text) == held
    assert "| training error, of augmented images, as met while learning | 20.00% |" in text
    assert (run.best or rows[0]).epoch == best


def test_one_of_a_thing_is_not_several(finished: Path) -> None:
    run = stored.load(finished)
    one = replace(run, rows=(replace(run.rows[0], step=1),), recipe=run.recipe.model_copy(update={"augment": ()}))
    text = report(one, np.diag([5] * 10), [{"after_step": 0}])
    assert "after 1 epoch (1 step), seed 0" in text
    assert "| training error, as met while learning |" in text

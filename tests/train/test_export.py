"""`archdsl export`: what is written, what is said, what is refused; and what a batch norm may be folded into."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx as onnx_package
import pytest
import safetensors.torch
import torch
from exporting import of_source, stirred
from harness import RECIPE, go, job
from torch import Tensor
from typer.testing import CliRunner

from archdsl import cli, export_commands
from archdsl.console import Exit
from archdsl.fsio import FileTrouble, write_folder
from archdsl.inputs import Misuse
from archdsl.pipeline import Request
from archdsl.recipe.records import DeepestColumn, Gcn, MeanStd, PerPixelMean, Scale, Zca
from archdsl.train import normalize, reopened, run, stored
from archdsl.train.export import onnx, preparation, subject, table, torch_export, torchscript
from archdsl.train.export.folding import fold
from archdsl.train.export.fresh import verdicts
from archdsl.train.export.target import Target
from archdsl.train.trouble import Misfit

pytestmark = pytest.mark.usefixtures("one_thread")

NET = """
network Net(classes = 5) {
    input image: [3, 8, 8]
    output label = image -> conv(4, 3) -> bn -> relu -> global_avg_pool -> linear(classes)
}
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "net.arch").write_text(NET)
    monkeypatch.chdir(tmp_path)
    return "net.arch"


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from harness import few

    monkeypatch.setattr(run, "load", few)
    out = tmp_path / "a"
    assert go(out, job(RECIPE.model_copy(update={"epochs": 1})))[0] == 0
    monkeypatch.chdir(tmp_path)
    return out


def export(path: object, target: str, request: Request | None = None, **more: Any) -> int:
    return export_commands.export(str(path), request or Request(), export_commands.Wanted(target, **more))


# ---- what is written ---------------------------------------------------------------------------------------------


def test_the_command_names_every_target() -> None:
    assert set(export_commands.TARGETS) == set(table.TARGETS)
    assert {name for name, target in table.TARGETS.items() if target.folder} == set(export_commands.WITH_TEXT)
    text = (Path(cli.__file__).parent / "cli_export.py").read_text()
    assert "|".join(export_commands.TARGETS) in text


def test_a_run_is_exported_with_what_its_user_must_know(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(trained, "safetensors") == Exit.CLEAN
    said = capsys.readouterr().out
    assert "step 7 (epoch 1), test error" in said
    assert "prepared  numbers between 0 and 1; less [" in said
    assert "the same to the last bit" in said
    folder = Path("a-safetensors")
    assert {path.name for path in folder.iterdir()} == {"model.py", "model.safetensors", "config.json"}
    config = json.loads((folder / "config.json").read_text())
    assert config["classes"] == list("abcdefghij")
    assert config["inputs"] == {"x": [3, 8, 8]}
    weights = safetensors.torch.load((folder / "model.safetensors").read_bytes())
    judged = reopened.reopen(stored.load(trained)).model.state_dict()  # the average, in this recipe
    assert all(torch.equal(weights[name], value) for name, value in judged.items())


def test_the_lines_that_are_printed_load_it(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(trained, "hub", checkpoint="best") == Exit.CLEAN
    space: dict[str, Any] = {}
    exec(capsys.readouterr().out.partition("\n\n")[2], space)
    image = torch.rand(4, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(space["network"](image), reopened.reopen(stored.load(trained)).model(image))


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated")
def test_a_spec_gives_fresh_weights_and_says_so(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(spec, "torchscript", Request({"classes": "7"}), seed=3, fold=True) == Exit.CLEAN
    said = capsys.readouterr().out
    assert "untrained, drawn from seed 3" in said
    assert "1 batch norm into the layer before, 0 left" in said
    extra = {"archdsl.json": ""}
    assert torch.jit.load("net.pt", _extra_files=extra)(torch.rand(2, 3, 8, 8)).shape == (2, 7)
    assert json.loads(extra["archdsl.json"])["folded_batch_norms"] == 1


def test_a_graph_takes_any_number_of_samples_or_the_one_asked_for(spec: str) -> None:
    assert export(spec, "torch-export") == export(spec, "torch-export", batch=3, output="three.pt2") == Exit.CLEAN
    extra = {"archdsl.json": ""}
    assert torch.export.load("net.pt2", extra_files=extra).module()(torch.rand(11, 3, 8, 8)).shape == (11, 5)
    assert json.loads(extra["archdsl.json"])["weights"] == "untrained, drawn from seed 0"
    three = torch.export.load("three.pt2").module()
    assert three(torch.rand(3, 3, 8, 8)).shape == (3, 5)
    with pytest.raises(AssertionError, match="3"):
        three(torch.rand(4, 3, 8, 8))


@pytest.mark.parametrize("target", [torch_export.TARGET, onnx.TARGET], ids=lambda target: target.name)
def test_a_learned_token_stands_before_any_number_of_samples(target: Target) -> None:
    """As the class token of a transformer does: it is repeated for each sample."""
    text = """network Net() {
    input image: [3, 8, 8]
    token = learned([1, 16], init=1)
    words = image -> conv(16, 4, stride=4, padding="valid") -> reshape([16, 4]) -> permute([1, 0])
    output label = concat(token, words) -> flatten -> linear(5)
}
"""
    made = table.trial(of_source("net", text)[0], target)
    assert made.subject.batches == (2, 1, 5)
    (verdict,) = verdicts([made])
    assert verdict.relative <= target.largest_difference


def test_an_onnx_model_is_valid_and_tells_its_origin(spec: str) -> None:
    assert export(spec, "onnx") == Exit.CLEAN
    model = onnx_package.load("net.onnx")
    onnx_package.checker.check_model(model)
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert told["weights"] == "untrained, drawn from seed 0"
    assert json.loads(told["inputs"]) == {"image": [3, 8, 8]}
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["image", "output"]


def test_what_is_done_to_a_picture_is_told_in_full(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The records alone, with the tensors they name, prepare a picture as the trainer does."""
    records = (Scale(by=127.5), MeanStd(), PerPixelMean(), Gcn(), Zca())
    from harness import images

    steps = normalize.Normalization(normalize.fit(records, images().train))
    monkeypatch.setattr(reopened, "normalization", lambda _run, _device: steps)
    actions = preparation.of(stored.load(trained))
    pixels = torch.randint(0, 256, (5, 8, 8, 3), dtype=torch.uint8)
    expected = steps(pixels)
    found = pixels.permute(0, 3, 1, 2).float()
    for action in actions:
        found = _applied(json.loads(json.dumps(action.record)), found, normalize.constants(steps.steps))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert [action.fitted for action in actions] == [False, False, False, True, False, True]


def _applied(record: Mapping[str, Any], x: Tensor, fitted: Mapping[str, Tensor]) -> Tensor:
    def channels(value: Any) -> Tensor:
        return torch.tensor(value).reshape(-1, 1, 1)

    if record.get("centre"):
        x = x - x.mean((1, 2, 3), keepdim=True)
        return x * record["norm"] / x.flatten(1).norm(dim=1).clamp_min(record["smallest_norm"])[:, None, None, None]
    x = x - channels(record.get("subtract", 0.0))
    x = x - fitted[record["subtract_tensor"]] if "subtract_tensor" in record else x
    x = x * record.get("multiply", 1.0) / channels(record.get("divide", 1.0))
    return (x.flatten(1) @ fitted[record["matrix_tensor"]]).view_as(x) if "matrix_tensor" in record else x


def test_tensors_of_the_preparation_go_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness import few

    monkeypatch.setattr(run, "load", few)
    recipe = RECIPE.model_copy(update={"epochs": 1, "normalize": (PerPixelMean(),), "evaluate": DeepestColumn()})
    monkeypatch.setattr("archdsl.train.network.check_evaluation", lambda *_: None)
    assert go(tmp_path / "a", job(recipe))[0] == 0
    found = subject.of_run(stored.load(tmp_path / "a"), "newest")
    files = table.TARGETS["safetensors"].make(found)
    assert safetensors.torch.load(files["normalization.safetensors"])["0.mean"].shape == (3, 8, 8)
    assert found.notes == (
        "the run was judged by `deepest_column`; the export is one pass of the whole network in evaluation mode",
    )


# ---- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "request_", "more", "words"),
    [
        ("onxx", Request(), {}, "did you mean onnx?"),
        ("hub", Request(), {"fold": True}, "the module's text, in which the batch norms still are"),
        ("safetensors", Request(), {"batch": 2}, "takes any number of samples"),
        ("torchscript", Request(), {"checkpoint": "best"}, "a spec has no checkpoints"),
        ("torchscript", Request(), {"output": ""}, "--output is empty: give a name"),
    ],
)
def test_flags_that_do_not_fit_are_refused(spec: str, target: str, request_: Request, more: Any, words: str) -> None:
    with pytest.raises(Misuse, match=words):
        export(spec, target, request_, **more)


def test_the_flags_of_the_program_arrive(spec: str) -> None:
    words = (
        "export",
        spec,
        "--to",
        "torchscript",
        "-p",
        "classes=7",
        "--seed",
        "4",
        "--batch",
        "3",
        "--fold-bn",
        "-o",
        "a.pt",
    )
    done = CliRunner().invoke(cli.app, words)
    assert done.exit_code == Exit.CLEAN
    for part in ("net -> a.pt", "seed 4", "image [3, 3, 8, 8]", "1 batch norm into", "in batches of 3:"):
        assert part in done.stdout
    assert CliRunner().invoke(cli.app, [*words[:3], "hub", *words[4:]]).exit_code == Exit.MISUSE


def test_a_run_has_its_network_already(tmp_path: Path) -> None:
    for request, more in ((Request({"depth": "3"}), {}), (Request(variant="a"), {}), (Request(), {"seed": 0})):
        with pytest.raises(Misuse, match="a run folder has its network"):
            export(tmp_path, "hub", request, **more)


def test_a_folder_that_is_no_run_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(tmp_path, "hub") == Exit.FILES
    assert "holds no run" in capsys.readouterr().err


def test_a_spec_with_errors_gives_nothing(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(spec).write_text(NET.replace("linear(classes)", "linear(clases)"))
    assert export(spec, "hub") == Exit.FINDINGS
    assert "error[" in capsys.readouterr().err
    assert os.listdir() == ["net.arch"]


def test_a_missing_package_is_named(
    spec: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(table, "find_spec", lambda name: None if name.startswith("onnx") else 1)
    assert export(spec, "onnx") == Exit.FILES
    assert "needs onnx and onnxruntime and onnxscript: pip install 'archdsl[onnx]'" in capsys.readouterr().err


def test_nothing_is_written_where_the_answers_are_others(
    spec: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(found: subject.Subject) -> Mapping[str, bytes]:
        next(found.module.parameters()).data.mul_(1.001)
        return torchscript.TARGET.make(found)

    target = torchscript.TARGET
    other = type(target)(target.name, target.suffix, wrong, target.load, target.answer)
    monkeypatch.setitem(table.TARGETS, "torchscript", other)
    assert export(spec, "torchscript") == Exit.FINDINGS
    assert "answers otherwise than the network: by up to" in capsys.readouterr().err
    assert os.listdir() == ["net.arch"]


def test_a_network_that_torch_cannot_write_is_told_with_the_reason() -> None:
    found, _ = of_source("net", NET.replace("relu", "fractional_max_pool(ratio=0.7)"))
    with pytest.raises(Misfit, match=r"as onnx: .*fractional_max_pool2d.*; --to safetensors and --to hub take"):
        table.trial(found, onnx.TARGET)


def test_a_network_without_an_answer_to_one_image_is_refused() -> None:
    """A batch norm of the batch's own statistics has none for one number."""
    text = """network Net() {
    input image: [3, 8, 8]
    output label = image -> conv(4, 3) -> global_avg_pool -> bn(track=false) -> flatten -> linear(5)
}
"""
    found, _ = of_source("net", text)
    with pytest.raises(Misfit, match=r"net has no answer to 1 at once: Expected more than 1 value .*; --batch N asks"):
        found.cases()


def test_a_network_whose_answers_are_no_numbers_is_refused() -> None:
    found, _ = of_source("net", NET)
    next(found.module.parameters()).data.fill_(float("nan"))
    with pytest.raises(Misfit, match="not finite"):
        table.trial(found, torch_export.TARGET)


@pytest.mark.parametrize("target", ["torchscript", "safetensors"])
@pytest.mark.parametrize(
    ("output", "words"),
    [
        (".", "cannot write .: it is a folder: give a name in it"),
        ("/", "cannot write /: it is a folder: give a name in it"),
        ("net.arch", "cannot write net.arch: it is there already: remove it, or choose another name"),
        ("a" * 300, "File name too long"),
    ],
)
def test_a_name_that_is_taken_is_refused(spec: str, target: str, output: str, words: str) -> None:
    done = CliRunner().invoke(cli.app, ["export", spec, "--to", target, "-o", output])
    assert done.exit_code == Exit.FILES
    assert words in done.stderr
    assert os.listdir() == ["net.arch"]
    assert Path("net.arch").read_text() == NET


def test_a_seed_has_a_bound(spec: str) -> None:
    done = CliRunner().invoke(cli.app, ["export", spec, "--to", "torchscript", "--seed", "9" * 30])
    assert done.exit_code == Exit.MISUSE


def test_where_no_batch_norm_is_there_is_nothing_to_fold(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(spec).write_text(NET.replace("-> bn ", ""))
    assert export(spec, "torchscript", fold=True) == Exit.FINDINGS
    assert "--fold-bn: net has no batch norm" in capsys.readouterr().err


def test_a_folder_that_is_there_stays(spec: str) -> None:
    Path("there").mkdir()
    Path("there", "mine").touch()
    with pytest.raises(FileTrouble, match="not empty"):
        export(spec, "hub", output="there")
    assert sorted(os.listdir()) == ["net.arch", "there"]
    assert os.listdir("there") == ["mine"]


def test_what_a_killed_export_left_is_cleared_away(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        os.rename = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
        write_folder(tmp_path / "a", {"a": b"1"})
        os._exit(0)
    os.waitpid(child, 0)
    (left,) = os.listdir(tmp_path)
    assert left.startswith(".archdsl-")
    write_folder(tmp_path / "a", {"a": b"1"})
    assert os.listdir(tmp_path) == ["a"]


def test_a_folder_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    write_folder(tmp_path / "first", {"a": b"1", "b": b"2"})
    assert {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()} == {"a": b"1", "b": b"2"}
    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(FileTrouble, match="No space left"):
        write_folder(tmp_path / "second", {"a": b"1"})
    assert os.listdir(tmp_path) == ["first"]


@pytest.mark.parametrize(
    ("name", "entry"), [("resnet-20", "resnet_20"), ("3d", "network_3d"), ("class", "network_class"), ("--", "network")]
)
def test_a_hub_name_is_one_of_pythons(name: str, entry: str) -> None:
    found = subject.of_text(name, of_source("net", NET)[0].text, [(3, 8, 8)], 0)
    space: dict[str, Any] = {"__file__": "hubconf.py"}
    exec(table.TARGETS["hub"].make(found)["hubconf.py"], space)
    assert [key for key, value in space.items() if callable(value) and not key.startswith("_")] == [entry]


# ---- what is folded ----------------------------------------------------------------------------------------------

BODIES = {
    "a convolution": ("x = image -> conv(4, 3) -> bn", 1, 0),
    "groups": ("x = image -> conv(6, 3, groups=3, bias=true) -> bn", 1, 0),
    "a transposed one": ("x = image -> conv_transpose(6, 3) -> bn", 1, 0),
    "transposed groups": ("x = image -> conv_transpose(6, 3, groups=3) -> bn", 0, 1),
    "a linear map": ("x = image -> flatten -> linear(6) -> bn", 1, 0),
    "a norm before": ("x = image -> bn -> relu -> conv(4, 3)", 0, 1),
    "something between": ("x = image -> conv(4, 3) -> relu -> bn", 0, 1),
    "a second reader": ("a = image -> conv(4, 3)\n    b = a -> bn\n    x = a + b", 0, 1),
    "two norms": ("a = image -> conv(4, 3)\n    x = (a -> bn) + (a -> bn)", 0, 2),
    "no weights in the norm": ("x = image -> conv(4, 3) -> bn(affine=false)", 1, 0),
    "one of several": ("x = image -> conv(4, 3) -> bn -> bn -> conv(5, 1) -> bn", 2, 1),
}


@pytest.mark.parametrize("what", BODIES)
def test_what_is_folded_answers_the_same(what: str) -> None:
    body, folded, left = BODIES[what]
    source = (
        f"network Net() {{\n    input image: [3, 8, 8]\n    {body}\n    output label = x -> flatten -> linear(3)\n}}\n"
    )
    found, _ = of_source("net", source)
    (case, *_) = found.cases()
    assert fold(found.module, case.given) == (folded, left)
    with torch.no_grad():
        torch.testing.assert_close(found.module(*case.given.values()), case.expected[0], rtol=1e-5, atol=1e-6)


def test_weights_that_are_used_twice_are_not_folded() -> None:
    source = (
        "network Net() {\n    input image: [4, 8, 8]\n    shared f = conv(4, 3)\n"
        "    a = image -> f -> bn\n    output label = a -> f -> flatten -> linear(3)\n}\n"
    )
    found, _ = of_source("net", source)
    assert fold(stirred(found).module, found.given(2)) == (0, 1)

"""Sweeps: what is planned, what runs where, what a signal or a failure leaves, and the table at the end."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from archdsl import cli
from archdsl.inputs import Misuse
from archdsl.sweep import children, plan, table
from archdsl.sweep.children import Slot

SPEC = """
network Net(width = 4, classes = 10) {
    input image: [3, 32, 32]
    output = image -> conv(width, 3, stride=4) -> bn -> relu -> global_avg_pool -> linear(classes)
}
variants {
    narrow_net = Net(4), error(shapes) = 11%
    wide_net   = Net(8)
}
recipe quick {
    optimizer = sgd(lr=0.1, nesterov=true)
    batch = 64
}
"""
SHORT = ("--epochs", "2", "--limit", "128", "--no-report", "--precision", "fp32", "--threads", "1")
AWKWARD = "it's a sweep"  # a folder whose name the shell would take apart


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "net.arch").write_text(SPEC)
    return tmp_path / "net.arch"


def sweep(*words: object) -> Result:
    return CliRunner().invoke(cli.app, ["sweep", *map(str, words)])


def names(*given: object) -> list[str]:
    return [run.name for run in plan.crossed(*given)]  # type: ignore[arg-type]


# ---- the plan


def test_each_variant_runs_with_each_setting_and_each_seed() -> None:
    runs = plan.crossed("net", "narrow-net,wide_net", ["optimizer.lr=0.1,0.05", "batch=32"], "2")
    assert len(runs) == len({run.name for run in runs}) == 8
    assert runs[0].name == "narrow_net-optimizer.lr=0.1-seed0"
    assert {run.changes for run in runs} == {("optimizer.lr=0.1", "batch=32"), ("optimizer.lr=0.05", "batch=32")}
    assert [(run.variant, run.seed) for run in runs[:4]] == [("narrow_net", 0), ("narrow_net", 1)] * 2


def test_seeds_are_a_number_or_a_list() -> None:
    assert names("net", None, [], "3") == ["net-seed0", "net-seed1", "net-seed2"]
    assert names("net", None, [], "7,4") == ["net-seed7", "net-seed4"]
    assert names("net", None, [], "7,") == ["net-seed7"]


def test_commas_inside_brackets_and_quotes_part_nothing() -> None:
    change = 'augment=[pad_crop(4), flip],[flip(p="0,5")]'
    assert [run.changes for run in plan.crossed("net", None, [change], "1")] == [
        ("augment=[pad_crop(4), flip]",),
        ('augment=[flip(p="0,5")]',),
    ]


def test_settings_that_look_alike_in_a_folders_name_are_numbered() -> None:
    assert names("net", None, ["a=x y,x_y"], "1") == ["net-1-seed0", "net-2-seed0"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("net", "a,b,a", [], "1"), "--variants has a twice"),
        (("net", ",", [], "1"), "--variants is empty"),
        (("net", None, ["batch"], "1"), "--set takes KEY=VALUE or KEY=VALUE,VALUE"),
        (("net", None, ["recipe.seed=3"], "1"), "--seeds"),
        (("net", None, [], "0"), "1 to 10,000"),
        (("net", None, [], "-2"), "--seeds takes how many"),
        (("net", None, [], "4,4"), "--seeds has 4 twice"),
        (("net", None, [], "2147483648,"), "--seeds takes how many"),
        (("net", None, ["batch=1,2"], "9999"), "at most 10,000 runs"),
        (("net", None, [], "9" * 5000), "--seeds takes how many"),
        (("net", None, ["batch=1,2", "epochs=3", "recipe.batch=4"], "1"), "--set batch is there twice: .* batch=A,B"),
    ],
)
def test_what_cannot_be_planned_is_refused(given: Sequence[object], words: str) -> None:
    with pytest.raises(Misuse, match=words):
        names(*given)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--out", "OUT", "--variants", "narrow_nte"), 1, "did you mean `narrow_net`?"),
        (("--out", "OUT", "--set", "optimizer.rl=1"), 2, "did you mean `lr`?"),
        (("--out", "OUT", "--set", "optimizer.lr=0.1,fast"), 2, "--set optimizer.lr"),
        (("--out", "OUT", "--epoch", "3"), 2, "No such option: --epoch"),
        (("--out", "OUT", "--epochs", "0"), 2, "--epochs takes a whole number from 1 to 100,000, not 0"),
        (("--out", "OUT", "--variant", "wide_net"), 2, "a sweep takes --variants"),
        (("--out", "OUT", "--resume"), 2, "goes on by itself"),
        (("--out", "OUT", "--task", "0"), 2, "give its folder"),
        (("--out", "OUT", "--format", "latex"), 2, "--format takes text, markdown, csv, json"),
        (("--seeds", "2"), 2, "--out DIR"),
        (("--out", "OUT", "--slurm", "--jobs", "2"), 2, "not for --slurm"),
        (("--out", "OUT", "--slurm", "--devices", "cuda:0"), 2, "not for --slurm"),
        (("--out", "OUT", "--slurm", "--task", "1"), 2, "one of them"),
        (("--out", "OUT", "--slurm", "--format", "csv"), 2, "--format is for the table"),
        (("--out", "OUT", "--task", "0", "--format", "text"), 2, "--format is for the table"),
        (("--out", "OUT", "--sync-batch-norm"), 2, "each run of a sweep is one process"),
        (
            ("--out", "OUT", "--set", "optimizer.lr=0.1,0.10"),
            2,
            "--set optimizer.lr=0.1 and --set optimizer.lr=0.10 are",
        ),
        (("--out", "OUT", "--data", "folder"), 2, "say where it is with --data-dir"),
        (("--out", "OUT", "--devices", "cuda:0,cuda:7"), 2, "there is no cuda:7; torch sees 1 CUDA device"),
    ],
)
def test_a_mistake_is_said_before_anything_runs(
    spec: Path, words: Sequence[str], code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(children, "_gpus", lambda: 1)
    out = spec.parent / "sweep"
    result = sweep(spec, *(word.replace("OUT", str(out)) for word in words))
    assert result.exit_code == code
    assert said in result.output
    assert not out.exists()


@pytest.mark.parametrize(("name", "value"), [("WORLD_SIZE", "2"), ("TORCHELASTIC_RUN_ID", "none")])
def test_a_sweep_is_not_for_torchrun(spec: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert "start it once, without torchrun" in sweep(spec, "--out", spec.parent / "sweep").stderr


def test_a_gpu_that_is_not_there_is_missed_only_where_it_is_used(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_gpus", lambda: 0)
    words = (spec, "--out", spec.parent / "sweep", "--device", "cuda")
    assert "--device cuda: torch sees no CUDA device here" in sweep(*words).stderr
    done = sweep(*words, "--slurm")
    assert done.exit_code == 0, done.output
    assert f"afterwards `archdsl sweep {spec.parent / 'sweep'} --jobs 0` prints the table" in done.stdout
    assert sweep(spec.parent / "sweep", "--jobs", 0).exit_code == 0


def test_an_array_of_more_tasks_than_slurm_usually_takes_is_noted(spec: Path) -> None:
    done = sweep(spec, "--out", spec.parent / "sweep", "--slurm", "--seeds", 1002)
    assert "Slurm takes 1,001 tasks of an array unless its MaxArraySize is larger" in done.stderr


# ---- where runs go


def test_several_runs_share_the_cores_of_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_cores", lambda: 8)
    assert children.slots(1, None, ()) == [Slot()]
    assert [slot.options for slot in children.slots(3, None, ())] == [("--device", "cpu", "--threads", "2")] * 3
    assert children.slots(16, None, ())[0].options[-1] == "1"


def test_a_run_on_a_gpu_sees_that_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = children.slots(1, "cuda:0,cuda:1", ())
    assert [slot.environment for slot in found] == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]
    assert {slot.options for slot in found} == {("--device", "cuda")}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert children.slots(1, "cuda:1", ())[0].environment == {"CUDA_VISIBLE_DEVICES": "7"}


@pytest.mark.parametrize(
    ("jobs", "devices", "options", "words"),
    [
        (1, "gpu0", (), "a list such as cuda:0,cuda:1"),
        (1, "cuda:0,cuda:0", (), "each device once"),
        (1, "cuda:2", (), "there is no cuda:2"),
        (2, "cuda:0", (), "--jobs cannot be given too"),
        (1, "cuda:0", ("--device", "cuda"), "--device cannot be given too"),
        (2, None, ("--threads", "4"), "--threads cannot be given too"),
    ],
)
def test_places_that_contradict_each_other_are_refused(
    monkeypatch: pytest.MonkeyPatch, jobs: int, devices: str | None, options: Sequence[str], words: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(Misuse, match=words):
        children.slots(jobs, devices, options)


def test_a_run_is_an_archdsl_train_that_goes_on_where_it_was_begun(tmp_path: Path) -> None:
    runs = plan.crossed("net", "wide_net", ["batch=32"], "4,")
    whole = plan.Plan(spec="net.arch", options=("--epochs", "2"), runs=runs)
    words = children.command(whole, runs[0], tmp_path, Slot("x", ("--device", "cuda")))
    assert words[:4] == [sys.executable, "-m", "archdsl", "train"]
    assert words[4:] == [
        *("net.arch", "--epochs", "2", "--device", "cuda", "--variant", "wide_net", "--set", "batch=32"),
        *("--set", "seed=4", "--out", str(tmp_path / "wide_net-seed4")),
    ]
    (tmp_path / "wide_net-seed4").mkdir()
    assert children.command(whole, runs[0], tmp_path, Slot())[-1] == "--resume"


# ---- runs that are stood in for by a few lines of Python

Program = Callable[[str], None]


@pytest.fixture
def standing_in(monkeypatch: pytest.MonkeyPatch) -> Program:
    """Let each run be this program, which has the run's seed and its folder as arguments."""

    def put(program: str) -> None:
        def command(_plan: plan.Plan, run: plan.Run, out: Path, _slot: Slot) -> list[str]:
            return [sys.executable, "-ISc", program, str(run.seed), str(out / run.name)]

        monkeypatch.setattr(children, "command", command)

    return put


def test_a_run_that_fails_does_not_stop_the_others(spec: Path, standing_in: Program) -> None:
    standing_in("import sys; print('its last word', sys.argv[1]); sys.exit(76 if sys.argv[1] == '1' else 0)")
    result = sweep(spec, "--seeds", 3, "--out", spec.parent / "sweep")
    assert result.exit_code == 1
    assert "net-seed1: failed with exit code 76: its last word 1" in result.stderr
    assert "net-seed2: its last word 2" in result.stderr
    assert result.stderr.count("failed") == 1
    assert "0/3" in result.stdout
    assert (spec.parent / "sweep" / "net-seed1.log").read_text() == "its last word 1\n"


MEETING = """
import os, pathlib, sys, time
place = pathlib.Path(sys.argv[2]).parent
(place / f"here-{sys.argv[1]}").touch()
held = place / ("busy-" + os.environ["CUDA_VISIBLE_DEVICES"])
held.touch(exist_ok=False)
until = time.monotonic() + 60
while len(list(place.glob("here-*"))) < 2:
    if time.monotonic() > until: sys.exit("nobody came")
    time.sleep(0.01)
held.unlink()
print("on", os.environ["CUDA_VISIBLE_DEVICES"])
"""


def test_two_devices_work_at_once_each_on_one_run_at_a_time(
    spec: Path, standing_in: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run ends only when a second one has come, and fails where another is on its device."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,8")
    monkeypatch.setattr(children, "_gpus", lambda: 2)
    standing_in(MEETING)
    result = sweep(spec, "--seeds", 6, "--out", spec.parent / "sweep", "--devices", "cuda:0,cuda:1")
    assert result.exit_code == 0, result.stderr
    assert {line.rpartition(": ")[2] for line in result.stderr.splitlines() if ": on " in line} == {"on 3", "on 8"}


WAITING = """
import signal, sys, time
def stop(number, frame):
    print("saved after", signal.Signals(number).name)
    sys.exit(75)
signal.signal(signal.SIGTERM, stop); signal.signal(signal.SIGUSR1, stop)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_is_passed_on_and_nothing_more_begins(
    spec: Path, standing_in: Program, number: signal.Signals
) -> None:
    standing_in(WAITING)
    out = spec.parent / "sweep"

    def send() -> None:
        until = time.monotonic() + 60
        while "ready" not in _text(out / "net-seed0.log") and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    threading.Thread(target=send).start()
    result = sweep(spec, "--seeds", 3, "--out", out)
    assert result.exit_code == 75
    assert f"net-seed0: saved after {number.name}" in result.stderr
    assert "net-seed1" not in result.stderr.partition("begun")[2]
    assert f"3 of them to do: `archdsl sweep {out}` goes on" in result.stderr


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_another_plan_in_the_same_folder_is_refused_and_says_what_differs(spec: Path, standing_in: Program) -> None:
    standing_in("")
    out = spec.parent / "sweep"
    assert sweep(spec, "--seeds", 2, "--out", out).exit_code == 0
    for words, said in (
        (("--seeds", 3), "not in its plan: net-seed2"),
        (("--seeds", 1), "not asked for now: net-seed1"),
        (("--seeds", 2, "--epochs=3"), "its options are none, not --epochs 3"),
        (("--seeds", 2, "--set", "batch=32"), "the network or the recipe of net-seed0 and 1 more is another"),
    ):
        result = sweep(spec, *words, "--out", out)
        assert result.exit_code == 2
        assert f"{out} holds another sweep: {said}" in result.stderr
    spec.write_text(SPEC.replace("stride=4", "stride=2"))
    assert "is another in" in sweep(out).stderr


def test_a_plan_that_was_changed_by_hand_is_refused(spec: Path, standing_in: Program) -> None:
    standing_in("")
    out = spec.parent / "sweep"
    assert sweep(spec, "--out", out).exit_code == 0
    good = (out / plan.FILE).read_text()
    for bad, said in ((good.replace("net-seed0", "../net"), "runs.0.name"), (good[:-9], "not as it was written")):
        (out / plan.FILE).write_text(bad)
        result = sweep(out)
        assert result.exit_code == 3
        assert said in result.stderr


def test_a_run_that_is_of_no_sweep_is_not_taken_for_one_of_it(spec: Path) -> None:
    (spec.parent / "sweep" / "net-seed0").mkdir(parents=True)
    result = sweep(spec, "--out", spec.parent / "sweep")
    assert result.exit_code == 2
    assert "holds net-seed0, which is of no sweep" in result.stderr


def test_a_folder_without_a_plan_and_a_task_that_is_not_there_are_refused(spec: Path, standing_in: Program) -> None:
    standing_in("")
    assert f"{spec.parent} holds no sweep" in sweep(spec.parent).stderr
    out = spec.parent / "sweep"
    assert sweep(spec, "--out", out, "--seeds", 2).exit_code == 0
    assert "the sweep has tasks 0 to 1" in sweep(out, "--task", 2).stderr
    assert "has a plan of its own" in sweep(out, "--seeds", 2).stderr


# ---- real runs, by the script for a cluster


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep of two runs, each run as Slurm would run it."""
    folder = tmp_path_factory.mktemp("swept")
    (folder / "net.arch").write_text(SPEC)
    out = folder / AWKWARD
    result = sweep(folder / "net.arch", "--variants", "narrow-net", "--seeds", 2, "--out", out, "--slurm", *SHORT)
    assert result.exit_code == 0, result.output
    assert not (out / "narrow_net-seed0").exists()
    script = out / "sweep.sbatch"
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    for number in "01":
        environment = {**os.environ, "SLURM_ARRAY_TASK_ID": number}
        run = subprocess.run(["bash", script], env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
    return out


def errors(run: Path) -> list[float]:
    return [float(row["test_error"]) for row in csv.DictReader((run / "metrics.csv").read_text().splitlines())]


def test_the_script_asks_for_one_task_for_each_run_and_for_a_signal_in_time(swept: Path) -> None:
    text = (swept / "sweep.sbatch").read_text()
    assert "#SBATCH --array=0-1\n" in text
    assert "#SBATCH --requeue\n" in text
    assert "#SBATCH --signal=B:USR1@120\n" in text


def test_the_table_is_the_mean_and_the_sample_deviation_of_what_the_runs_logged(swept: Path) -> None:
    runs = [errors(swept / f"narrow_net-seed{seed}") for seed in (0, 1)]
    (row,) = json.loads(sweep(swept, "--format", "json").stdout)
    last, lowest = [run[-1] for run in runs], [min(run) for run in runs]
    assert row["test_error"] == {"mean": sum(last) / 2, "std": statistics.stdev(last), "values": last}
    assert row["lowest_test_error"]["values"] == lowest
    assert (row["seeds"], row["planned"], row["paper"]) == ([0, 1], 2, 0.11)
    assert runs[0] != runs[1]


@pytest.mark.parametrize("form", ["text", "markdown", "csv"])
def test_every_form_has_the_same_numbers(swept: Path, form: str) -> None:
    result = sweep(swept, "--format", form)
    assert result.exit_code == 0
    planned = plan.read(swept)
    assert planned is not None
    (entry,) = table.entries(planned, swept)
    middle, spread = statistics.fmean(entry.test_error), statistics.stdev(entry.test_error)
    shown = f"{middle},{spread}" if form == "csv" else f"{middle:.2%} ± {spread:.2%}"
    assert shown in result.stdout
    assert ("0.11" if form == "csv" else "11.00%") in result.stdout
    assert "2 of 2 are finished" in result.stderr
    assert "begun" not in result.stderr


def test_a_run_that_is_damaged_does_not_count_as_finished(swept: Path, tmp_path: Path) -> None:
    shutil.copytree(swept, tmp_path / "part")
    (tmp_path / "part" / "narrow_net-seed1" / "metrics.csv").write_text("epoch\nsix\n")
    result = sweep(tmp_path / "part", "--jobs", 0)
    assert "1/2" in result.stdout


def test_one_run_alone_has_no_deviation(swept: Path, tmp_path: Path) -> None:
    shutil.copytree(swept, tmp_path / "part")
    shutil.rmtree(tmp_path / "part" / "narrow_net-seed1")
    result = sweep(tmp_path / "part", "--jobs", 0)
    assert result.exit_code == 0
    assert f"1/2   {errors(swept / 'narrow_net-seed0')[-1]:.2%} " in result.stdout
    assert "±" not in result.stdout.splitlines()[1]


def test_a_task_that_is_told_before_it_listens_is_queued_again(spec: Path) -> None:
    """As long as Python starts, USR1 ends it."""
    out = spec.parent / "sweep"
    assert sweep(spec, "--out", out, "--slurm").exit_code == 0
    text = re.sub(r"^.* -m archdsl sweep .*$", "sleep 60 &", (out / "sweep.sbatch").read_text(), flags=re.MULTILINE)
    queue = spec.parent / "scontrol"
    queue.write_text(f'#!/bin/sh\necho "$@" > "{spec.parent}/queued"\n')
    queue.chmod(0o755)
    environment = {**os.environ, "PATH": f"{spec.parent}:{os.environ['PATH']}"}
    environment |= {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_JOB_ID": "4711"}
    job = subprocess.Popen(["bash", "-c", text], env=environment)
    time.sleep(1)
    job.send_signal(signal.SIGUSR1)
    assert job.wait(30) == 75
    assert (spec.parent / "queued").read_text() == "requeue 4711_0\n"


def test_a_task_whose_time_is_up_saves_itself_is_queued_again_and_goes_on(spec: Path) -> None:
    out = spec.parent / AWKWARD
    options = ("--epochs", "30", *SHORT[2:])
    assert sweep(spec, "--out", out, "--slurm", *options).exit_code == 0
    queue = spec.parent / "scontrol"
    queue.write_text(f'#!/bin/sh\necho "$@" > "{spec.parent}/queued"\n')
    queue.chmod(0o755)
    environment = {**os.environ, "PATH": f"{spec.parent}:{os.environ['PATH']}"}
    environment |= {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_JOB_ID": "4711"}
    job = subprocess.Popen(["bash", out / "sweep.sbatch"], env=environment, stderr=subprocess.PIPE, text=True)
    metrics = out / "net-seed0" / "metrics.csv"
    until = time.monotonic() + 120
    while not metrics.exists() and job.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    job.send_signal(signal.SIGUSR1)
    said = job.communicate(timeout=120)[1]
    assert job.returncode == 75, said
    assert (spec.parent / "queued").read_text() == "requeue 4711_0\n"
    assert len(errors(out / "net-seed0")) < 30
    result = sweep(out)
    assert result.exit_code == 0, result.output
    assert "going on after step" in (out / "net-seed0.log").read_text()
    assert len(errors(out / "net-seed0")) == 30
    assert "1/1" in result.stdout

"""The command line as its users meet it: what is printed, where, and how it ends; whatever is thrown at it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from promises.pace import slowness

from archdsl import cli, explain, limits, pipeline
from archdsl.config import overrides, parameters
from archdsl.diagnostic import Diagnostics
from archdsl.inputs import Misuse

ROOT = Path(__file__).parents[1]
GOOD = """network Tiny(width = 16, classes = 10) {
    input image: [3, 32, 32]
    body: [width, 16, 16] = image -> conv(width, 3, stride=2) -> relu
    output: [classes] = body -> global_avg_pool -> linear(classes)
    expect params = 602
}
"""
BAD = GOOD.replace("relu", "rleu")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


class Program:
    """Runs the program in a folder with a few files."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.folder, self.capsys, self.patch = folder, capsys, patch
        for name, text in (("good.arch", GOOD), ("bad.arch", BAD), ("deep/a-b.arch", GOOD), ("deep/.x/no.arch", BAD)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        patch.chdir(folder)

    def __call__(self, *arguments: str) -> Ran:
        self.patch.setattr(sys, "argv", ["archdsl", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = self.capsys.readouterr()
        assert "Traceback" not in out + err
        return Ran(int(end.value.code or 0), out, err)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Program:
    return Program(tmp_path, capsys, monkeypatch)


def process(*arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **more}
    command = [sys.executable, "-m", "archdsl", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, encoding="utf-8"
    )


# --- lint ------------------------------------------------------------------------------------------------------


def test_a_clean_file_shows_its_counts(run: Program) -> None:
    ran = run("lint", "good.arch")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == ("good.arch: Tiny, 602 parameters, 110,752 multiply-accumulates\nno findings in 1 file\n")


def test_a_finding_is_code_one_and_on_standard_output(run: Program) -> None:
    ran = run("lint", "bad.arch")
    assert (ran.code, ran.err) == (1, "")
    assert "bad.arch:3:" in ran.out
    assert "did you mean `relu`" in ran.out
    assert ran.out.endswith("1 error in 1 file\n")


def test_directories_are_walked_in_order_without_hidden_ones(run: Program) -> None:
    ran = run("lint", ".", "--format", "json")
    assert [one["file"] for one in json.loads(ran.out)["diagnostics"]] == ["bad.arch"]
    assert run("lint", "deep").out.splitlines()[-1] == "no findings in 1 file"


def test_each_file_is_read_once(run: Program) -> None:
    assert run("lint", "good.arch", "good.arch", "deep").out.splitlines()[-1] == "no findings in 2 files"


def test_github(run: Program) -> None:
    ran = run("lint", "bad.arch", "--format", "github")
    assert ran.out.startswith("::error file=bad.arch,line=3,")
    assert ran.out.count("\n") == 1


def test_colour_is_for_terminals() -> None:
    from archdsl.console import in_colour

    class Terminal:
        def isatty(self) -> bool:
            return True

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("NO_COLOR", raising=False)
        patch.setenv("TERM", "xterm")
        assert in_colour(Terminal())
        patch.setenv("NO_COLOR", "1")
        assert not in_colour(Terminal())
    assert not in_colour(sys.stdin)


# --- compile ---------------------------------------------------------------------------------------------------


def test_compile_writes_an_importable_name(run: Program) -> None:
    ran = run("compile", "deep/a-b.arch", "-o", "out")
    assert ran.code == 0, ran.err
    assert os.listdir("out") == ["a_b.py"]
    assert ran.out.startswith("deep/a-b.arch -> out/a_b.py: ")
    assert "602 parameters" in ran.out


def test_compile_prints(run: Program) -> None:
    ran = run("compile", "good.arch", "-o", "-")
    assert "class Tiny(nn.Module):" in ran.out
    assert not Path("generated").exists()


def test_check_tells_missing_equal_and_different(run: Program) -> None:
    assert run("compile", "good.arch", "-o", "out", "--check").out.startswith("out/good.py is missing\n")
    run("compile", "good.arch", "-o", "out")
    assert run("compile", "good.arch", "-o", "out", "--check") == Ran(0, "1 of 1 module as compiled\n", "")
    path = Path("out/good.py")
    path.write_text(path.read_text().replace("stride=2", "stride=3"))
    ran = run("compile", "good.arch", "-o", "out", "--check")
    assert ran.code == 1
    assert ran.out.startswith("out/good.py differs:\n--- as it is\n+++ as compiled\n")
    assert "stride=3" in path.read_text()


def test_errors_give_no_module(run: Program) -> None:
    ran = run("compile", "bad.arch", "-o", "out")
    assert (ran.code, ran.out) == (1, "")
    assert "rleu" in ran.err
    assert not Path("out").exists()


def test_two_files_for_one_module_are_refused(run: Program) -> None:
    Path("a.arch").write_text(GOOD)
    Path("deep/a.arch").write_text(GOOD)
    ran = run("compile", "a.arch", "deep/a.arch", "-o", "out")
    assert (ran.code, ran.err) == (2, "archdsl: deep/a.arch and another file both compile to a.py\n")


def test_output_that_cannot_be_written(run: Program) -> None:
    Path("out").write_text("in the way")
    ran = run("compile", "good.arch", "-o", "out")
    assert ran.code == 3
    assert ran.err.count("\n") == 1
    assert "out" in ran.err


# --- summary, show, explain ------------------------------------------------------------------------------------


def test_summary(run: Program) -> None:
    ran = run("summary", "good.arch", "-p", "width=32")
    assert ran.code == 0, ran.err
    assert "32×16×16" in ran.out
    assert f"{3 * 9 * 32 + 330:,}" in ran.out


def test_summary_as_json_has_the_counts(run: Program) -> None:
    ran = run("summary", "good.arch", "-p", "width=32", "--format", "json")
    record = json.loads(ran.out)
    assert (ran.code, ran.err) == (0, "")
    assert (record["network"], record["arguments"]["width"]) == ("Tiny", 32)
    assert record["totals"]["parameters"]["total"] == 3 * 9 * 32 + 330
    assert sum(row["macs"] for row in record["rows"]) == record["totals"]["macs"] > 0
    assert record["rows"][0]["shape"] == [32, 16, 16]


def test_the_json_stage_round_trips(run: Program) -> None:
    from archdsl.schema import from_json, to_json

    ran = run("show", "good.arch", "--stage", "json")
    assert to_json(from_json(ran.out)) == ran.out


def test_summary_of_what_is_not_there(run: Program) -> None:
    ran = run("summary", "good.arch", "--network", "Tine")
    assert ran.code != 0
    assert "Tiny" in ran.err


@pytest.mark.parametrize("stage", ["tokens", "ast", "graph", "json"])
def test_every_stage_prints_itself(run: Program, stage: str) -> None:
    ran = run("show", "good.arch", "--stage", stage)
    assert (ran.code, ran.err) == (0, "")
    assert "Tiny" in ran.out


def test_every_code_has_a_page_and_its_own_number() -> None:
    pages = list(explain.pages())
    assert len({page.code for page in pages}) == len(pages) == len({page.slug for page in pages})
    for page in pages:
        assert len(page.text) > 60, page.code


def test_every_module_of_codes_is_listed() -> None:
    package = Path(cli.__file__).parent
    with_codes = {
        ".".join(path.relative_to(package.parent).with_suffix("").parts)
        for path in package.rglob("*.py")
        if "\n@code(" in path.read_text(encoding="utf-8")
    }
    assert with_codes == set(explain.MODULES)


@pytest.mark.parametrize("name", ["S104", "s104", "unclosed-bracket"])
def test_explain_a_code(run: Program, name: str) -> None:
    ran = run("explain", name)
    assert ran.code == 0
    assert ran.out.startswith("S104: unclosed-bracket\n\n")


def test_explain_a_primitive(run: Program) -> None:
    assert run("explain", "conv").out.startswith("conv(width, kernel, stride=1")


def test_explain_what_there_is_not(run: Program) -> None:
    assert run("explain", "cnov") == Ran(2, "", "archdsl: nothing is called 'cnov'; did you mean conv?\n")


# --- misuse ----------------------------------------------------------------------------------------------------

WRONG: list[tuple[Sequence[str], str]] = [
    (["lint"], "Missing argument"),
    (["lint", "good.arch", "--formt", "json"], "--formt"),
    (["lint", "good.arch", "--format", "xml"], "xml"),
    (["lnt", "good.arch"], "lnt"),
    (["lint", "good.arch", "-p", "width"], "NAME=VALUE"),
    (["lint", "good.arch", "-p", "=3"], "-p"),
    (["lint", "good.arch", "-p", "width=\x1b[31m"], "-p"),
    (["lint", "good.arch", "-p", "width=1", "-p", "width=2"], "twice"),
    (["lint", "empty"], "no .arch file"),
    (["show", "good.arch", "--stage", "bytecode"], "bytecode"),
    (["summary", "good.arch", "-p", "widht=3"], "did you mean `width`?"),
    (["compile", "typed.arch", "-p", "width=x"], "error[A402]"),
]


@pytest.mark.parametrize(
    ("arguments", "words"), WRONG, ids=lambda part: " ".join(part) if isinstance(part, list) else ""
)
def test_misuse_is_code_two(run: Program, arguments: Sequence[str], words: str) -> None:
    Path("empty").mkdir()
    Path("typed.arch").write_text(GOOD.replace("width = 16", "width: int = 16"), encoding="utf-8")
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert "\x1b" not in ran.err


def test_parameters_are_checked_against_the_network(run: Program) -> None:
    ran = run("lint", "good.arch", "-p", "widht=3")
    assert ran.code in (1, 2)
    assert "widht" in ran.out
    assert "did you mean `width`?" in ran.out


KNOWN = {"depth": "int", "p": "number", "flag": "bool", "mode": "text", "free": None, "units": "list"}


def test_values_of_parameters() -> None:
    bag = Diagnostics()
    raw = overrides(["depth=40", "p=0.1%", "flag=true", 'mode="same"', "free=1.5K"])
    values = parameters(raw, KNOWN, bag)
    assert len(bag) == 0
    assert {name: str(value) for name, value in values.items()} == {
        "depth": "40",
        "p": "1/1000",
        "flag": "True",
        "mode": "same",
        "free": "1500",
    }


@pytest.mark.parametrize(
    "text", ["depth=0.5", "depth=true", "depth=9999999999", "p=x", "p=1e99", "flag=1", "mode=3", "units=[1]", "dept=1"]
)
def test_values_that_do_not_fit(text: str) -> None:
    bag = Diagnostics()
    assert parameters(overrides([text]), KNOWN, bag) == {}
    assert [d.code for d in bag] == ["A401" if text.startswith("dept=") else "A402"]


def test_too_many_parameters() -> None:
    with pytest.raises(Misuse, match="at most 64"):
        overrides([f"a{i}=1" for i in range(65)])


# --- files that are none ---------------------------------------------------------------------------------------


def test_unusable_files_are_told_and_the_others_go_on(run: Program) -> None:
    os.mkfifo("pipe")
    with open("huge", "wb") as huge:
        huge.truncate(1 << 30)
    ran = run("lint", "missing", "pipe", "/dev/zero", "good.arch")
    assert ran.code == 3
    assert [line.split(": ")[-1] for line in ran.err.splitlines()] == [
        "No such file or directory",
        "it is a pipe, not a file",
        "it is a device, not a file",
    ]
    assert ran.out.splitlines()[-1] == "no findings in 1 file"
    began = time.monotonic()
    ran = run("lint", "huge")
    assert time.monotonic() - began < 0.2
    assert (ran.code, ran.err) == (4, "archdsl: cannot read huge: over the limit of 262,144 bytes\n")


def test_not_text(run: Program) -> None:
    Path("latin.arch").write_bytes(b"# caf\xe9\n" + GOOD.encode())
    ran = run("lint", "latin.arch")
    assert ran.code == 1
    assert "latin.arch:1:6" in ran.out


def test_a_byte_order_mark_and_any_line_end_are_fine(run: Program) -> None:
    for number, ending in enumerate(("\n", "\r\n", "\r")):
        Path(f"{number}.arch").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", ending).encode())
        assert run("lint", f"{number}.arch").code == 0


def test_a_limit_is_code_four(run: Program) -> None:
    Path("deep.arch").write_text("a = " + "(" * (limits.DEPTH.value + 1) + "1")
    ran = run("lint", "deep.arch")
    assert ran.code == 4
    assert "depth: at most 64 levels of brackets" in ran.out


# --- when archdsl itself breaks --------------------------------------------------------------------------------


def test_an_internal_error_is_one_line_and_a_report(run: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("\x1b[31m" + "x" * 10_000)

    monkeypatch.setattr(pipeline, "check", broken)
    ran = run("lint", "good.arch")
    assert (ran.code, ran.out) == (70, "")
    assert ran.err.count("\n") == 1
    assert "\x1b" not in ran.err
    (name,) = [name for name in os.listdir() if name.startswith("archdsl-ice-")]
    assert name in ran.err
    report = Path(name).read_text(encoding="utf-8")
    assert GOOD in report
    assert "KeyError" in report


def test_an_internal_error_where_nothing_can_be_written(run: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    from archdsl import ice
    from archdsl.fsio import FileTrouble

    def broken(*_: object) -> None:
        raise RecursionError

    def full(path: Path, data: bytes) -> None:
        raise FileTrouble(path, "write", "No space left on device")

    monkeypatch.setattr(pipeline, "check", broken)
    monkeypatch.setattr(ice, "write_atomic", full)
    ran = run("lint", "good.arch")
    assert ran.code == 70
    assert "no report was kept" in ran.err


# --- the process -----------------------------------------------------------------------------------------------


def test_standard_input(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "archdsl", "lint", "-"]
    ran = subprocess.run(
        command, input=BAD, capture_output=True, text=True, cwd=tmp_path, check=False, encoding="utf-8"
    )
    assert ran.returncode == 1
    assert "<stdin>:3:" in ran.stdout


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    text = line.replace("archdsl", f"{sys.executable} -m archdsl")
    return subprocess.run(["bash", "-c", text], cwd=cwd, capture_output=True, text=True, check=False)


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a.arch").write_text(GOOD)
    ran = shell("archdsl show a.arch --stage json | head -n 1; echo ${PIPESTATUS[0]}", tmp_path)
    assert ran.stdout.splitlines()[-1] in ("0", "141")
    assert ran.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_output_that_is_full_or_closed(tmp_path: Path) -> None:
    (tmp_path / "a.arch").write_text(GOOD)
    ran = shell("archdsl lint a.arch > /dev/full", tmp_path)
    assert (ran.returncode, ran.stderr) == (3, "archdsl: cannot write standard output: No space left on device\n")
    assert shell("archdsl lint a.arch >&- 2>&-", tmp_path).returncode == 0
    assert shell("archdsl lint - <&-", tmp_path).returncode == 3


def test_interrupted_is_quiet(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "archdsl", "lint", "-"]
    child = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what runs in the background ignores it
    )
    time.sleep(1.5)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=10)
    assert (child.returncode, out, err) == (130, b"", b"")


def test_the_same_bytes_whatever_the_surroundings(tmp_path: Path) -> None:
    (tmp_path / "a.arch").write_text(GOOD)
    seen = {
        process("compile", "a.arch", "-o", "-", cwd=tmp_path, PYTHONHASHSEED=seed, LC_ALL=locale, TZ=zone).stdout
        for seed, locale, zone in (("0", "C", "UTC"), ("1", "C.UTF-8", "Asia/Tokyo"), ("2", "POSIX", "UTC"))
    }
    assert len(seen) == 1
    assert "class Tiny" in seen.pop()


def test_version_and_help(run: Program) -> None:
    assert run("--version").out.startswith("archdsl ")
    assert "Exit codes" in run("--help").out


SPENT = """
import os, subprocess, sys
before = os.times()
subprocess.run([sys.executable, "-m", "archdsl", *sys.argv[1:]], stdout=subprocess.DEVNULL, check=True)
after = os.times()
print(after.children_user + after.children_system - before.children_user - before.children_system)
"""


def spent(*arguments: str) -> float:
    """CPU seconds of one command, start-up included."""
    # compiled modules are kept, as they are wherever archdsl is installed
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", SPENT, *arguments]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=kept)
    return float(ran.stdout)


@pytest.mark.parametrize(
    ("seconds", "command"),
    [
        (0.30, ("lint", "specs/resnet-1202.arch")),
        (2.0, ("lint", "specs/")),
        (5.0, ("compile", "specs/", "-o", "generated", "--check")),
    ],
)
def test_commands_are_quick(seconds: float, command: tuple[str, ...]) -> None:
    """Whatever else the machine does: the best of five, and more where a fixed piece of work takes longer, too."""
    assert any(_in_time(seconds, command) for _ in range(5))


def _in_time(seconds: float, command: tuple[str, ...]) -> bool:
    """The pace is taken before and after: a machine may become busy while the command runs."""
    before = slowness()
    return spent(*command) <= seconds * max(before, slowness())


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_a_signal_while_torch_is_loaded_ends_train_at_once(tmp_path: Path, name: str) -> None:
    """From a module that is imported on the way, which catches whatever it can."""
    (tmp_path / "torch.py").write_text(
        f"import signal\ntry:\n    signal.raise_signal(signal.{name})\nexcept BaseException:\n    pass\nprint('went on')\n"
    )
    command = [sys.executable, "-m", "archdsl", "train", str(ROOT / "specs" / "resnet-20.arch"), "--out", "run"]
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert (done.returncode, done.stderr) == (75, "")
    assert done.stdout == f"stopped by {name} before the first step: there was nothing to save\n"
    assert not (tmp_path / "run").exists()


def test_signals_are_heard_without_torch() -> None:
    code = "import sys; import archdsl.train.signals; print('torch' in sys.modules, 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout == "False False\n"

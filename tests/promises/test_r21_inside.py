"""R21: nothing is written outside the output folder.

Forty hostile names and links, and a link that is flipped while the write runs: 10,000 races in every run of the tests. A checkpoint, an archive and a module go through the same door.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import torch
from soak import Tally, scaled

from archdsl import commands
from archdsl.fsio import FileTrouble, safe_join, write_inside
from archdsl.train import checkpoint

HOSTILE = (
    *("/x", "//x", "/", "//", "/etc/archdsl-x", "/proc/self/cwd/x", "../x", "../../x", "../outside/x", "../root/../x"),
    *("a/../../x", "a/b/../../../x", "./../x", "././../x", "a/..", "a/../..", "..", "../", "../.", "a/../../outside/x"),
    *("", ".", "./", "\0", "a\0b", "x\0/../y", "\\x", "\\\\server\\x", "\\..\\x", "a/../a/../../x"),
    *(
        "link/x",
        "link/deep/x",
        "link/../x",
        "./link/x",
        "loop/x",
        "up/x",
        "up/outside/x",
        "file/x",
        "dead/x",
        "chain/x",
    ),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An output folder full of links that lead out, into circles and nowhere."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    (outside / "deep").mkdir(parents=True)
    (outside / "mine").write_text("mine")
    targets = {"link": outside, "loop": root / "loop", "up": tmp_path, "dead": outside / "new", "chain": root / "link"}
    for name, target in targets.items():
        (root / name).symlink_to(target)
    (root / "file").write_text("a file")
    return root


def everything(folder: Path) -> dict[str, bytes | str]:
    """All below a folder by name: the bytes of files, where links lead."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def test_there_are_forty_of_them():
    assert len(set(HOSTILE)) == len(HOSTILE) == 40


@pytest.mark.promised("R21", of="hostile names")
@pytest.mark.parametrize("relative", HOSTILE)
def test_a_hostile_name_is_refused_and_nothing_written(root: Path, relative: str):
    before = everything(root.parent)
    with pytest.raises(FileTrouble):
        write_inside(root, relative, b"new")
    assert everything(root.parent) == before
    with suppress(FileTrouble):  # without links it may be a name inside
        assert Path(os.path.realpath(safe_join(root, relative).parent)).is_relative_to(root)


def test_a_plain_write_leaves_the_folder(root: Path):
    """The negative control: so many of the names lead out where nobody looks."""
    escaped = 0
    for number, relative in enumerate(HOSTILE):
        if not relative.startswith(("/", "\\")) and "\0" not in relative:
            before = everything(root.parent)
            with suppress(OSError):
                (root / relative).write_text(f"new {number}")
            changed = everything(root.parent).items() - before.items()
            escaped += any(not name.startswith("root/") for name, _ in changed)
    assert escaped >= 8


@contextmanager
def flipping(root: Path, outside: Path) -> Iterator[None]:
    """`link` is a directory and a link to the outside in turn, for as long as the context lasts."""
    (root / "real").mkdir(parents=True)
    outside.mkdir()
    (root / "evil").symlink_to(outside)
    flipper = os.fork()
    if flipper == 0:
        _flip(root)
    try:
        yield
    finally:
        os.kill(flipper, signal.SIGKILL)
        os.waitpid(flipper, 0)


def _flip(root: Path) -> None:
    for turn in itertools.count():
        for name in ("evil", "real"):
            for old, new in ((name, "link"), ("link", name), ("link", f"aside{turn}")):
                with suppress(OSError):
                    os.rename(root / old, root / new)


def races(folder: Path, count: int, tally: Tally) -> int:
    """How many writes went through, over so many races; none leads out."""
    root, outside = folder / "root", folder / "outside"
    through = 0
    with flipping(root, outside):
        for _ in range(count):
            with tally.case(), suppress(FileTrouble):
                write_inside(root, "link/x", b"new")
                through += 1
    assert os.listdir(outside) == []
    return through


def test_a_link_flipped_during_the_write_leads_nowhere(tmp_path: Path):
    assert races(tmp_path, 10_000, Tally()) > 0


@pytest.mark.prove
@pytest.mark.promised("R21", of="flipped links")
def test_a_link_flipped_ten_thousand_times_leads_nowhere(tmp_path: Path, soak: Tally):
    assert races(tmp_path, scaled(10_000), soak) > 0


def test_a_check_before_the_write_is_outrun(tmp_path: Path):
    """The negative control: look first, write then."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    with flipping(root, outside):
        for _ in range(200_000):
            with suppress(OSError, FileTrouble):
                safe_join(root, "link/x").write_bytes(b"new")
            if os.listdir(outside):
                break
    assert os.listdir(outside) == ["x"]


def test_a_module_replaces_a_link_and_spares_its_target(root: Path):
    outside = root.parent / "outside"
    spec = root.parent / "net.arch"
    spec.write_text(
        "network Net() {\n    input image: [3, 8, 8]\n    output: [10] = image -> flatten -> linear(10)\n}\n"
    )
    (root / "net.py").symlink_to(outside / "mine")
    assert commands.compile_([str(spec)], commands.request(None, None, None), str(root), check=False) == 0
    assert (outside / "mine").read_text() == "mine"
    assert not (root / "net.py").is_symlink()


@pytest.mark.parametrize("ending", ["", ".new", ".old"])
def test_a_checkpoint_is_not_written_through_a_link(root: Path, ending: str):
    """A link that has a checkpoint's name goes; what it leads to stays."""
    outside = root.parent / "outside"
    before = everything(outside)
    (root / f"step-00000007{ending}").symlink_to(outside)
    taken = checkpoint.Checkpoint(7, {"w": torch.ones(3)}, {}, {})
    checkpoint.save(root, taken)
    checkpoint.prune(root, 2, best=None)
    assert everything(outside) == before
    assert checkpoint.load(root / "step-00000007").step == 7
    assert not (root / "step-00000007").is_symlink()

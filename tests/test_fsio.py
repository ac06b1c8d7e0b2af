"""Files are written whole or not at all; odd files are refused before they are read.

What is promised of crashes, failing calls, hostile names and several writers: `promises/test_r19` to `test_r22`.
"""

from __future__ import annotations

import ast
import errno
import fcntl
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from archdsl import fsio
from archdsl.fsio import FileTrouble, TooLarge, lock, read_limited, safe_join, write_atomic, write_inside
from archdsl.train.provisional import provisional

PACKAGE = Path(fsio.__file__).parent
OLD, NEW = b"old" * 1000, b"new" * 2000
CALLS = ("open", "write", "fsync", "replace", "close", "listdir", "fstatvfs", "stat")
ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.EACCES)


def temporaries(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.startswith(".archdsl-")]


def at_call(number: int, act: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make `act` happen just before the `number`-th system call of fsio; gives the calls seen."""
    seen: list[str] = []

    def hooked(name: str) -> Callable[..., object]:
        real = getattr(os, name)

        def call(*args: object, **kwargs: object) -> object:
            seen.append(name)
            if len(seen) == number:
                act()
            return real(*args, **kwargs)

        return call

    for name in CALLS:
        monkeypatch.setattr(os, name, hooked(name))
    return seen


def count_calls(path: Path) -> int:
    with pytest.MonkeyPatch.context() as patch:
        seen = at_call(0, lambda: None, patch)
        write_atomic(path, NEW)
    return len(seen)


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    for data in (b"", OLD, NEW):
        write_atomic(path, data)
        assert path.read_bytes() == data
    assert os.listdir(tmp_path) == ["a.py"]


@pytest.mark.parametrize("code", ERRORS)
def test_any_failing_call_leaves_a_whole_file_and_no_other(tmp_path: Path, code: int) -> None:
    path = tmp_path / "a.py"
    for number in range(1, count_calls(path) + 1):
        path.write_bytes(OLD)
        with pytest.MonkeyPatch.context() as patch:
            at_call(number, lambda: _raise(OSError(code, os.strerror(code))), patch)
            with pytest.raises(FileTrouble) as trouble:
                write_atomic(path, NEW)
        assert "\n" not in str(trouble.value)
        assert str(path) in str(trouble.value)
        assert os.strerror(code) in str(trouble.value)
        assert path.read_bytes() in (OLD, NEW)
        assert temporaries(tmp_path) == []


def _raise(error: Exception) -> None:
    raise error


def test_death_at_any_call_leaves_a_whole_file_and_the_next_writer_cleans_up(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    for number in range(1, count_calls(path) + 1):
        path.write_bytes(OLD)
        child = os.fork()
        if child == 0:
            at_call(number, lambda: os.kill(os.getpid(), signal.SIGKILL), pytest.MonkeyPatch())
            write_atomic(path, NEW)
            os._exit(0)
        os.waitpid(child, 0)
        assert path.read_bytes() in (OLD, NEW)
        write_atomic(path, NEW)
        assert temporaries(tmp_path) == []


def test_a_living_writers_temporary_file_is_left_alone(tmp_path: Path) -> None:
    name = tmp_path / ".archdsl-0123456789abcdef.tmp"
    with name.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        write_atomic(tmp_path / "a", NEW)
        assert name.exists()
    write_atomic(tmp_path / "a", NEW)
    assert not name.exists()


def test_no_space_is_found_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = os.statvfs_result((4096, 4096, 10, 1, 1, 10, 10, 10, 0, 255))
    monkeypatch.setattr(os, "fstatvfs", lambda _: full)
    with pytest.raises(FileTrouble, match="no space left: 6,000 bytes to write, 4,096 free"):
        write_atomic(tmp_path / "a", NEW)


def test_a_link_is_replaced_and_its_target_spared(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(OLD)
    link.symlink_to(target)
    write_atomic(link, NEW)
    assert (link.read_bytes(), target.read_bytes(), link.is_symlink()) == (NEW, OLD, False)


def test_devices_and_directories_are_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/null"), tmp_path / "pipe", tmp_path):
        with pytest.raises(FileTrouble, match="it is a "):
            write_atomic(path, NEW)


def test_names_inside_the_folder_are_fine(tmp_path: Path) -> None:
    assert safe_join(tmp_path, "a/b.py") == tmp_path / "a" / "b.py"
    write_inside(tmp_path, "a/b/c.py", NEW)
    assert (tmp_path / "a" / "b" / "c.py").read_bytes() == NEW


def odd_files(folder: Path) -> list[Path]:
    os.mkfifo(folder / "pipe")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(folder / "socket"))
    server.close()
    with (folder / "huge").open("wb") as huge:
        huge.truncate(1 << 30)
    names = ("pipe", "socket", "huge", "missing", "a\0b")
    return [*(folder / name for name in names), folder, Path("/dev/zero"), Path("/dev/tty"), Path("/dev/stdin")]


def test_odd_files_are_refused_at_once(tmp_path: Path) -> None:
    for path in odd_files(tmp_path):
        began = time.monotonic()
        with pytest.raises(FileTrouble) as trouble:
            read_limited(path, 1000)
        assert time.monotonic() - began < 0.2
        assert "\n" not in str(trouble.value)


@pytest.mark.parametrize(("size", "fits"), [(0, True), (999, True), (1000, True), (1001, False), (5000, False)])
def test_the_limit_is_exact(tmp_path: Path, size: int, fits: bool) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * size)
    if fits:
        assert len(read_limited(path, 1000)) == size
    else:
        with pytest.raises(TooLarge, match="limit of 1,000 bytes"):
            read_limited(path, 1000)


def test_a_path_cannot_forge_a_second_line(tmp_path: Path) -> None:
    with pytest.raises(FileTrouble) as trouble:
        read_limited(tmp_path / "a\nb\x1b[31m\u202e", 10)
    assert str(trouble.value).endswith(r"a\u{a}b\u{1b}[31m\u{202e}: No such file or directory")


def test_a_lock_is_held_by_one_and_says_by_whom(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock(path), pytest.raises(FileTrouble, match=f"process {os.getpid()} is using it"), lock(path):
        pass
    with lock(path):
        pass


def test_a_lock_goes_with_its_process_even_if_it_has_children(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    ready, tell = os.pipe()
    parent = os.fork()
    if parent == 0:
        with lock(path):
            if os.fork() == 0:
                os.setsid()
                time.sleep(2)
                os._exit(0)
            os.write(tell, b"x")
            time.sleep(30)
    os.read(ready, 1)
    with pytest.raises(FileTrouble), lock(path):
        pass
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    with lock(path):
        pass


def _opens_for_writing(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    if name.endswith((".write_text", ".write_bytes", ".touch", ".symlink_to", ".hardlink_to", ".rename")):
        return True
    if name.startswith(("os.open", "os.replace", "os.rename", "os.link", "os.symlink", "tempfile.")):
        return not (name == "os.open" and ast.unparse(call.args[0]) == "os.devnull")
    if name.startswith(("shutil.copy", "shutil.move")) or name in ("torch.save", "np.save", "numpy.save", "save_file"):
        return True
    modes = [ast.unparse(argument) for argument in call.args[1:2]] + [ast.unparse(k.value) for k in call.keywords]
    return name == "open" and "'rb'" not in modes


def test_nothing_else_opens_files_for_writing() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {ast.unparse(node)}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "fsio.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _opens_for_writing(node)
    ]
    assert found == []


def test_a_provisional_folder_goes_with_what_failed_and_nothing_else_does(tmp_path: Path) -> None:
    def fail(folder: Path, *names: str) -> None:
        with suppress(KeyError), provisional(folder, ("a", "b"), "kept"):
            for name in names:
                (folder / name).touch()
            raise KeyError

    new = tmp_path / "runs" / "net-1"
    fail(new, "a")
    assert not (tmp_path / "runs").exists()
    fail(new, "a", "kept")
    assert sorted(os.listdir(new)) == ["a", "kept"]
    fail(tmp_path / "runs" / "net-2", "a", "of another")
    assert os.listdir(tmp_path / "runs" / "net-2") == ["of another"]
    (tmp_path / "old").mkdir()
    fail(tmp_path / "old", "a")
    assert os.listdir(tmp_path / "old") == ["a"]
    with provisional(tmp_path / "fine" / "too", ("a",), "kept"):
        pass
    assert (tmp_path / "fine" / "too").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(FileTrouble, match="cannot make directory"), provisional(tmp_path / "file", (), "kept"):
        pass

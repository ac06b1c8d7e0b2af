"""The one door to the file system: nothing else in archdsl opens a file for writing (a test reads every module for it).

A file is written whole or not at all. The bytes go to a temporary file in the same directory, are forced to the
disk, and only then take the name, so that a crash at any call leaves the old file or the new one. The writer holds a
lock on its temporary file; one that nobody holds belongs to a process that died, and the next writer removes it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import stat
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from archdsl.visible import visible

_TEMPORARY = re.compile(r"\.archdsl-[0-9a-f]{16}\.tmp")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SPARE = 1.1  # a file system close to full fails late and slowly: ask for a tenth more than the file needs
_KINDS = {
    stat.S_IFDIR: "it is a directory",
    stat.S_IFIFO: "it is a pipe, not a file",
    stat.S_IFSOCK: "it is a socket, not a file",
    stat.S_IFCHR: "it is a device, not a file",
    stat.S_IFBLK: "it is a device, not a file",
}


class FileTrouble(Exception):
    """A file could not be used: which, for what, why. `str` gives one line, safe to print."""

    def __init__(self, path: Path, action: str, cause: str) -> None:
        super().__init__(path, action, cause)
        self.path = path
        self.action = action
        self.cause = cause

    def __str__(self) -> str:
        return visible(f"cannot {self.action} {self.path}: {self.cause}")


class TooLarge(FileTrouble):
    """More than archdsl reads: a file's bytes, or the files that one command names."""

    def __init__(self, path: Path, limit: int, unit: str = "bytes") -> None:
        super().__init__(path, "read", f"over the limit of {limit:,} {unit}")
        self.limit = limit


def write_atomic(path: Path, data: bytes) -> None:
    """Make `path` a file with exactly `data`; on any failure the old file stays as it was.

    A symbolic link at `path` is replaced, not followed.
    """
    with _told(path, "write"):
        directory = os.open(path.parent, _DIRECTORY)
        with _closing(directory):
            _write_in(directory, path, data)


def write_inside(root: Path, relative: str, data: bytes) -> None:
    """Write `relative` below the existing directory `root`, whatever anybody does to the links on the way.

    Missing directories are made. Each step is opened from the one before and never through a symbolic link, so a
    link that is swapped in while this runs is refused as well.
    """
    path = root / relative
    steps = _steps(root, relative)
    with _told(path, "write"):
        directory = os.open(root, _DIRECTORY)
        for step in steps[:-1]:
            directory = _step_down(directory, step)
        with _closing(directory):
            _write_in(directory, path, data)


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Make `path` a folder with exactly these files; refused where something is there that is not an empty folder.

    It is filled under another name: until it is whole, there is nothing at `path`.
    """
    temporary = path.with_name(f".archdsl-{os.urandom(8).hex()}")
    with _told(path, "write"):
        temporary.mkdir()
        try:
            for name, data in files.items():
                write_inside(temporary, name, data)
            os.rename(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


@contextmanager
def scratch() -> Generator[Path]:
    """A folder for files that nobody keeps; it is gone when this ends."""
    with TemporaryDirectory(prefix="archdsl-") as name:
        yield Path(name)


def read_limited(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes.

    Directories, pipes, sockets and devices are refused unread; more than `limit` bytes is `TooLarge`.
    """
    with _told(path, "read"):
        _refuse_odd(path, "read", os.stat(path))
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with _closing(file):
            status = os.fstat(file)
            _refuse_odd(path, "read", status)
            data = b"" if status.st_size > limit else _read_up_to(file, limit + 1)
    if status.st_size > limit or len(data) > limit:
        raise TooLarge(path, limit)
    return data


class Growing:
    """A file that is added to, perhaps by one process after another, until it is whole: see `growing`."""

    def __init__(self, path: Path, file: int) -> None:
        self.path = path
        self._file = file

    @property
    def size(self) -> int:
        """Bytes so far."""
        return os.fstat(self._file).st_size

    def fileno(self) -> int:
        """The open file, for a process to add to."""
        return self._file

    def append(self, data: bytes) -> None:
        """Add `data` at the end."""
        with _told(self.path, "write"):
            _write_all(self._file, data)

    def restart(self) -> None:
        """Forget what is there."""
        with _told(self.path, "write"):
            os.ftruncate(self._file, 0)

    def pieces(self) -> Iterator[bytes]:
        """What is there, a megabyte at a time."""
        for at in range(0, self.size, 1 << 20):
            yield os.pread(self._file, 1 << 20, at)

    def finish(self, name: str) -> None:
        """It is whole: it takes `name` in its directory, on the disk before it does."""
        with _told(self.path, "write"):
            os.fsync(self._file)
            os.replace(self.path, self.path.with_name(name))
            directory = os.open(self.path.parent, _DIRECTORY)
            with _closing(directory):
                _sync_directory(directory)

    def discard(self) -> None:
        """Remove it."""
        with _told(self.path, "remove"):
            os.unlink(self.path)


@contextmanager
def growing(path: Path, room: int) -> Generator[Growing]:
    """Open `path`, which will grow to `room` bytes, to be added to; it stays as it is when this ends.

    Refused while another process adds to it, and where `room` is more than is free.
    """
    with _told(path, "write"):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        with _told(path, "write"):
            status = os.fstat(file)
            _refuse_odd(path, "write", status)
            if not _lock_now(file):
                raise FileTrouble(path, "write", "another process is writing it")
            _refuse_full(file, path, room - status.st_size)
        yield Growing(path, file)
    finally:
        with _told(path, "write"):
            os.close(file)


def make_directory(path: Path) -> None:
    """Make `path` a directory, with its parents, unless it is one."""
    with _told(path, "make directory"):
        path.mkdir(parents=True, exist_ok=True)


def listed(folder: Path) -> list[Path]:
    """What is in a directory, by name; nothing where there is no such directory."""
    with _told(folder, "read"):
        return sorted(folder.iterdir()) if folder.is_dir() else []


def move(source: Path, target: Path) -> None:
    """Give the directory `source` the free name `target` beside it, on the disk when this returns."""
    with _told(target, "write"):
        directory = os.open(target.parent, _DIRECTORY)
        with _closing(directory):
            os.rename(source.name, target.name, src_dir_fd=directory, dst_dir_fd=directory)
            _sync_directory(directory)


def safe_join(root: Path, relative: str) -> Path:
    """`root / relative`, refused unless it stays inside `root`: no absolute path, no `..`, no link that leads out."""
    path = root.joinpath(*_steps(root, relative))
    with _told(path, "use"):
        inside = Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(root))
    if not inside:
        raise FileTrouble(path, "use", f"it leads out of {root}")
    return path


@contextmanager
def lock(path: Path) -> Generator[None]:
    """Hold `path` as a lock file, alone; refused at once where another process holds it.

    The kernel lets go when the process ends, however it ends. A forked child does not keep the lock.
    """
    with _told(path, "lock"):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        _take(file, path)
        _held.add(file)
        yield
    finally:
        _held.discard(file)
        with _told(path, "lock"):
            os.close(file)


_held: set[int] = set()


def _let_go_in_child() -> None:
    for file in _held:
        os.close(file)  # closing does not unlock: the parent's descriptor still holds the lock
    _held.clear()


os.register_at_fork(after_in_child=_let_go_in_child)


def _take(file: int, path: Path) -> None:
    with _told(path, "lock"):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 20, 0).decode("ascii", "replace").strip()
            raise FileTrouble(path, "lock", f"process {holder or 'unknown'} is using it") from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)


@contextmanager
def _told(path: Path, action: str) -> Generator[None]:
    """Turn whatever the operating system says into a `FileTrouble` for `path`."""
    try:
        yield
    except OSError as error:
        raise FileTrouble(path, action, error.strerror or type(error).__name__) from error
    except ValueError as error:  # a NUL in the name
        raise FileTrouble(path, action, str(error)) from error


@contextmanager
def _closing(file: int) -> Generator[None]:
    try:
        yield
    finally:
        os.close(file)


def _steps(root: Path, relative: str) -> tuple[str, ...]:
    steps = PurePosixPath(relative).parts
    if not steps or relative.startswith(("/", "\\")) or any(part == ".." or "\0" in part for part in steps):
        raise FileTrouble(root / relative.lstrip("/\\"), "use", f"{relative!r} is not a name below {root}")
    return steps


def _step_down(directory: int, name: str) -> int:
    """Open `name` in `directory`, made if need be, and close `directory`."""
    with _closing(directory):
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=directory)
        return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)


def _refuse_odd(path: Path, action: str, status: os.stat_result) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise FileTrouble(path, action, _KINDS.get(kind, "it is not a regular file"))


def _read_up_to(file: int, count: int) -> bytes:
    parts: list[bytes] = []
    while count > 0 and (part := os.read(file, min(count, 1 << 20))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _write_in(directory: int, path: Path, data: bytes) -> None:
    _refuse_target(directory, path)
    _sweep(directory)
    _refuse_full(directory, path, len(data))
    temporary, file = _create(directory)
    try:
        with _closing(file):
            _write_all(file, data)
            os.fsync(file)
            os.replace(temporary, path.name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise
    _sync_directory(directory)


def _refuse_target(directory: int, path: Path) -> None:
    """Only a file or a link may be replaced: never a device that happens to have the name."""
    try:
        status = os.stat(path.name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISLNK(status.st_mode):
        _refuse_odd(path, "write", status)


def _refuse_full(directory: int, path: Path, size: int) -> None:
    room = os.fstatvfs(directory)
    free = room.f_bavail * room.f_frsize
    if free < size * _SPARE:
        raise FileTrouble(path, "write", f"no space left: {size:,} bytes to write, {free:,} free")


def _create(directory: int) -> tuple[str, int]:
    """A new temporary file, locked by us; a sweeper that came in between makes us try again."""
    while True:
        name = f".archdsl-{os.urandom(8).hex()}.tmp"
        file = os.open(name, _CREATE, 0o666, dir_fd=directory)
        try:
            if _lock_now(file) and os.fstat(file).st_nlink:
                return name, file
        except BaseException:
            os.unlink(name, dir_fd=directory)
            os.close(file)
            raise
        os.close(file)


def _lock_now(file: int) -> bool:
    """Whether we got the lock; where a file system has no locks, nobody sweeps and so nobody needs one."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _sweep(directory: int) -> None:
    """Remove temporary files whose writers are dead."""
    for name in os.listdir(directory):
        if _TEMPORARY.fullmatch(name):
            with suppress(OSError):
                _sweep_one(directory, name)


def _sweep_one(directory: int, name: str) -> None:
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    with _closing(file):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=directory)


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _sync_directory(directory: int) -> None:
    try:
        os.fsync(directory)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems cannot sync a directory, and need not
            raise

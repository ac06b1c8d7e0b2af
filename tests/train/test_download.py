"""Downloads are whole or absent, go on from where they were cut, and say what is wrong with the server."""

from __future__ import annotations

import hashlib
import io
import socket
import tarfile
from collections.abc import Generator
from pathlib import Path

import pytest
import serving
from harness import go, job
from serving import DATA, Act
from test_idx import contents

from archdsl.fsio import FileTrouble, growing
from archdsl.train.data import Request, download, forms, idx, load, sources
from archdsl.train.data.download import fetch, fetch_set
from archdsl.train.data.files import file_in, find
from archdsl.train.data.forms import Form
from archdsl.train.data.pictures import Frame
from archdsl.train.data.sources import SOURCES, Source
from archdsl.train.trouble import DataTrouble

MD5 = hashlib.md5(DATA).hexdigest()


def source(address: str, **changes: object) -> Source:
    given = {"url": f"{address}/file.bin", "size": len(DATA), "digest": f"md5:{MD5}", **changes}
    return Source(**given)  # type: ignore[arg-type]


def got(tmp_path: Path, *acts: Act, **changes: object) -> tuple[bytes, list[int], list[str]]:
    """The file, where each request began, and what was said."""
    said: list[str] = []
    with serving.serving(*acts) as (address, asked):
        fetch(source(address, **changes), tmp_path / "file.bin", said.append, patience=0.5)
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]
    return (tmp_path / "file.bin").read_bytes(), [start for _, start in asked], said


def test_a_file_is_fetched(tmp_path: Path):
    data, starts, said = got(tmp_path, serving.whole)
    assert (data, starts) == (DATA, [0])
    assert said[0].endswith("/file.bin, 256,000 bytes")


@pytest.mark.parametrize("cuts", [(1,), (100_000,), (100_000, 100_000, 200_000), (255_999,)])
def test_a_cut_connection_goes_on_from_there(tmp_path: Path, cuts: tuple[int, ...]):
    data, starts, _ = got(tmp_path, *(serving.cut(at) for at in cuts), serving.whole)
    assert (data, starts) == (DATA, [0, *cuts])


def test_a_server_without_ranges_begins_anew(tmp_path: Path):
    data, starts, _ = got(tmp_path, serving.cut(100_000), serving.without_ranges)
    assert (data, starts) == (DATA, [0, 100_000])


def test_a_length_that_is_not_announced(tmp_path: Path):
    assert got(tmp_path, serving.unannounced(DATA))[0] == DATA


def test_a_later_attempt_goes_on(tmp_path: Path):
    with pytest.raises(DataTrouble, match="100,000 of 256,000 bytes are here, the next --download goes on from there"):
        got(tmp_path, serving.cut(100_000))
    assert (tmp_path / "file.bin.part").stat().st_size == 100_000
    data, starts, said = got(tmp_path, serving.whole)
    assert (data, starts) == (DATA, [100_000])
    assert said[0].endswith("256,000 bytes, 100,000 of them here")


def test_a_redirect_is_followed(tmp_path: Path):
    data, _, _ = got(tmp_path, serving.to(lambda _: "/elsewhere"), serving.whole)
    assert data == DATA


def round_and_round(handler: serving.Handler) -> str:
    return f"/{len(handler.asked)}"


REFUSED: dict[str, tuple[Act, str]] = {
    "wrong digest": (serving.of(DATA[:-1] + b"x"), f"md5 expected {MD5}, found [0-9a-f]{{32}}; nothing was kept"),
    "too short": (serving.of(DATA[:-1]), "expected 256,000 bytes, the server has 255,999"),
    "too long": (serving.of(DATA + b"x"), "expected 256,000 bytes, the server has 256,001"),
    "too long, unannounced": (
        serving.unannounced(DATA + b"x" * 70_000),
        "expected 256,000 bytes, the server sends more",
    ),
    "another part": (serving.another_part, "answers with another part"),
    "not there": (serving.status(404), "the server says 404 Not Found"),
    "no partial content": (serving.status(416), "the server says 416"),
    "broken": (serving.status(500), "the server says 500"),
    "redirected for ever": (serving.to(round_and_round), "the server says 302"),
    "redirected to a file": (
        serving.to(lambda _: "file:///etc/passwd"),
        "Redirection to url 'file:///etc/passwd' is not allowed",
    ),
    "redirected to ftp": (serving.to(lambda _: "ftp://127.0.0.1/x"), "sent on to ftp://127.0.0.1/x, which is not"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_right_is_refused_and_nothing_is_kept(tmp_path: Path, name: str):
    act, message = REFUSED[name]
    with pytest.raises(DataTrouble, match=message):
        got(tmp_path, act)
    assert [path.stat().st_size for path in tmp_path.iterdir() if path.name != "file.bin.part"] == []
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 0


def test_a_protected_connection_is_not_left():
    redirects = download._Redirects()
    with pytest.raises(DataTrouble, match="sent on to http://a/b, which is not followed"):
        redirects.redirect_request(download.Request("https://a/b"), io.BytesIO(), 302, "", {}, "http://a/b")  # type: ignore[arg-type]


POOR = {
    "silent": (serving.silent, "timed out; 0 of 256,000 bytes are here"),
    "stalling": (serving.stalling, "timed out; 128,000 of 256,000 bytes are here"),
    "dripping": (serving.dripping, "slower than 1,000 bytes a second"),
    "babbling": (serving.babble, "hello; 0 of 256,000 bytes are here"),
}


@pytest.mark.parametrize("name", POOR)
def test_a_poor_server_is_given_up(tmp_path: Path, name: str):
    act, message = POOR[name]
    with pytest.raises(DataTrouble, match=message):
        got(tmp_path, act)
    assert not (tmp_path / "file.bin").exists()


def test_no_server_at_all(tmp_path: Path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(DataTrouble, match="Connection refused; 0 of 256,000 bytes are here"):
            fetch(source(address), tmp_path / "file.bin", str, patience=0.5)


def test_two_downloads_do_not_mix(tmp_path: Path):
    with growing(tmp_path / "file.bin.part", 10), pytest.raises(FileTrouble, match="another process is writing it"):
        got(tmp_path, serving.whole)


def test_a_full_disk_is_said_before(tmp_path: Path):
    with pytest.raises(FileTrouble, match="no space left"):
        got(tmp_path, serving.whole, size=10**18)


def test_a_link_is_not_followed(tmp_path: Path):
    (tmp_path / "file.bin.part").symlink_to(tmp_path / "victim")
    with pytest.raises(FileTrouble):
        got(tmp_path, serving.whole)
    assert not (tmp_path / "victim").exists()


# --- whole sets


def test_every_set_with_known_files_has_a_source():
    assert set(SOURCES) == {"cifar10", "cifar100", "mnist", "fashion-mnist", "svhn", "svhn-train"}
    for sets in SOURCES.values():
        assert all(len(source.digest) == len("md5:") + 32 and source.size > 1000 for source in sets)


def test_a_set_of_single_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As the command does it: what is there already is left alone, and the run starts with what came."""
    files = contents(200)

    def serve(handler: serving.Handler) -> None:
        serving.whole(handler, files[handler.path.removeprefix("/")])

    with serving.serving(serve) as (address, asked):
        made = [Source(f"{address}/{n}", len(d), f"md5:{hashlib.md5(d).hexdigest()}") for n, d in files.items()]
        monkeypatch.setitem(sources.SOURCES, "mnist", tuple(made))
        monkeypatch.setitem(idx.DIGESTS, "mnist", {s.file: s.digest for s in made})
        for _ in range(2):
            options = {"data": "mnist", "data_dir": tmp_path, "download": True, "dry_run": True, "report": False}
            code, text = go(tmp_path / f"run-{len(asked)}", job(module=GREY), **options)
            assert code == 0, text
    assert [path for path, _ in asked] == [f"/{name}" for name in files]
    assert sorted(path.name for path in (tmp_path / "mnist").iterdir()) == sorted(files)


GREY = """import torch
from torch import nn


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1024, 10)

    def forward(self, x):
        return self.linear(x.flatten(1))
"""


def tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


PACKED = {"few/train": b"t" * 5000, "few/test": b"s" * 500, "few/meta": b"m", "few/readme.html": b"not wanted"}
WANTED = {name: data for name, data in PACKED.items() if not name.endswith(".html")}
ARCHIVE = tar(PACKED)


@pytest.fixture
def packed_set(monkeypatch: pytest.MonkeyPatch) -> Generator[list[tuple[str, int]]]:
    """cifar10 is a small archive, or a binary form that cannot be fetched; gives the requests that were made."""
    python, binary = Form("few", ("train",), ("test",), "meta"), Form("few-bin", ("train.bin",), ("test.bin",), "names")
    monkeypatch.setitem(forms.FORMS, "cifar10", {"python": python, "binary": binary})
    with serving.serving(serving.of(ARCHIVE)) as (address, asked):
        digest = f"md5:{hashlib.md5(ARCHIVE).hexdigest()}"
        made = Source(f"{address}/few.tar.gz", len(ARCHIVE), digest, python)
        monkeypatch.setitem(sources.SOURCES, "cifar10", (made,))
        yield asked


def below(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_a_set_in_an_archive(tmp_path: Path, packed_set: list[object]):
    for _ in range(2):
        fetch_set("cifar10", tmp_path, str)
    assert len(packed_set) == 1, "what is there is not fetched again"
    assert below(tmp_path) == WANTED


@pytest.mark.parametrize("lost", list(WANTED))
def test_a_folder_that_lacks_a_file_is_filled_up(tmp_path: Path, packed_set: list[object], lost: str):
    """As after a kill while it was unpacked. What is there stays as it is."""
    fetch_set("cifar10", tmp_path, str)
    (tmp_path / lost).unlink()
    kept = next(name for name in WANTED if name != lost)
    (tmp_path / kept).write_bytes(b"mine")
    fetch_set("cifar10", tmp_path, str)
    assert below(tmp_path) == {**WANTED, kept: b"mine"}


def test_an_archive_that_is_there_is_unpacked_and_stays(tmp_path: Path, packed_set: list[object]):
    (tmp_path / "few.tar.gz").write_bytes(ARCHIVE)
    with pytest.raises(DataTrouble, match=r"expected a folder few/ or few-bin/; --download unpacks few.tar.gz"):
        find(Request(tmp_path), "cifar10")
    fetch_set("cifar10", tmp_path, str)
    assert packed_set == []
    assert below(tmp_path) == {**WANTED, "few.tar.gz": ARCHIVE}


def test_an_archive_of_another_content_is_fetched_again(tmp_path: Path, packed_set: list[object]):
    (tmp_path / "few.tar.gz").write_bytes(ARCHIVE[:-1] + b"x")
    fetch_set("cifar10", tmp_path, str)
    assert len(packed_set) == 1
    assert below(tmp_path) == WANTED


def test_a_binary_form_is_enough(tmp_path: Path, packed_set: list[object]):
    (tmp_path / "few").mkdir()
    (tmp_path / "few-bin").mkdir()
    for name in ("train.bin", "test.bin", "names"):
        (tmp_path / "few-bin" / name).touch()
    fetch_set("cifar10", tmp_path, str)
    assert packed_set == []
    assert find(Request(tmp_path), "cifar10")[1] == tmp_path / "few-bin"


@pytest.mark.parametrize("given", ["few", ".", "link"])
def test_the_folder_itself_may_be_given(
    tmp_path: Path, packed_set: list[object], given: str, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "few").mkdir()
    (tmp_path / "link").symlink_to("few")
    monkeypatch.chdir(tmp_path / "few" if given == "." else tmp_path)
    for _ in range(2):
        fetch_set("cifar10", Path(given), str)
        assert len(packed_set) == 1
        assert find(Request(Path(given)), "cifar10")[1] == Path(given)
    assert below(tmp_path / "few") == {name.removeprefix("few/"): data for name, data in WANTED.items()}


def test_what_lacks_a_file_says_so_and_how_to_get_it(tmp_path: Path, packed_set: list[object]):
    fetch_set("cifar10", tmp_path, str)
    (tmp_path / "few/test").unlink()
    with pytest.raises(DataTrouble, match="few: expected test in it; --download fetches what is missing"):
        find(Request(tmp_path), "cifar10")


@pytest.mark.parametrize("name", ["svhn", "svhn-train", "mnist"])
@pytest.mark.parametrize("where", ["", "{name}/"])
def test_what_is_fetched_is_found_and_what_is_found_is_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, where: str
):
    """The reader looks for each file where it is put, whether or not others lie elsewhere."""
    kept, *lost = SOURCES[name]
    path = tmp_path / where.format(name=name) / kept.file
    path.parent.mkdir(exist_ok=True)
    path.touch()
    fetched: list[str] = []

    def instead(source: Source, target: Path, _note: object) -> None:
        fetched.append(source.file)
        target.parent.mkdir(exist_ok=True)
        target.touch()

    monkeypatch.setattr(download, "fetch", instead)
    for _ in range(2):
        fetch_set(name, tmp_path, str)
    assert fetched == [source.file for source in lost]
    assert all(file_in(Request(tmp_path), name, source.file).exists() for source in SOURCES[name])


@pytest.mark.parametrize("name", ["cifar10", "svhn", "mnist", "folder"])
def test_a_directory_that_cannot_be_looked_into_is_named(name: str):
    long = Path("x" * 300)
    with pytest.raises(DataTrouble, match=r"cannot read x+.*: File name too long"):
        load(name, Request(long, frame=Frame(3, 8, 8)))
    if name in SOURCES:
        with pytest.raises(DataTrouble, match=r"cannot read x+.*: File name too long"):
            fetch_set(name, long, str)


def test_a_directory_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Root may read everything, so the system's answer is made up."""

    def refused(path: Path, **_: object) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refused)
    with pytest.raises(DataTrouble, match=f"cannot read {tmp_path}.*: Permission denied"):
        load("cifar10", Request(tmp_path))


def test_a_set_without_a_source_is_said(tmp_path: Path):
    with pytest.raises(DataTrouble, match="folder cannot be downloaded; there is cifar10, cifar100, fashion-mnist"):
        fetch_set("folder", tmp_path, str)

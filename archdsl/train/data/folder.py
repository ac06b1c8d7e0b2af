"""Pictures in folders: DIR/train/CLASS/*, and DIR/test/CLASS/* or DIR/val/CLASS/*, of any size and many formats.

They are read as they are needed, by workers, each brought to one size; a network is judged by the same view.
"""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import torch
from torch import Tensor

from archdsl.train.data.files import directory
from archdsl.train.data.images import Images, Request, Split, Taken
from archdsl.train.data.pictures import CHANNELS, SUFFIXES, Frame
from archdsl.train.data.workers import Team, stream
from archdsl.train.trouble import DataTrouble, Misfit
from archdsl.visible import visible

MOST_PICTURES = 20_000_000
SAMPLE = 10_000  # pictures that normalisation is fitted to: means over more are the same, and take hours


def folder(request: Request) -> Images:
    """The classes are the names of the sub-folders, in the order of the alphabet."""
    root = directory(request, "folder")
    frame = _frame(request)
    parts = [_part(root, names) for names in (("train",), ("test", "val"))]
    classes, others = ([path.name for path in sorted(_folders(part))] for part in parts)
    _check_classes(parts, classes, others)
    train, test = (_split(part, classes, request, frame) for part in parts)
    digest = _digest(root, [*train.paths, *test.paths])
    name = visible(os.path.basename(os.path.abspath(root)))
    return Images(f"folder {name}", train, test, tuple(classes), fingerprint=digest)


def _frame(request: Request) -> Frame:
    if request.frame is None:
        raise DataTrouble("folder has pictures of any size, and the network does not say which it takes")
    if request.frame.channels not in CHANNELS:
        raise Misfit(f"pictures of a folder have 1 channel or 3, but the network takes {request.frame.channels}")
    return request.frame


def _part(root: Path, names: Sequence[str]) -> Path:
    wanted = " or ".join(f"{name}/" for name in names)
    found = [root / name for name in names if (root / name).is_dir()]
    if not found:
        raise DataTrouble(f"{root}: expected a folder {wanted} with a folder a class")
    if len(found) > 1:
        raise DataTrouble(f"{root}: expected {wanted}, found both; take away the one that is not meant")
    return found[0]


def _check_classes(parts: Sequence[Path], classes: Sequence[str], others: Sequence[str]) -> None:
    for part, names in zip(parts, (classes, others), strict=True):
        odd = next((name for name in names if any("\ud800" <= char <= "\udfff" for char in name)), None)
        if odd is not None:
            raise DataTrouble(f"{part}: expected a class with a name in UTF-8, found {visible(odd)}")
    odd = min(set(classes) ^ set(others), default=None)
    if odd is not None:
        here, there = parts if odd in classes else reversed(parts)
        raise DataTrouble(f"{here} and {there} need the same classes: '{visible(odd)}' is only in {here.name}/")


def _digest(root: Path, paths: Sequence[Path]) -> str:
    """Of the pictures' names below `root` and their sizes in bytes: to read them all would take as long as an epoch."""
    digest = blake2b()
    for path in paths:
        digest.update(b"%s\0%d\0" % (os.fsencode(path.relative_to(root)), path.stat().st_size))
    return digest.hexdigest()


def _folders(part: Path) -> list[Path]:
    entries = list(_entries(part))
    found = [path for path in entries if path.is_dir()]
    stray = next((path for path in entries if path.suffix.lower() in SUFFIXES and not path.is_dir()), None)
    if stray is not None:
        raise DataTrouble(visible(f"{stray}: expected pictures in the folder of a class only, this one is beside them"))
    if not found:
        raise DataTrouble(f"{part}: expected a folder for each class")
    return found


def _entries(place: Path) -> Iterator[Path]:
    """What is not hidden in a folder."""
    try:
        yield from (path for path in place.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataTrouble(f"cannot read {place}: {error.strerror}") from None


def _split(part: Path, classes: Sequence[str], request: Request, frame: Frame) -> Streamed:
    """In an order that mixes the classes, so that a part of it has all of them, and that is the same everywhere."""
    found = [(path, label) for label, name in enumerate(classes) for path in _pictures(part / name)]
    if len(found) > MOST_PICTURES:
        raise DataTrouble(f"{part}: {len(found):,} pictures, over the limit of {MOST_PICTURES:,}")
    found.sort(key=lambda pair: blake2b(os.fsencode(pair[0].relative_to(part))).digest())
    paths = [path for path, _ in found]
    labels = torch.tensor([label for _, label in found])
    return Streamed(paths, labels, frame, Team(request.workers, request.patience), torch.device("cpu"))


def _pictures(place: Path) -> list[Path]:
    found = list(_entries(place))
    odd = next((path for path in found if path.suffix.lower() not in SUFFIXES), None)
    if odd is not None:
        raise DataTrouble(visible(f"{odd}: expected a picture ({', '.join(sorted(SUFFIXES))})"))
    if not found:
        raise DataTrouble(f"{place}: expected pictures of this class")
    return found


@dataclass(frozen=True, eq=False)
class Streamed(Split):
    """Pictures that are read when they are asked for."""

    paths: Sequence[Path]
    labels: Tensor
    frame: Frame
    team: Team
    device: torch.device

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.frame.channels, self.frame.height, self.frame.width

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, index: Tensor) -> Taken:
        (taken,) = replace(self, team=Team(0)).stream([index])
        return taken

    def part(self, start: int, end: int) -> Streamed:
        return replace(self, paths=self.paths[start:end], labels=self.labels[start:end])

    def to(self, device: torch.device) -> Streamed:
        return replace(self, device=device, labels=self.labels.to(device))

    def stream(self, indices: Sequence[Tensor], epoch: int | None = None) -> Generator[Taken]:
        batches: list[list[int]] = [index.tolist() for index in indices]
        pinned = self.device.type == "cuda"  # memory that a GPU copies from while the host goes on
        with closing(stream(self.paths, self.frame, batches, self.team)) as pictures:
            for index, pixels in zip(indices, pictures, strict=True):
                # copied: the workers write the next batch where this one lies
                copied = torch.tensor(pixels, pin_memory=pinned)
                yield copied.to(self.device, non_blocking=pinned), self.labels[index.to(self.device)]

    def sample(self, size: int) -> Generator[Taken]:
        return self.part(0, SAMPLE).in_order(size)

"""Pictures in folders: DIR/train/CLASS/*, and DIR/test/CLASS/* or DIR/val/CLASS/*, of any size and many formats.

They are read as they are needed, by workers, each brought to one size; a network is judged by the same view.
"""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import torch
from torch import Tensor

from archdsl.train.data.files import directory
from archdsl.train.data.images import Images, Request, Split, Taken
from archdsl.train.data.pictures import SUFFIXES, Frame
from archdsl.train.data.workers import Team, stream
from archdsl.train.trouble import DataTrouble

MOST_PICTURES = 20_000_000
SAMPLE = 10_000  # pictures that normalisation is fitted to: means over more are the same, and take hours


def folder(request: Request) -> Images:
    """The classes are the names of the sub-folders, in the order of the alphabet."""
    root = directory(request, "folder")
    if request.frame is None:
        raise DataTrouble("folder has pictures of any size, and the network does not say which it takes")
    parts = [_part(root, names) for names in (("train",), ("test", "val"))]
    classes, others = ([path.name for path in sorted(_folders(part))] for part in parts)
    if classes != others:
        odd = sorted(set(classes) ^ set(others))
        raise DataTrouble(f"{parts[1]}: expected the classes of {parts[0]}; the first that one lacks is {odd[0]!r}")
    train, test = (_split(part, classes, request, request.frame) for part in parts)
    digest = blake2b("\0".join(str(p) for s in (train, test) for p in s.paths).encode()).hexdigest()
    return Images(f"folder {root.name}", train, test, tuple(classes), fingerprint=digest)


def _part(root: Path, names: Sequence[str]) -> Path:
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise DataTrouble(f"{root}: expected a folder {' or '.join(f'{name}/' for name in names)} with a folder a class")


def _folders(part: Path) -> list[Path]:
    found = [path for path in _entries(part) if path.is_dir()]
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
    found.sort(key=lambda pair: blake2b(str(pair[0].relative_to(part)).encode()).digest())
    paths = [path for path, _ in found]
    labels = torch.tensor([label for _, label in found])
    return Streamed(paths, labels, frame, Team(request.workers, request.patience), torch.device("cpu"))


def _pictures(place: Path) -> list[Path]:
    found = list(_entries(place))
    odd = next((path for path in found if path.suffix.lower() not in SUFFIXES), None)
    if odd is not None:
        raise DataTrouble(f"{odd}: expected a picture ({', '.join(sorted(SUFFIXES))})")
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

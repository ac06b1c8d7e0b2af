"""A run folder, read back: what was trained, on what, and how it went. No torch in here.

Who writes which file: `folder.py`. Who checks a checkpoint: `checkpoint.py`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from archdsl.fsio import FileTrouble, read_limited
from archdsl.recipe import Recipe
from archdsl.train import verdict
from archdsl.train.job import Chosen, TrainConfig
from archdsl.train.progress import Row
from archdsl.train.trouble import TrainTrouble

T = TypeVar("T")

SPEC = "spec.arch"
SOURCES = "sources"
MODEL = "model.py"
RECIPE = "recipe.json"
CONFIG = "config.json"
NETWORK = "network.json"
PLAN = "plan.json"
ENVIRONMENT = "environment.json"
NORMALIZATION = "normalization.safetensors"
METRICS = "metrics.csv"
REPORT = "report.md"
_LARGEST = 1 << 26


@dataclass(frozen=True)
class Network:
    """Which class of `model.py` was trained, and what is known of it."""

    name: str
    """As the run is called, e.g. `resnet-20`."""
    network: str
    image: tuple[int, ...] | None = None
    """What it takes: channels, height, width."""
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    parameters: int | None = None
    macs: int | None = None
    claims: Mapping[str, float] = field(default_factory=dict[str, float])
    """The paper's test error by data set, as a share."""
    chosen: Chosen = field(default_factory=Chosen)

    @property
    def title(self) -> str:
        """As a person calls it."""
        return self.chosen.said(self.name)


@dataclass(frozen=True)
class Plan:
    """What was known before the first step."""

    data: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    """Channels, height, width of an image."""
    margin: int
    """Pixels of zeros that were put around each picture; they count in `shape`."""
    train: int
    validation: int
    test: int
    """Images of each split."""
    steps: int
    """Of the whole run."""
    steps_per_epoch: int
    device: str
    precision: str
    threads: int
    memory: int | None = None
    """Predicted bytes of a training step."""

    @property
    def epochs(self) -> int:
        """Epochs of the whole run; the last may be a short one."""
        return -(-self.steps // self.steps_per_epoch)


@dataclass(frozen=True)
class Stored:
    """A run folder. `rows` is empty until an epoch was finished."""

    path: Path
    network: Network
    plan: Plan
    recipe: Recipe
    config: TrainConfig
    rows: tuple[Row, ...]

    @property
    def finished(self) -> bool:
        """Whether the run came to its end, by its steps or by an early stop."""
        return (self.path / REPORT).exists() or bool(self.rows and self.rows[-1].step >= self.plan.steps)

    @property
    def best(self) -> Row | None:
        """The first row of the lowest error: validation's, where images were held back for it."""
        return verdict.best(self.rows) if self.rows else None

    @property
    def judged(self) -> str:
        """What the images are called that it was judged on."""
        return verdict.judged(self.config.overfit_batch)

    @property
    def claim(self) -> float | None:
        """The paper's test error on this data set, as a share."""
        return self.network.claims.get(self.plan.data)

    @property
    def title(self) -> str:
        """What was trained on what, over pictures and the report."""
        return f"{self.network.title} on {self.plan.data}"

    @property
    def label(self) -> str:
        """The run in a legend or a table: its folder's name."""
        return self.path.resolve().name


def labels(runs: Sequence[Stored]) -> list[str]:
    """What tells each from the others: the last parts of its path, as few as are enough."""
    parts = [run.path.resolve().parts for run in runs]
    return [_shortest(mine, [other for other in parts if other != mine]) for mine in parts]


def _shortest(mine: Sequence[str], others: Sequence[Sequence[str]]) -> str:
    enough = (n for n in range(1, len(mine)) if all(other[-n:] != mine[-n:] for other in others))
    return str(Path(*mine[-next(enough, len(mine)) :]))


def is_run(path: Path) -> bool:
    """Whether a directory holds a run of this version."""
    return (path / NETWORK).is_file() and (path / CONFIG).is_file()


def started(path: Path) -> bool:
    """Whether the run in a run folder came as far as its plan."""
    return (path / PLAN).is_file()


def load(path: Path) -> Stored:
    """The run in `path`. Raises TrainTrouble where there is none, or where a file is not as it was written."""
    if not path.is_dir():
        raise TrainTrouble(f"{path}: there is no such folder")
    if not is_run(path):
        raise TrainTrouble(f"{path} holds no run: {NETWORK} or {CONFIG} is missing")
    if not started(path):
        raise TrainTrouble(f"{path}: the run ended before its first step")
    return Stored(
        path=path,
        network=network(path),
        plan=_read(path / PLAN, TypeAdapter(Plan)),
        recipe=_read(path / RECIPE, TypeAdapter(Recipe)),
        config=_read(path / CONFIG, TypeAdapter(TrainConfig)),
        rows=rows(path / METRICS),
    )


def network(path: Path) -> Network:
    """Which network the run in `path` is of."""
    return _read(path / NETWORK, TypeAdapter(Network))


def found(directory: Path) -> Iterator[Path]:
    """The run folders in a directory, or below it, by name; a run folder is not searched for others."""
    if is_run(directory):
        yield directory
        return
    try:
        below = sorted(p for p in directory.iterdir() if p.is_dir() and not p.is_symlink())
    except OSError as error:
        raise TrainTrouble(f"cannot read {directory}: {error.strerror}") from None
    for path in below:
        yield from found(path)


def environments(path: Path) -> list[dict[str, Any]]:
    """Where the run in `path` was trained: a record for each part of it, and `after_step`, where the part begins."""
    known = path / ENVIRONMENT
    return _read(known, TypeAdapter(list[dict[str, Any]])) if known.exists() else []


def rows(path: Path) -> tuple[Row, ...]:
    """The metrics, one row an epoch; none where the file is not there yet. Columns it does not know are passed over."""
    if not path.exists():
        return ()
    try:
        text = read_limited(path, _LARGEST).decode()
        return tuple(_row(line) for line in csv.DictReader(io.StringIO(text)))
    except (ValueError, KeyError, TypeError, csv.Error) as problem:  # TypeError: a line that is too short
        raise TrainTrouble(f"{path} is not as it was written: {problem}") from None


def _row(line: Mapping[str, str]) -> Row:
    return Row(**{name: _number(line[name]) for name in _names(Row)})


def _names(record: type) -> Iterable[str]:
    return (f.name for f in fields(record))


def _number(text: str) -> Any:
    return None if text == "" else json.loads(text)


def _read(path: Path, adapter: TypeAdapter[T]) -> T:
    try:
        return adapter.validate_json(read_limited(path, _LARGEST))
    except ValidationError as error:
        first = cast("dict[str, Any]", error.errors(include_input=False)[0])
        place = ".".join(map(str, first["loc"]))
        raise TrainTrouble(f"{path} is not as it was written: {place}: {first['msg']}".replace(": : ", ": ")) from None
    except FileTrouble as trouble:
        raise TrainTrouble(str(trouble)) from None

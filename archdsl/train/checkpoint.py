"""Checkpoints that are whole or do not count.

One is a directory `step-00000123` of two safetensors files, a JSON file and, written last, `MANIFEST.json` with the
size and SHA-256 of each. The newest directory whose manifest holds is the one to resume from; there is no pointer that
could be wrong. It is written as `step-00000123.new` and takes its name when it was read back; one of the same step
that was there is `step-00000123.old` in between, and counts until then. So a crash, or a full disk, costs nothing old.
"""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from archdsl.fsio import FileTrouble, listed, make_directory, move, read_limited, write_inside

T = TypeVar("T")

WEIGHTS = "model.safetensors"
TRAINING = "training.safetensors"
STATE = "state.json"
MANIFEST = "MANIFEST.json"
_FILES = (WEIGHTS, TRAINING, STATE)
_NAME = re.compile(r"step-([0-9]{8,12})(\.old)?")
_NEW, _OLD = ".new", ".old"
_LARGEST_MANIFEST = 1 << 20
_LARGEST_FILE = 1 << 38


class Damaged(Exception):
    """A checkpoint is not what was written; the message says which file and how."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """All that a run needs to go on."""

    step: int
    weights: Mapping[str, Tensor]
    training: Mapping[str, Tensor]
    state: Mapping[str, Any]


def directory(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step lives."""
    place = folder / f"step-{step:08}"
    aside = _beside(place, _OLD)
    there = listed(folder)
    return aside if aside in there and place not in there else place


def step_of(place: Path) -> int:
    """The step of the checkpoint in `place`."""
    return int(place.name.removeprefix("step-").removesuffix(_NEW).removesuffix(_OLD))


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint and read it back; if that fails, nothing of it is left. Older ones stay: see `prune`."""
    make_directory(folder)
    _clear_unfinished(folder)
    place = folder / f"step-{checkpoint.step:08}"
    new = _beside(place, _NEW)
    try:
        _write(folder, new, checkpoint)
        _verified(new)
        _take_place(new, place)
    except BaseException:
        _remove(new)
        raise


def load(place: Path) -> Checkpoint:
    """The checkpoint in `place`; `Damaged` where a byte differs from what was written or a weight is no number."""
    files = _verified(place)
    weights = _parsed(place, WEIGHTS, files, safetensors.torch.load)
    for name, weight in weights.items():
        if weight.is_floating_point() and not weight.isfinite().all():
            raise Damaged(f"{place.name}/{WEIGHTS}: `{name}` holds numbers that are not finite")
    return Checkpoint(
        step_of(place),
        weights,
        _parsed(place, TRAINING, files, safetensors.torch.load),
        _parsed(place, STATE, files, _record),
    )


def newest(folder: Path, note: Any) -> Checkpoint | None:
    """The newest whole checkpoint; what is wrong with a newer one is told to `note`. None where none was finished.

    Where there are finished ones and all are damaged, `Damaged`: to start over in silence would hide a loss.
    """
    found = _newest(folder, note)
    return found[1] if found else None


def recovered(folder: Path, note: Any) -> Checkpoint | None:
    """The same for a run that goes on: what a process left that died while it saved is put in order.

    The checkpoint has the name of its step afterwards, for all ranks to load, and no other is of that step.
    """
    found = _newest(folder, note)
    _clear_unfinished(folder)
    if found is None:
        return None
    read, saved = found
    place = folder / f"step-{saved.step:08}"
    if read == place:
        _remove(_beside(place, _OLD))
    else:
        _remove(place)  # it cannot be read
        move(read, place)
    return saved


def _newest(folder: Path, note: Any) -> tuple[Path, Checkpoint] | None:
    problem: Damaged | None = None
    for place in sorted(finished(folder), key=_age, reverse=True):
        try:
            return place, load(place)
        except Damaged as damage:
            problem = damage
            note(f"not used: {damage}")
    if problem:
        raise problem
    return None


def _clear_unfinished(folder: Path) -> None:
    """Remove what a process that died had begun to write."""
    for left in listed(folder):
        if left.name.startswith("step-") and left.name.endswith(_NEW):
            _remove(left)


def finished(folder: Path) -> list[Path]:
    """Checkpoints that have a manifest, in no order that means anything."""
    return [place for place in listed(folder) if _NAME.fullmatch(place.name) and place / MANIFEST in listed(place)]


def prune(folder: Path, keep: int, best: int | None) -> None:
    """Remove all but the `keep` newest and the best, and what is left of removals that were cut short."""
    steps = sorted(set(map(step_of, finished(folder))))
    kept = {directory(folder, step) for step in steps if step in steps[-keep:] or step == best}
    for place in listed(folder):
        if _NAME.fullmatch(place.name) and place not in kept:
            _remove(place)


def _beside(place: Path, ending: str) -> Path:
    return place.with_name(place.name + ending)


def _age(place: Path) -> tuple[int, bool]:
    """Of two of the same step, the one that went aside is older."""
    return step_of(place), not place.name.endswith(_OLD)


def _write(folder: Path, new: Path, checkpoint: Checkpoint) -> None:
    """Each file reaches the disk before the next, the manifest last."""
    entries: dict[str, dict[str, object]] = {}
    for name, data in _contents(checkpoint):
        write_inside(folder, f"{new.name}/{name}", data)
        entries[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    write_inside(folder, f"{new.name}/{MANIFEST}", _sealed({"step": checkpoint.step, "files": entries}))


def _take_place(new: Path, place: Path) -> None:
    """Give `new` its name. One that has it already goes aside, and comes back if this fails."""
    old = _beside(place, _OLD)
    if place in listed(place.parent):
        _remove(old)
        move(place, old)
    try:
        move(new, place)
    except FileTrouble:
        with suppress(FileTrouble):
            move(old, place)
        raise
    _remove(old)


def _remove(place: Path) -> None:
    """Remove a directory, or a link to one. The manifest goes first: half a removal leaves nothing whole.

    What cannot be removed stays, and does no harm.
    """
    with suppress(OSError):
        if place.is_symlink():
            place.unlink()
        else:
            (place / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(place)


def _contents(checkpoint: Checkpoint) -> Iterator[tuple[str, bytes]]:
    yield WEIGHTS, _tensors(checkpoint.weights)
    yield TRAINING, _tensors(checkpoint.training)
    yield STATE, json.dumps(checkpoint.state, indent=1).encode()


def _tensors(tensors: Mapping[str, Tensor]) -> bytes:
    """safetensors knows neither strides nor tensors that share memory, so each is copied plainly."""
    return safetensors.torch.save(
        {n: t.detach().to("cpu", copy=True, memory_format=torch.contiguous_format) for n, t in tensors.items()}
    )


def _sealed(manifest: dict[str, object]) -> bytes:
    return json.dumps({"manifest": manifest, "sha256": _seal(manifest)}, indent=1).encode()


def _seal(manifest: object) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _parsed(place: Path, name: str, files: Mapping[str, bytes], parse: Callable[[bytes], T]) -> T:
    """What a file says whose bytes are those that its manifest speaks of: who wrote both may have written anything."""
    try:
        return parse(files[name])
    except (safetensors.SafetensorError, ValueError, KeyError, RecursionError):
        raise Damaged(f"{place.name}/{name} is nothing that a checkpoint holds") from None


def _record(data: bytes) -> dict[str, Any]:
    found = json.loads(data)
    if not isinstance(found, dict):
        raise ValueError
    return cast("dict[str, Any]", found)


def _verified(place: Path) -> dict[str, bytes]:
    """The files of a checkpoint, each the very bytes that its manifest speaks of."""
    entries = _entries(place)
    return {name: _file(place, name, entries.get(name)) for name in _FILES}


def _entries(place: Path) -> dict[str, Any]:
    try:
        sealed = json.loads(read_limited(place / MANIFEST, _LARGEST_MANIFEST))
        manifest = sealed["manifest"]
        if sealed["sha256"] != _seal(manifest) or manifest["step"] != step_of(place):
            raise ValueError
        return cast("dict[str, Any]", manifest["files"])
    except FileTrouble as trouble:
        raise Damaged(str(trouble)) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Damaged(f"{place.name}/{MANIFEST} is not as it was written") from None


def _file(place: Path, name: str, entry: Any) -> bytes:
    try:
        size, expected = int(entry["bytes"]), str(entry["sha256"])
        data = read_limited(place / name, min(size, _LARGEST_FILE))
    except FileTrouble as trouble:
        raise Damaged(str(trouble)) from None
    except (KeyError, TypeError, ValueError):
        raise Damaged(f"{place.name}/{MANIFEST} does not speak of {name}") from None
    found = hashlib.sha256(data).hexdigest()
    if len(data) != size or found != expected:
        raise Damaged(
            f"{place.name}/{name}: expected {size} bytes, sha256 {expected}; found {len(data)} bytes, sha256 {found}"
        )
    return data

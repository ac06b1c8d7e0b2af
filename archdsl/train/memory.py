"""Running out of memory, said in terms of what can be done about it."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import resource
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import torch

from archdsl.train.job import StepMemory
from archdsl.train.trouble import OutOfMemory

_USABLE = 0.75  # of the room; kernels take what no static analysis counts, and memory falls into pieces
_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc", "bad allocation", "ALLOC_FAILED")
# All that oneDNN and cuDNN say where they find no memory, or cannot for another cause.
_DOUBTFUL = ("could not create a primitive", "unable to find an engine", "nable to find a valid cuDNN algorithm")
_CGROUP = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@contextmanager
def watched(device: torch.device, batch: int, memory: StepMemory | None) -> Generator[None]:
    """Raise `OutOfMemory` for what a step of at most `batch` images at once could not get.

    The room is what is free when the context begins: before the network and its optimiser are there.
    """
    free = room(device)
    if memory is not None and device.type == "cuda":
        memory = replace(memory, saving=0)  # the copies for a checkpoint lie on the host
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error, too_large=memory is None or batch > fitting(free, memory)):
            raise
        raise OutOfMemory(said(free, batch, memory)) from None


@contextmanager
def reading(data: str) -> Generator[None]:
    """Say that memory ran out while a data set was read: no smaller batch would help."""
    free = min(_limits())
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(f"out of memory while {data} was read: {_size(free)} were free") from None


def said(free: int, batch: int, memory: StepMemory | None) -> str:
    """What was wanted, what there is, and the batch that would fit."""
    there = f"out of memory: {_size(free)} were free"
    if memory is None:
        return f"{there}; use a smaller --micro-batch than {batch}"
    needs = f"{there}, and a step of {batch} images takes {_size(memory.at(batch))} by the static estimate"
    fits = fitting(free, memory)
    if fits < 1:
        return f"{needs}; weights and one image take {_size(memory.at(1))}: not even that fits"
    return f"{needs}; add --micro-batch {min(fits, max(batch // 2, 1))}, with which the recipe's batch stays as it is"


def fitting(free: int, memory: StepMemory) -> int:
    """How many images at once a step can take in so many bytes."""
    left = free * _USABLE - memory.fixed
    return 0 if left < memory.saving else int(left // max(memory.per_image, 1))


def room(device: torch.device) -> int:
    """Bytes that can still be had on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(_limits())


def _limits() -> Iterator[int]:
    """What is left of the machine's memory, of the container's, and of the process's own limit."""
    fields = dict(line.split(":") for line in _text("/proc/meminfo").splitlines())
    yield int(fields.get("MemAvailable", f"{2**40} kB").split()[0]) * 1024
    pages = (_text("/proc/self/statm") or "0 0").split()
    mapped, resident = (int(n) * resource.getpagesize() for n in pages[:2])
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        yield max(limit - mapped, 0)
    for path in _CGROUP:
        if (text := _text(path).strip()).isdigit():
            yield max(int(text) - resident, 0)


def _text(path: str) -> str:
    with suppress(OSError):
        return Path(path).read_text()
    return ""


def is_out_of_memory(error: Exception, *, too_large: bool = False) -> bool:
    """The word of a library that may mean more than that is believed where the step is too large for the room."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    words = (*_WORDS, *_DOUBTFUL) if too_large else _WORDS
    return any(word in str(error) for word in words)


def _size(count: float) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"

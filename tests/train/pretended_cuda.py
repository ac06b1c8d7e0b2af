"""A CPU that stands in for a GPU, as far as that goes: what `torch.cuda` has for streams and graphs, in plain Python.

Recording keeps a tape of all operations with the tensors they read and write, and puts the memory back as it was, for
a GPU computes nothing while it records. A replay does the operations of the tape again on the same memory; no Python
of the step is run. As on a GPU, a recording in which the host reads a number fails, and so does its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from archdsl.train import engine
from archdsl.train.device import Device

aten = torch.ops.aten
READS = {aten._local_scalar_dense.default, aten.nonzero.default, aten.equal.default, aten.is_nonzero.default}
"""What makes the host wait for a number, or for the size of a result."""


class Blind(Device):
    """A CPU that behaves as a GPU does: its numbers are looked at now and then only."""

    @property
    def reads_are_free(self) -> bool:
        return False


def blind(engine: str = "eager", precision: torch.dtype = torch.float32) -> Blind:
    return Blind(torch.device("cpu"), precision, engine, 1, "x")


class Unread(TorchDispatchMode):
    """Refuses what would make a GPU's host wait: numbers read, and numbers of the host copied to the device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        by_mask = func is aten.index.Tensor and any(i is not None and i.dtype is torch.bool for i in args[1])
        if by_mask or func in READS or func is aten.lift_fresh.default:
            raise AssertionError(f"the host waits for the device: {func}")
        return func(*args, **(kwargs or {}))


class Tape(TorchDispatchMode):
    """Everything that is done, with the memory it is done on."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Any, Any, Any, Any]] = []
        self.before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in READS:
            raise RuntimeError("operation not permitted when stream is capturing")
        for given, declared in zip(args, func._schema.arguments, strict=False):
            self._keep(given, declared)
        for declared in func._schema.arguments:
            self._keep((kwargs or {}).get(declared.name), declared)
        out = func(*args, **(kwargs or {}))
        self.done.append((func, args, kwargs or {}, out))
        return out

    def _keep(self, given: Any, declared: Any) -> None:
        """Remember what a tensor held that is about to be written."""
        statistics = declared.name in ("running_mean", "running_var")  # written by batch norm, which does not say so
        if not statistics and (declared.alias_info is None or not declared.alias_info.is_write):
            return
        for tensor in tree_flatten(given)[0]:
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                self.before.setdefault(storage.data_ptr(), (storage, storage.clone()))

    def undo(self) -> None:
        for storage, held in self.before.values():
            storage.copy_(held)

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, out in self.done:
            again = func(*args, **kwargs)
            for old, new in zip(tree_flatten(out)[0], tree_flatten(again)[0], strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class Stream:
    """A stream; `log` has what was asked of all."""

    def __init__(self, pretended: Pretended, name: str) -> None:
        self.pretended, self.name = pretended, name

    def wait_stream(self, other: Stream) -> None:
        self.pretended.log.append(f"{self.name} waits for {other.name}")


class Pretended:
    """What stands in for `torch.cuda`."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.tapes: list[Tape] = []
        self.main = self.now = Stream(self, "main")
        self.generator = Generator(self)
        self.default_generators = [self.generator]
        self.replays = 0

    def Stream(self) -> Stream:  # noqa: N802  torch's name
        return Stream(self, "side")

    def current_stream(self) -> Stream:
        return self.now

    def set_stream(self, stream: Stream) -> None:
        self.now = stream

    def current_device(self) -> int:
        return 0

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        before, self.now = self.now, stream
        yield
        self.now = before

    def CUDAGraph(self) -> Graph:  # noqa: N802
        return Graph(self)

    @contextmanager
    def graph(self, graph: Graph) -> Iterator[None]:
        """As torch's: where the recording fails, its end does too, and what it had set stays."""
        self.now, self.generator.recording = Stream(self, "recording"), True
        self.log.append("recording")
        try:
            with graph.tape:
                yield
        except RuntimeError as error:
            graph.tape.undo()
            raise RuntimeError("operation failed due to a previous error during capture") from error
        graph.tape.undo()
        self.now, self.generator.recording = self.main, False


class Generator:
    """The GPU's random generator: fails where it is used after a recording that did not end."""

    def __init__(self, pretended: Pretended, recording: bool = False) -> None:
        self.pretended, self.recording = pretended, recording

    def clone_state(self) -> Generator:
        return Generator(self.pretended, self.recording)

    def graphsafe_set_state(self, other: Generator) -> None:
        self.recording = other.recording


class Graph:
    """A CUDA graph."""

    def __init__(self, pretended: Pretended) -> None:
        self.pretended, self.tape = pretended, Tape()

    def replay(self) -> None:
        self.pretended.replays += 1
        self.tape.replay()


NAMES = ("Stream", "current_stream", "set_stream", "current_device", "stream", "CUDAGraph", "graph")


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretended]:
    """`torch.cuda`, pretended."""
    pretended = Pretended()
    for name in (*NAMES, "default_generators"):
        monkeypatch.setattr(torch.cuda, name, getattr(pretended, name))
    engine._side.cache_clear()
    yield pretended
    engine._side.cache_clear()


Work = Callable[[], None]

"""A network that is compiled for training, and one that cannot be."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from harness import digest, few, go, job
from torch import Tensor, nn
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.exc import TorchDynamoException

from archdsl.train import loop, run
from archdsl.train.engine import Compiled

WORK = job(arguments={"dropout": 0.0})
pytestmark = pytest.mark.filterwarnings("default")  # torch's compiler warns of other parts of torch
Graph = Callable[..., Any]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Few images, and nothing that was compiled before."""
    monkeypatch.setattr(run, "load", few)
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def compiled_by(monkeypatch: pytest.MonkeyPatch, backend: Graph) -> None:
    """Let this make code of the graphs that torch finds, in place of a compiler that takes half a minute."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))


def test_a_compiler_that_fails_is_told_once_and_the_network_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fails(TorchDynamoException):
        pass

    def compiled(_model: nn.Module, **_: object):
        def forward(_images: Tensor) -> Tensor:
            raise Fails("no such backend\nand much more")

        return forward

    monkeypatch.setattr(torch, "compile", compiled)
    notes: list[str] = []
    network = nn.Linear(3, 2)
    images = torch.ones(4, 3)
    forward = Compiled(network, notes.append)
    for _ in range(2):
        assert torch.equal(forward(images), network(images))
    assert notes == ["engine compile: it failed (no such backend); going on eagerly"]


def test_a_mistake_of_the_network_is_not_taken_for_one_of_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda model, **_: lambda images: model(images))
    with pytest.raises(RuntimeError, match="shapes"):
        Compiled(nn.Linear(3, 2), pytest.fail)(torch.ones(4, 5))


def test_a_backward_pass_that_cannot_be_compiled_is_told_and_the_run_is_an_eager_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left to itself, torch compiles it in the middle of the step, when the forward pass is over."""

    def fails(_graph: Graph, _inputs: object) -> Graph:
        raise RuntimeError("ptxas has no such register\nand much more")

    assert go(tmp_path / "eager", WORK, engine="eager")[0] == 0
    compiled_by(monkeypatch, aot_autograd(fw_compiler=lambda graph, _: graph, bw_compiler=fails))
    code, text = go(tmp_path / "compile", WORK, device="cpu", engine="compile")
    assert code == 0, text
    assert text.count("engine compile: it failed (ptxas has no such register); going on eagerly") == 1
    expected, found = (place.read_bytes() for place in sorted(tmp_path.glob("*/step-00000021/model.safetensors")))
    assert found == expected


def test_each_size_of_a_batch_is_compiled_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compiled for any size is other code; it would depend on the sizes that a process has seen."""
    sizes: list[list[int]] = []  # the images among all that a graph takes

    def seen(graph: Graph, inputs: list[Any]) -> Graph:
        assert not any(isinstance(given, torch.SymInt) for given in inputs), "a size is left open"
        sizes.append([len(given) for given in inputs if given.shape[2:] == (8, 8)])
        return graph

    compiled_by(monkeypatch, seen)
    code, text = go(tmp_path, WORK, device="cpu", engine="compile")
    assert code == 0, text
    assert "eagerly" not in text
    assert sizes == [[32], [8]]


@pytest.mark.prove
def test_a_compiled_run_that_was_stopped_and_resumed_ends_in_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the third epoch: the process that goes on sees a short batch only later."""
    options = {"device": "cpu", "engine": "compile"}
    assert go(tmp_path / "whole", job(), **options)[0] == 0
    original = loop.Trainer._step

    def stopping(self: loop.Trainer, *given: object) -> object:
        if self.progress.step == 16:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, *given)  # type: ignore[arg-type]

    torch._dynamo.reset()
    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "_step", stopping)
        assert go(tmp_path / "parts", job(), **options)[0] == 75
    torch._dynamo.reset()
    code, text = go(tmp_path / "parts", job(), resume=True, **options)
    assert code == 0, text
    assert "eagerly" not in text
    assert digest(tmp_path / "parts") == digest(tmp_path / "whole")

"""What is exported: a network in evaluation mode with its weights, its text, and what its user must know of it."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from archdsl.fsio import read_limited
from archdsl.ice import version
from archdsl.recipe.records import Single
from archdsl.train import reopened, stored
from archdsl.train.export import preparation
from archdsl.train.export.preparation import Action
from archdsl.train.reopened import Reopened
from archdsl.train.stored import Stored
from archdsl.train.trouble import Misfit
from archdsl.verify import build

_TRACED = 2  # images that a tracer is shown where any number is to be taken; one would look like a constant
_OTHERS = (1, 5)  # batches that the export is tried with besides
_MODULE, _FITTED = 1 << 26, 1 << 32  # bytes that are read


@dataclass(frozen=True)
class Case:
    """Inputs by name, and the network's answers."""

    given: Mapping[str, Tensor]
    expected: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Subject:
    """A network to be exported."""

    name: str
    """As the file or folder is called, e.g. `resnet-20`."""
    module: nn.Module
    text: str
    """The generated module that the network is an instance of."""
    call: str
    """How an instance is made in it, e.g. `ResNet()`."""
    inputs: Mapping[str, tuple[int, ...]]
    """Sizes of one sample."""
    weights: str
    """Where they come from, in words."""
    preparation: tuple[Action, ...] | None = None
    """From pixels to the input; None where it was never trained."""
    fitted: bytes | None = None
    """`normalization.safetensors`, where the preparation speaks of it."""
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    batch: int | None = None
    """How many samples at once; any number where it is None."""
    folded: int = 0
    """Batch norms that are part of the weights now."""
    left: int = 0
    """Those that are not, where folding was asked for."""

    @property
    def batches(self) -> tuple[int, ...]:
        """The numbers of samples that the export is tried with; with the first it is traced."""
        return (_TRACED, *_OTHERS) if self.batch is None else (self.batch,)

    @property
    def metadata(self) -> dict[str, Any]:
        """What goes along with the export, as JSON."""
        return {
            "made_by": f"archdsl {version()}",
            "name": self.name,
            "network": type(self.module).__name__,
            "weights": self.weights,
            "inputs": {name: list(size) for name, size in self.inputs.items()},
            "batch": self.batch,
            "folded_batch_norms": self.folded,
            "preparation": None if self.preparation is None else [action.record for action in self.preparation],
            "classes": list(self.classes),
            "notes": list(self.notes),
        }

    @property
    def config(self) -> str:
        """The metadata as a text."""
        return json.dumps(self.metadata, indent=2, ensure_ascii=False) + "\n"

    def given(self, batch: int) -> dict[str, Tensor]:
        """Random inputs for so many samples, the same each time."""
        generator = torch.Generator().manual_seed(batch)
        return {name: torch.randn(batch, *size, generator=generator) for name, size in self.inputs.items()}

    def cases(self) -> list[Case]:
        """The network's own answers; before anything is done to it. Misfit where there are none, or not finite."""
        found = [self._case(count) for count in self.batches]
        if not all(bool(answer.isfinite().all()) for case in found for answer in case.expected):
            raise Misfit(f"{self.name} answers random input with numbers that are not finite: nothing can be compared")
        return found

    def _case(self, count: int) -> Case:
        given = self.given(count)
        try:
            return Case(given, _answers(self.module, given))
        except (RuntimeError, ValueError) as error:  # as a batch norm without running statistics says of one number
            reason = str(error).splitlines()[0]
            hint = "--batch N asks for another number of samples only"
            raise Misfit(f"{self.name} has no answer to {count} at once: {reason}; {hint}") from error


def _answers(module: nn.Module, given: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    torch.manual_seed(0)  # a layer may draw numbers in evaluation, too
    with torch.no_grad():
        return tuple(tensors(module(*given.values())))


def tensors(value: object) -> Iterator[Tensor]:
    """The tensors in what a network returned."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in cast("Sequence[object]", value):
            yield from tensors(part)


def of_text(name: str, text: str, inputs: Sequence[tuple[int, ...]], seed: int) -> Subject:
    """The network of a generated module with fresh weights."""
    torch.manual_seed(seed)
    module = build(text, name).eval()
    call = f"{type(module).__name__}()"
    return Subject(name, module, text, call, _named(module, inputs), f"untrained, drawn from seed {seed}")


def of_run(run: Stored, which: str) -> Subject:
    """The network of a run with the weights of a checkpoint: `which`, see `reopen`."""
    found = reopened.reopen(run, which)
    given = ", ".join(f"{name}={value!r}" for name, value in run.network.arguments.items())
    actions = preparation.of(run)
    subject = Subject(
        name=run.label,
        module=found.model,
        text=read_limited(run.path / stored.MODEL, _MODULE).decode(),
        call=f"{type(found.model).__name__}({given})",
        inputs=_named(found.model, [run.network.image or run.plan.shape]),
        weights=_weights(run, found),
        preparation=actions,
        classes=run.plan.classes,
        notes=tuple(_notes(run)),
    )
    if not any(action.fitted for action in actions):
        return subject
    return replace(subject, fitted=read_limited(run.path / stored.NORMALIZATION, _FITTED))


def _named(module: nn.Module, sizes: Sequence[tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return dict(zip(inspect.signature(module.forward).parameters, sizes, strict=True))


def _weights(run: Stored, found: Reopened) -> str:
    row = found.row
    judged = "" if row is None else f" (epoch {row.epoch}), test error {row.test_error:.2%}"
    return f"step {found.step:,}{judged} on {run.plan.data}"


def _notes(run: Stored) -> Iterator[str]:
    """What the exported network does otherwise than the run that was judged."""
    how = run.recipe.evaluate
    if not isinstance(how, Single):
        yield f"the run was judged by `{how.kind}`; the export is one pass of the whole network in evaluation mode"

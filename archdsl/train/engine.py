"""How a step is run: operation by operation, with a compiled network, or recorded once as a CUDA graph and replayed.

A small network keeps a GPU waiting for Python. A graph does not: all kernels of a step start at once, from the copying
of gradients to the moving average. See https://pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.
"""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from archdsl.recipe import Recipe
from archdsl.recipe.records import Sgd
from archdsl.train import chance
from archdsl.train.augment import Batch
from archdsl.train.device import Device
from archdsl.train.distributed import Team
from archdsl.train.step import Stepper

Note = Callable[[str], None]
Recorder = Callable[[Callable[[], None]], Callable[[], None]]
"""Takes work down without doing it; what comes back does it, again and again."""

_DROPOUT = "the rates of dropout change in the course of the run"
WARM_UP = 3  # steps before the recording: libraries set themselves up in them


class Run(Protocol):
    """Does one step; `weight` and `counts` are those of a `Portion`."""

    def __call__(self, batch: Batch, weight: float = 1.0, counts: bool = True) -> None: ...


def engine(stepper: Stepper, team: Team, note: Note) -> Run:
    """The way that the device asks for, or, with a reason, the plain one."""
    if stepper.device.engine != "graph":
        return stepper.run
    if why := obstacle(stepper, team):
        note(f"engine graph: {why}; going on eagerly")
        return stepper.run
    return Recorded(stepper, record_cuda, note)


def obstacle(stepper: Stepper, team: Team) -> str:
    """Why this run's steps cannot be recorded; empty if they can."""
    sgd = stepper.recipe.optimizer
    if stepper.device.reads_are_free:
        return "there is no CUDA device"
    if team.size > 1:
        return "ranks wait for each other within a step"
    if stepper.scaler.is_enabled():
        return "the loss scale of fp16 is decided on the host"
    if not stepper.optimizer.skips:
        return f"{sgd.kind} with these settings cannot leave out a step that is not finite by itself"
    if isinstance(sgd, Sgd) and sgd.momentum_to is not None:
        return "the momentum changes from step to step"
    if stepper.recipe.dropout:
        return _DROPOUT
    return ""


def record_cuda(work: Callable[[], None]) -> Callable[[], None]:
    """A CUDA graph of `work`. torch registers the GPU's random generator with it: each replay draws new numbers.

    A recording that fails leaves torch on the recording's stream and the generator waiting for its end: both are put
    back as they were, or the first dropout afterwards would fail.
    """
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
    generator = torch.cuda.default_generators[torch.cuda.current_device()]
    before = generator.clone_state()
    try:
        with torch.cuda.graph(graph):
            work()
    except RuntimeError:
        torch.cuda.set_stream(stream)
        generator.graphsafe_set_state(before)
        raise
    return graph.replay


@cache
def _side() -> torch.cuda.Stream:
    """One for all: memory that was once had on a stream is kept for that stream."""
    return torch.cuda.Stream()


def beside(work: Callable[[], None]) -> None:
    """Do `work` on a stream of its own, as the steps before a recording must be."""
    stream = _side()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        work()
    torch.cuda.current_stream().wait_stream(stream)


class Recorded:
    """A step that is recorded after a few and replayed from then on, for whole batches of the recipe.

    A replay reads its batch, and every number that changes from step to step, from where they lay while recording.
    Nothing is lost where recording fails: it computes nothing, and the step is done as it is.
    """

    def __init__(self, stepper: Stepper, record: Recorder, note: Note, warm: Callable[..., None] = beside) -> None:
        self.stepper, self.record, self.note, self.warm = stepper, record, note, warm
        self.steps = 0
        self.whole = min(stepper.recipe.batch, len(stepper.plan.images.train) - stepper.recipe.validation)
        self.form: tuple[object, ...] = ()
        self.slots: Batch | None = None
        self.dials: list[Tensor] = []
        self.replay: Callable[[], None] | None = None

    def __call__(self, batch: Batch, weight: float = 1.0, counts: bool = True) -> None:
        """Do one step."""
        self.steps += 1
        batch = replace(batch, share=_single([batch.share])[0])
        self._turn_to(self._numbers(), recording=False)
        if self.steps <= WARM_UP:
            self.warm(lambda: self.stepper.run(batch, weight, counts))
            return
        if self.slots is None and len(batch.labels) == self.whole:  # the last batch of an epoch may be a short one
            self.form, self.replay = _form(batch), self._recorded(batch)
        if self.replay is None or self.slots is None or _form(batch) != self.form:
            self.stepper.run(batch, weight, counts)
            return
        _fill(self.slots, batch)
        for dial, number in zip(self.dials, self._numbers(), strict=True):
            dial.fill_(number)
        self.replay()

    def _recorded(self, batch: Batch) -> Callable[[], None] | None:
        """The replay of a step like this batch's, or None, with a note, where there can be none."""
        self.slots = slots = _like(batch)
        numbers = self._numbers()
        self.dials = [torch.full((), number, device=batch.images.device) for number in numbers]
        before = _drawn_on_host()
        self._turn_to(self.dials, recording=True)
        try:
            replay = self.record(lambda: self.stepper.run(slots))
        except RuntimeError as error:
            self.note(f"engine graph: a step cannot be recorded ({_first_line(_cause(error))}); going on eagerly")
            return None
        finally:
            self._turn_to(numbers, recording=False)
        if before == _drawn_on_host():
            return replay
        chance.restore({"chance/cpu": torch.tensor(before[0], dtype=torch.uint8)}, before[1])
        self.note("engine graph: the network decides by chance on the host, which a recording would freeze; eagerly")
        return None

    def _numbers(self) -> list[float]:
        """All that `prepare` sets for a step, as a replay reads it: a resumed run has other steps that are replays."""
        stepper = self.stepper
        rates = [group["lr"] for group in stepper.optimizer.inner.param_groups]
        average = [stepper.average.share] if stepper.average else []
        return _single([*rates, *stepper.auxiliary, *average])

    def _turn_to(self, numbers: Sequence[Any], recording: bool) -> None:
        """Let the step read these; what `_numbers` gave, or tensors in its place."""
        rest = list(numbers)
        for group in self.stepper.optimizer.inner.param_groups:
            group["lr"], group["capturable"] = rest.pop(0), recording
        if self.stepper.average:
            self.stepper.average.share = rest.pop()
        self.stepper.auxiliary = rest


def _single(numbers: Sequence[float | Tensor]) -> list[float]:
    """The numbers as float32 has them."""
    return torch.tensor(numbers, dtype=torch.float32).tolist()


def _like(batch: Batch) -> Batch:
    """Memory for batches of this form; `share` becomes a number on the device."""
    partner = None if batch.partner is None else batch.partner.clone()
    share = torch.full((), float(batch.share), device=batch.images.device)
    return replace(batch, images=batch.images.clone(), labels=batch.labels.clone(), partner=partner, share=share)


def _fill(slots: Batch, batch: Batch) -> None:
    slots.images.copy_(batch.images)
    slots.labels.copy_(batch.labels)
    if slots.partner is not None and batch.partner is not None:
        slots.partner.copy_(batch.partner)
    torch.as_tensor(slots.share).fill_(float(batch.share))


def _form(batch: Batch) -> tuple[object, ...]:
    images = batch.images
    return images.shape, images.stride(), images.dtype, batch.partner is None


def _drawn_on_host() -> tuple[list[int], dict[str, Any]]:
    """The states of the host's generators: a step that moves them makes decisions that a graph cannot repeat."""
    return torch.get_rng_state().tolist(), chance.numbers()


class Compiled:
    """`torch.compile`d, or, with a note, as it is where that fails.

    One shape is compiled at a time: torch would take the second, that of a short batch, for any size, and a run that is
    resumed after it would go on with other code than one that went through.
    """

    def __init__(self, model: nn.Module, note: Note) -> None:
        self.model, self.note = model, note
        self.forward: Callable[[Tensor], Any] = torch.compile(model, dynamic=False)

    def __call__(self, images: Tensor) -> Any:
        """The network's outputs."""
        if self.forward is self.model:
            return self.model(images)
        try:
            with _backward_too():
                return self.forward(images)
        except RuntimeError as error:
            if not _is_of_the_compiler(error):
                raise
            why = getattr(error, "inner_exception", error)  # the first line of the other says that there is this one
            self.note(f"engine compile: it failed ({_first_line(why)}); going on eagerly")
            self.forward = self.model
            return self.model(images)


def _backward_too() -> AbstractContextManager[object]:
    """Let what is compiled for the backward pass be compiled with the forward pass, where a failure costs nothing."""
    from torch._functorch import config

    setting = "force_non_lazy_backward_lowering"  # torch's own, and not in each of its versions
    return config.patch(setting, True) if hasattr(config, setting) else nullcontext()


def _is_of_the_compiler(error: RuntimeError) -> bool:
    from torch._dynamo.exc import TorchDynamoException  # a second to load: only where it must be there already

    return isinstance(error, TorchDynamoException)


def forward(model: nn.Module, recipe: Recipe, device: Device, note: Note) -> Callable[[Tensor], Any]:
    """The network as the device's engine calls it in training."""
    if device.engine != "compile":
        return model
    if recipe.dropout:  # each rate would be compiled, and after eight torch goes on eagerly in silence
        note(f"engine compile: {_DROPOUT}; going on eagerly")
        return model
    return Compiled(model, note)


def _cause(error: BaseException) -> BaseException:
    """What went wrong first: the end of a recording that failed fails, too, and says nothing about why."""
    return _cause(error.__context__) if isinstance(error.__context__, RuntimeError) else error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]

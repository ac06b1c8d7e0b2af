"""The measurement: who takes part, in what order, and what is made of the rates."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import torch
from torch import nn

from archdsl.fsio import write_atomic
from archdsl.ir.graph import Graph
from archdsl.recipe import Recipe
from archdsl.recipe.records import Constant, Flip, MeanStd, PadCrop, Sgd
from archdsl.train import chance, device, network
from archdsl.train.bench import plain, roofline
from archdsl.train.bench.asked import Asked
from archdsl.train.bench.ours import Bare, Paced
from archdsl.train.bench.pacing import Clock, Contestant, Rates, Ratio, calibrate, paced, ratio
from archdsl.train.bench.result import TRAINING, Compared, Mode, Overhead, Result, Roofline
from archdsl.train.data.images import Images, InMemory
from archdsl.train.device import Device, Hardware
from archdsl.train.engine import WARM_UP
from archdsl.train.job import Job, TrainConfig
from archdsl.train.normalize import Standardised
from archdsl.train.schedule import Clock as Schedule
from archdsl.train.state import Plan
from archdsl.train.trouble import Misfit

PLAIN = "plain loop"
_PAIRS = 40  # of single steps at most
_IMAGES = 2**28  # bytes
_ENDLESS = 10**9  # steps: the schedule is constant


def measure(asked: Asked, job: Job, graph: Graph, hardware: Hardware | None = None) -> Result:
    """Measure a compiled network. Raises Misfit where it takes no pictures or gives no classes."""
    _check(job, graph)
    chance.seed_all(0)
    with TemporaryDirectory(prefix="archdsl-bench-") as folder:
        path = Path(folder) / "model.py"
        write_atomic(path, job.module.encode())
        return Bench(asked, job, graph, network.build(path, job), path.parent, hardware or Hardware.found()).result()


def _check(job: Job, graph: Graph) -> None:
    image, classes = job.image or (), graph.outputs[0].values
    if len(graph.inputs) != 1 or len(image) != 3 or image[0] not in (1, 3):
        raise Misfit(f"{job.network} takes {_sizes(image)}; what is measured are pictures, [1, H, W] or [3, H, W]")
    if len(classes) != 1:
        raise Misfit(f"{job.network} gives {_sizes(classes)}; what is measured are networks that tell classes apart")


def _sizes(shape: Sequence[int]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def recipe(asked: Asked, wanted: Recipe) -> Recipe:
    """Batch and optimiser of a recipe; the rest is what the plain loop does, too, so that both do the same work."""
    optimizer = wanted.optimizer
    if isinstance(optimizer, Sgd):
        optimizer = optimizer.model_copy(update={"momentum_to": None, "momentum_epochs": None})
    return Recipe(
        batch=asked.batch or wanted.batch,
        optimizer=optimizer,
        normalize=(MeanStd(),),
        augment=(PadCrop(pad=plain.PAD), Flip()),
        schedule=Constant(),
        drop_last=True,
    )


def noise(image: Sequence[int], classes: int, batch: int) -> InMemory:
    """Whole batches of random pictures, a hundred if they are small."""
    channels, height, width = image
    count = batch * min(max(_IMAGES // (batch * channels * height * width), 2), 100)
    pixels = torch.randint(0, 256, (count, height, width, channels), dtype=torch.uint8)
    return InMemory(pixels, torch.arange(count) % classes)


@dataclass(frozen=True, eq=False)
class _Entry:
    """A mode of ours that takes part."""

    name: str
    trainer: Paced

    @property
    def device(self) -> Device:
        return self.trainer.device


class Bench:
    """Everything that takes part, set up once."""

    def __init__(
        self, asked: Asked, job: Job, graph: Graph, model: nn.Module, folder: Path, hardware: Hardware
    ) -> None:
        self.asked, self.job, self.graph, self.hardware = asked, job, graph, hardware
        self.model, self.folder = model, folder
        self.recipe = recipe(asked, job.recipe)
        assert job.image is not None
        self.images = noise(job.image, graph.outputs[0].values[0], self.recipe.batch)
        self.skipped: dict[str, str] = {}
        self.auto = self._device("auto", "auto")
        device.apply(self.auto)
        self.entries = list(self._entries())
        self.best = max(self.entries, key=lambda entry: _likeness(entry.device, self.auto))
        self.bare = Bare(self.best.trainer)
        self.loader, self.loop = self._plain()

    def result(self) -> Result:
        """Measure, and put it together."""
        asked, batch = self.asked, self.recipe.batch
        clock = process_time if asked.cpu_time else _clock(self.auto.device)
        everyone = list(self._contestants())
        rates = paced(everyone, calibrate(everyone, 0.75 * asked.seconds, clock), clock)
        pipeline = Compared(median(rates["input"]), median(rates["PIL"]), ratio(rates, "input", "PIL"))
        peaks = {name: median(rates[f"peak {name}"]) for name in self._precisions()}
        return Result(
            network=self.job.name,
            parameters=self.job.parameters or 0,
            macs=self.job.macs or 0,
            batch=batch,
            device=f"{self.auto.device.type}, {self.auto.threads} thread{'s' * (self.auto.threads != 1)}",
            seconds="CPU" if asked.cpu_time else "wall",
            workers=asked.workers,
            peaks=peaks,
            bandwidth=median(rates["bandwidth"]),
            modes=[mode(name, precision, self.job.macs or 0, rates) for name, precision in self._modes()],
            skipped=self.skipped,
            input=pipeline,
            overhead=self._overhead(),
            roofline=self._roofline(rates),
        )

    # --- who takes part

    def _device(self, precision: str, engine: str) -> Device:
        where = "cpu" if self.asked.cpu_time else self.asked.device
        options = {"device": where, "precision": precision, "engine": engine, "threads": self.asked.threads}
        return device.choose(TrainConfig.model_validate(options), self.hardware)

    def _entries(self) -> Iterator[_Entry]:
        """The modes of ours that this machine has; why it lacks the others is noted."""
        for name, precision, engine in _ways(self.auto.precision_name):
            why = self._lacking(precision, engine)
            if not why:
                trainer = Paced(self._plan(self._device(precision, engine)), copy.deepcopy(self.model))
                why = _trouble(trainer)
                if not why:
                    yield _Entry(name, trainer)
            if why:
                self.skipped[name] = why

    def _lacking(self, precision: str, engine: str) -> str:
        cuda = self.auto.device.type == "cuda"
        if precision == "bf16" and not (self.hardware.cuda_bf16 if cuda else self.hardware.cpu_bf16):
            return f"on this {'GPU' if cuda else 'CPU'} bf16 is not faster than fp32"
        if engine == "graph" and not cuda:
            return "there is no CUDA device"
        if engine == "compile" and not self.hardware.compiler:
            return "there is no C++ compiler"
        if engine == "compile" and not cuda and not self.asked.compiled:
            return "compiling takes a minute; add --compiled"
        return ""

    def _plan(self, where: Device) -> Plan:
        images = Images("noise", self.images, self.images.part(0, 1), ())
        steps = len(self.images) // self.recipe.batch
        schedule = Schedule(steps, _ENDLESS, _ENDLESS)
        return Plan(self.recipe, images, where, schedule, self.folder, {}, self.job.auxiliary_weights)

    def _plain(self) -> tuple[plain.Loader, plain.Loop]:
        fitted = self.entries[0].trainer.normalize.steps[0]
        assert isinstance(fitted, Standardised)
        pictures = plain.Pictures(self.images, fitted.mean.cpu(), fitted.std.cpu())
        loader = plain.Loader(pictures, self.recipe.batch, self.asked.workers)
        weights = self.job.auxiliary_weights
        model, where = copy.deepcopy(self.model), self.auto.device
        return loader, plain.Loop(model, loader, self.recipe.optimizer, weights, where)

    def _contestants(self) -> Iterator[Contestant]:
        batch, loader = self.recipe.batch, self.loader
        images = torch.randn(batch, *self.job.image or ())
        yield Contestant(PLAIN, batch, self.loop.train, loader.ready, share=4, steps=2)
        yield Contestant(answering(PLAIN), batch, self.loop.answer(images))
        for entry in self.entries:
            yield Contestant(entry.name, batch, entry.trainer.work, entry.trainer.begin_anew, share=4)
            yield Contestant(answering(entry.name), batch, entry.trainer.answers(images))
        yield Contestant("PIL", batch, loader.drain, loader.ready, steps=4)
        yield Contestant("input", batch, self.bare.load)
        yield from self._limits()

    def _limits(self) -> Iterator[Contestant]:
        where = self.auto.device
        for name, dtype in self._precisions().items():
            yield Contestant(f"peak {name}", *roofline.multiplying(where, dtype), share=0.5)
        yield Contestant("bandwidth", *roofline.streaming(where), share=0.5)

    def _modes(self) -> list[tuple[str, str]]:
        return [(PLAIN, "fp32"), *((entry.name, entry.device.precision_name) for entry in self.entries)]

    def _precisions(self) -> dict[str, torch.dtype]:
        return {"fp32": torch.float32} | {e.device.precision_name: e.device.precision for e in self.entries}

    # --- what is made of the rates

    def _overhead(self) -> Overhead:
        """Step by step in turns: a percent is less than what the machine's pace changes within a second.

        On a CPU in seconds of this process, which do not grow when others take the cores.
        """
        clock = process_time if self.auto.reads_are_free else _clock(self.auto.device)
        trainer, bare = self.best.trainer, self.bare
        both = [
            Contestant("trainer", 1, trainer.work, trainer.begin_anew),
            Contestant("bare", 1, bare.work, bare.begin_anew),
        ]
        step = sum(contestant.turn(clock) + contestant.turn(clock) for contestant in both) / 2
        pairs = min(max(round(0.25 * self.asked.seconds / step), 3), _PAIRS)
        found = ratio(paced(both, pairs, clock), "bare", "trainer")
        return Overhead(self.best.name, Ratio(found.median - 1, found.low - 1, found.high - 1), pairs)

    def _roofline(self, rates: Rates) -> Roofline:
        """The limits by the median peaks; the share that was reached by the peaks of each round."""
        precision, width = self.best.device.precision_name, self.best.device.precision.itemsize
        found = roofline.layers(self.graph)
        flops, memory = rates[f"peak {precision}"], rates["bandwidth"]

        def limits(flops: float, memory: float) -> list[roofline.Bound]:
            return roofline.bounds(found, roofline.Peak(flops, memory, width), self.recipe.batch)

        rounds = zip(rates[answering(self.best.name)], flops, memory, strict=True)
        reached = median(rate * sum(bound.seconds for bound in limits(*peaks)) for rate, *peaks in rounds)
        return Roofline(self.best.name, limits(median(flops), median(memory)), reached)


def _likeness(one: Device, other: Device) -> tuple[bool, bool]:
    return one.precision is other.precision, one.engine == other.engine


def mode(name: str, precision: str, macs: int, rates: Rates) -> Mode:
    """What the rates of a mode come to."""
    return Mode(
        name=name,
        precision=precision,
        training=median(rates[name]),
        training_ratio=ratio(rates, name, PLAIN),
        mfu=ratio(rates, name, f"peak {precision}", factor=TRAINING * 2.0 * macs),
        inference=median(rates[answering(name)]),
        inference_ratio=ratio(rates, answering(name), answering(PLAIN)),
    )


def _ways(precision: str) -> list[tuple[str, str, str]]:
    """The names of our modes, with precision and engine."""
    low = precision if precision != "fp32" else "bf16"
    return [
        ("eager fp32", "fp32", "eager"),
        (f"eager {low}", low, "eager"),
        (f"compile {precision}", precision, "compile"),
        (f"graph {precision}", precision, "graph"),
    ]


def answering(name: str) -> str:
    """What the rates of a mode's inference are called."""
    return f"{name}, answering"


def _trouble(trainer: Paced) -> str:
    """Why the network cannot be run so; with fp32 it must."""
    try:
        trainer.work(WARM_UP + 1 if trainer.device.engine == "graph" else 1)  # then it is recorded
    except RuntimeError as error:
        said = (str(error).splitlines() or [type(error).__name__])[0][:200]
        if trainer.device.precision is torch.float32:
            raise Misfit(f"the network does not run: {said}") from None
        return said
    return trainer.obstacle


def _clock(where: torch.device) -> Clock:
    """Seconds; on a GPU when all that was asked for is done."""
    if where.type != "cuda":
        return perf_counter

    def waited() -> float:
        torch.cuda.synchronize()
        return perf_counter()

    return waited

"""What is measured: the trainer as it is, its input pipeline, its answers, and the same step written by hand."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Generator
from itertools import count, islice

import torch
from rich.console import Console
from torch import Tensor, nn

from archdsl.train import engine, network
from archdsl.train.augment import Batch, Epoch
from archdsl.train.loop import Trainer
from archdsl.train.loss import total
from archdsl.train.optimizer import Optimizer
from archdsl.train.progress import Reporter
from archdsl.train.signals import Flag
from archdsl.train.state import Plan


class Paced(Trainer):
    """The trainer, but it does as many steps as it is told to: an epoch ends without judging or saving."""

    def __init__(self, plan: Plan, model: nn.Module) -> None:
        self.notes = io.StringIO()
        reporter = Reporter(Console(file=self.notes, width=1000), plan.clock.total, plan.recipe.batch)
        super().__init__(plan, model, reporter, Flag())
        self.start = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self.endless = self._endless()

    def work(self, steps: int) -> None:
        """Go on by so many steps."""
        for _ in islice(self.endless, steps):
            pass

    def begin_anew(self, _steps: int) -> None:
        """The weights of the start, so that no rate is that of a network which has diverged."""
        _begin_anew(self.model, self.start, self.stepper.optimizer.inner)

    @property
    def obstacle(self) -> str:
        """What the engine said, where it could not do what it was asked for."""
        said = [line for line in self.notes.getvalue().splitlines() if line.startswith("engine")]
        return said[0] if said else ""

    def _endless(self) -> Generator[None]:
        while True:
            yield from self.steps()
            self.progress.epoch, self.progress.seen = self.progress.epoch + 1, 0
            self.stepper.sums.zero_()

    def answers(self, images: Tensor) -> Callable[[int], None]:
        """Runs the network on these images so many times."""
        images = images.to(self.device.device, memory_format=self.device.layout)

        def work(steps: int) -> None:
            self.model.eval()
            with torch.inference_mode():
                for _ in range(steps):
                    with self.device.autocast():
                        network.outputs(self.model, images)
            self.model.train()

        return work


class Bare:
    """The trainer's step as one would write it by hand: nothing is counted, checked, told, or could be resumed."""

    def __init__(self, trainer: Paced) -> None:
        self.trainer, self.device, self.recipe = trainer, trainer.device, trainer.recipe
        self.model = copy.deepcopy(trainer.model).train()
        self.forward = engine.forward(self.model, self.recipe, self.device, trainer.reporter.note)
        self.optimizer = Optimizer(self.model, self.recipe, trainer.clock).inner
        self.scaler = torch.amp.GradScaler(self.device.device.type, enabled=self.device.scales_loss)
        self.batches = self._batches()

    def begin_anew(self, _steps: int) -> None:
        """The weights of the start."""
        _begin_anew(self.model, self.trainer.start, self.optimizer)

    def load(self, steps: int) -> None:
        """The images of so many steps, for nothing: the input pipeline alone."""
        for _ in islice(self.batches, steps):
            pass

    def work(self, steps: int) -> None:
        """So many steps."""
        weights = self.trainer.plan.auxiliary_weights
        for batch in islice(self.batches, steps):
            self.optimizer.zero_grad(set_to_none=True)
            with self.device.autocast():
                outputs = network.outputs(self.forward, batch.images)
            loss = total(self.trainer.stepper.measure, outputs, batch, weights)
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()

    def _batches(self) -> Generator[Batch]:
        """The trainer's batches, for ever."""
        split, prepare = self.trainer.train_split, self.trainer.prepare
        for number in count():
            epoch = Epoch(self.recipe.seed, number, len(split), self.device.device)
            for first, index in enumerate(epoch.order().split(self.recipe.batch)):
                yield prepare(split.take(index), epoch.chance(index, first), 0.0)


def _begin_anew(model: nn.Module, start: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
    model.load_state_dict(start)
    for memory in optimizer.state.values():
        for value in memory.values():
            if isinstance(value, Tensor):
                value.zero_()

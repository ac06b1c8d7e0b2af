"""One training step: what happens on the device between a batch and the next weights."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from archdsl.train import network
from archdsl.train.augment import Batch
from archdsl.train.average import Average
from archdsl.train.distributed import ALONE, Team, unshared
from archdsl.train.loss import faded, measure
from archdsl.train.optimizer import Optimizer
from archdsl.train.phases import Phases
from archdsl.train.state import Plan, Progress
from archdsl.train.teaching import objective

LEFT_OUT = 20  # steps in a row; the scale begins at 2^16


class Stepper:
    """The network with all that moves its weights. `prepare` sets a step's numbers on the host, `run` does it.

    forward: how the network is called in training, set anew by what speeds it up.

    sums: loss, errors, images of the epoch, [3] float64. window: errors, images since the warm-up last looked, [2].
    bad: above 0 once a loss or gradient was not finite; no update is made from it, nor after it. late: how many steps
    since then, with that one. unsound: whether this rank's own images, labels or loss were the reason. left_out: how
    many steps in a row the loss scaler has left out.
    """

    def __init__(self, plan: Plan, model: nn.Module, team: Team = ALONE) -> None:
        where = plan.device.device
        self.team = team
        self.plan, self.recipe, self.device = plan, plan.recipe, plan.device
        self.model = network.moved(model, self.device)
        self.optimizer = Optimizer(self.model, self.recipe, plan.clock)
        self.average = Average(self.model, self.recipe.ema) if self.recipe.ema else None
        self.scaler = torch.amp.GradScaler(where.type, enabled=self.device.scales_loss)
        self.shared = team.averaged(self.model)
        self.forward: Callable[[Tensor], Any] = self.shared
        self.measure = measure(self.recipe.loss)
        self.objective = objective(self.recipe, plan.guide, plan.out, self.device)
        self.phases = Phases(self.model, self.recipe.dropout, plan.clock)
        self.auxiliary: Sequence[float] = ()
        self.sums = torch.zeros(3, dtype=torch.float64, device=where)
        self.window = torch.zeros(2, dtype=torch.float64, device=where)
        self.bad = torch.zeros((), device=where)
        self.late = torch.zeros((), dtype=torch.int64, device=where)
        self.unsound = torch.zeros((), dtype=torch.bool, device=where)
        self.left_out = torch.zeros((), device=where)

    def prepare(self, progress: Progress) -> None:
        """Set what changes from step to step: rates, and the weights of auxiliary losses."""
        self.optimizer.prepare(progress.step, progress.warm_end, progress.drops)
        self.phases.set(progress.step)
        self.auxiliary = faded(self.recipe, self.plan.auxiliary_weights, self.plan.clock.done(progress.step))
        if self.average:
            self.average.prepare()

    def run(self, batch: Batch, weight: float = 1.0, counts: bool = True) -> None:
        """Move the weights by one batch, unless a number is not finite: then nothing moves, now or later.

        `weight` and `counts` are those of the `Portion` that the batch is.
        """
        self.optimizer.clear()
        loss = self._gradients(batch, weight, counts)
        sound = loss.isfinite() & (batch.labels.amin() >= 0)  # torch leaves out a label of -100 in silence
        self.unsound.copy_(torch.where(self.bad > 0, self.unsound, ~sound))
        if self.scaler.is_enabled():
            self._give_a_reason()
        self.scaler.unscale_(self.optimizer.inner)
        norm = get_total_norm(self.optimizer.gradients())
        if not self._may_update(norm):
            self.scaler.update()  # or it refuses the next step
            return
        if self.recipe.clip is not None:
            clip_grads_with_norm_(self.optimizer.names, self.recipe.clip, norm)
        self.scaler.step(self.optimizer.inner)
        self.scaler.update()
        self.optimizer.hold()
        if self.average:
            self.average.update(self.model)

    def _gradients(self, batch: Batch, weight: float, counts: bool) -> Tensor:
        """The mean loss of the batch; its gradients, `weight` times, are added up over micro-batches."""
        whole = torch.zeros((), device=self.device.device)
        count, done = len(batch.labels), 0
        for part in self._parts(batch):
            share, done = len(part.labels) / count, done + len(part.labels)
            with unshared(self.shared, last=done == count):
                with self.device.autocast():
                    results = network.outputs(self.forward, part.images)
                loss = self.objective(results, part, self.auxiliary)
                self.scaler.scale(loss * (share * weight)).backward()
            whole += loss.detach() * share
            if counts:
                self._count(results[0].detach(), part.labels)
        if counts:
            self.sums[0] += whole * count
        return whole

    def _parts(self, batch: Batch) -> Iterator[Batch]:
        """The batch in pieces of like size, so that none has a single image left for its batch norm."""
        pieces = self._pieces(len(batch.labels))
        if pieces == 1:
            yield batch
            return
        partners = [None] * pieces if batch.partner is None else batch.partner.tensor_split(pieces)
        columns = batch.images.tensor_split(pieces), batch.labels.tensor_split(pieces), partners
        for images, labels, partner in zip(*columns, strict=True):
            yield Batch(images, labels, partner, batch.share)

    def _pieces(self, count: int) -> int:
        """As many on every rank, or those that share statistics would wait for each other."""
        if self.plan.micro_batch is None:
            return 1
        pieces = self.team.largest(-(-count // self.plan.micro_batch))
        return min(pieces, -self.team.largest(-count))

    def _count(self, logits: Tensor, labels: Tensor) -> None:
        wrong = (logits.argmax(1) != labels).sum()
        self.sums[1] += wrong
        self.sums[2] += len(labels)
        if self.recipe.warmup is not None and self.recipe.warmup.until_error is not None:
            self.window[0] += wrong
            self.window[1] += len(labels)

    def _give_a_reason(self) -> None:
        """A loss scaler leaves out a step for gradients that are not finite, and for nothing else."""
        factor = torch.where(self.unsound | (self.bad > 0), float("nan"), 1.0)
        for gradient in self.optimizer.gradients():
            gradient.mul_(factor)

    def _overflows(self, norm: Tensor) -> Tensor:
        """Whether gradients are not finite; of a scaled loss, whether no scale has helped: each step halves it."""
        if not self.device.scales_loss:
            return ~norm.isfinite()
        self.left_out.add_(1).mul_(~norm.isfinite())
        return self.left_out >= LEFT_OUT

    def _may_update(self, norm: Tensor) -> bool:
        """On the CPU look at once. On a GPU tell the fused optimiser to skip, and let the loop look now and then."""
        wrong = self.team.worst(self.unsound | self._overflows(norm))
        torch.maximum(self.bad, wrong.float(), out=self.bad)
        self.late += self.bad > 0
        if self.device.reads_are_free or not self.optimizer.skips:
            return not bool(self.bad)
        self.optimizer.inner.found_inf = self.bad  # pyright: ignore[reportAttributeAccessIssue]
        self.optimizer.inner.grad_scale = None  # pyright: ignore[reportAttributeAccessIssue]
        return True

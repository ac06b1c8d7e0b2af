"""The training loop, as a machine whose whole state can be saved between any two steps and put back exactly."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from archdsl.fsio import FileTrouble
from archdsl.recipe import Recipe
from archdsl.train import chance, checkpoint, folder, network
from archdsl.train.augment import Batch, Chance, augment
from archdsl.train.average import Average
from archdsl.train.checkpoint import Checkpoint
from archdsl.train.data.images import Images, Split, Taken
from archdsl.train.device import Device
from archdsl.train.diagnose import first_not_finite
from archdsl.train.evaluate import Verdict, judge
from archdsl.train.loss import faded, measure, total
from archdsl.train.normalize import Step, fit, through, to_float
from archdsl.train.optimizer import Optimizer
from archdsl.train.progress import Reporter, Row
from archdsl.train.randomness import key, permutation
from archdsl.train.schedule import Clock
from archdsl.train.signals import Flag
from archdsl.train.trouble import NotFinite, Stopped, TrainTrouble

_WARM_WINDOW = 50  # steps over which a warm-up that waits for an error measures it
_READ_EVERY = 50  # steps between looks at the GPU's numbers
_SAVES_MAY_FAIL = 2  # in a row; the next one ends the run


@dataclass
class Progress:
    """Where the run is. `seen` counts the steps of the epoch under way."""

    epoch: int = 0
    seen: int = 0
    step: int = 0
    warm_end: int | None = None
    average_updates: int = 0
    seconds: float = 0.0
    """Of the epoch under way, over all interruptions."""
    rows: list[Row] = field(default_factory=list[Row])

    @property
    def best(self) -> Row | None:
        """The first row of the lowest error: validation's, where the recipe holds images back for it."""
        return min(self.rows, key=lambda row: row.judged_by, default=None)


@dataclass(frozen=True, eq=False)
class Plan:
    """What is fixed for the whole run."""

    recipe: Recipe
    images: Images
    device: Device
    clock: Clock
    out: Path
    identity: str
    """A digest of network, recipe and data: a checkpoint of another run does not fit."""
    auxiliary_weights: tuple[float, ...] = ()
    keep: int = 2
    save_steps: int | None = None
    micro_batch: int | None = None


class Trainer:
    """One run. `train` goes on until the end, or until a signal or trouble ends it with an exception."""

    def __init__(self, plan: Plan, model: nn.Module, reporter: Reporter, flag: Flag) -> None:
        self.plan, self.reporter, self.flag = plan, reporter, flag
        self.recipe, self.device, self.clock = plan.recipe, plan.device, plan.clock
        where = self.device.device
        self.model = network.moved(model, self.device)
        self.optimizer = Optimizer(self.model, self.recipe, self.clock)
        self.average = Average(self.model, self.recipe.ema) if self.recipe.ema else None
        self.scaler = torch.amp.GradScaler(where.type, enabled=self.device.scales_loss)
        self.forward = torch.compile(self.model) if self.device.engine == "compile" else self.model
        self.measure = measure(self.recipe.loss)
        self.train_split, self.validation, self.test = self._splits()
        self.normalize: list[Step] = fit(self.recipe.normalize, self.train_split)
        self.progress = Progress()
        self.sums = torch.zeros(3, dtype=torch.float64, device=where)  # loss, errors, images of the epoch
        self.window = torch.zeros(2, dtype=torch.float64, device=where)  # errors, images since warm-up last looked
        self.bad = torch.zeros((), device=where)  # above 0 once a number was not finite
        self.failed_saves = 0

    def _splits(self) -> tuple[Split, Split | None, Split]:
        where, held = self.device.device, self.recipe.validation
        train, test = self.plan.images.train.to(where), self.plan.images.test.to(where)
        cut = len(train) - held
        return train.part(0, cut), train.part(cut, len(train)) if held else None, test

    # --- the run

    def train(self) -> list[Row]:
        """Run to the end from wherever `progress` stands; returns the metrics."""
        try:
            while not self._over():
                self._epoch()
        finally:
            self.reporter.close()
        return self.progress.rows

    def _over(self) -> bool:
        patience = self.recipe.early_stop
        best = self.progress.best
        stale = patience is not None and best is not None and self.progress.epoch - best.epoch >= patience
        return stale or (self.progress.step >= self.clock.total and self.progress.seen == 0)

    def _epoch(self) -> None:
        p = self.progress
        steps = self._epoch_steps()
        self.reporter.begin(p.epoch + 1, steps, p.seen, p.step)
        began, before = monotonic(), p.seconds
        order = permutation(key(self.recipe.seed, p.epoch), len(self.train_split)).to(self.device.device)
        self.model.train()
        rest = order.split(self.recipe.batch)[p.seen : steps]
        with closing(self.train_split.stream(rest, p.epoch)) as stream:
            for index, taken in zip(rest, stream, strict=True):
                self._step(index, taken)
                p.seconds = before + monotonic() - began
                self._between_steps(steps)
        self._close_epoch()

    def _epoch_steps(self) -> int:
        """The last epoch of a recipe in iterations may be a short one."""
        begun = self.progress.step - self.progress.seen
        return min(self.clock.steps_per_epoch, self.clock.total - begun)

    def _between_steps(self, steps: int) -> None:
        p = self.progress
        self._watch_numbers(last=p.seen == steps)
        self._watch_warmup()
        if self.reporter.wants(p.seen):
            loss, error = self._so_far()
            self.reporter.step(p.seen, p.step, loss, error)
        if self.flag:
            self._stop()
        if self.plan.save_steps and p.step % self.plan.save_steps == 0:
            self._save()

    def _close_epoch(self) -> None:
        """Judge, write down, save. A signal while judging saves the state before it, and judging starts over later."""
        p = self.progress
        loss, error = self._so_far()
        lr = float(self.optimizer.prepare(p.step - 1, p.warm_end))
        validation = self._judge(self.validation) if self.validation else None
        test = self._judge(self.test)
        row = Row(
            p.epoch + 1,
            p.step,
            lr,
            loss,
            error,
            validation.error if validation else None,
            test.loss,
            test.error,
            p.seconds,
        )
        p.rows.append(row)
        p.epoch, p.seen, p.seconds = p.epoch + 1, 0, 0.0
        self.sums.zero_()
        self.reporter.row(row)
        folder.write_metrics(self.plan.out, p.rows)
        self._save()

    # --- one step

    def _step(self, index: Tensor, taken: Taken) -> None:
        p = self.progress
        self.optimizer.prepare(p.step, p.warm_end)
        self.optimizer.clear()
        batch = self._batch(index, taken)
        loss = self._gradients(batch)
        self._update(loss, batch)
        p.step += 1
        p.seen += 1

    def _batch(self, index: Tensor, taken: Taken) -> Batch:
        pixels, labels = taken
        batch = Batch(through(self.normalize, to_float(pixels)), labels)
        p = self.progress
        return augment(
            self.recipe.augment, batch, Chance(self.recipe.seed, p.epoch, index, p.seen), self.clock.done(p.step)
        )

    def _gradients(self, batch: Batch) -> Tensor:
        """The mean loss of the batch, its gradients added up over micro-batches."""
        whole = torch.zeros((), device=self.device.device)
        weights = faded(self.recipe, self.plan.auxiliary_weights, self.clock.done(self.progress.step))
        count = len(batch.labels)
        for part in self._parts(batch):
            with self.device.autocast():
                results = network.outputs(self.forward, part.images)
            loss = total(self.measure, results, part, weights) * (len(part.labels) / count)
            self.scaler.scale(loss).backward()
            whole += loss.detach()
            self._count(results[0].detach(), part.labels)
        return whole

    def _parts(self, batch: Batch) -> Iterator[Batch]:
        size = self.plan.micro_batch
        if size is None or size >= len(batch.labels):
            yield batch
            return
        for start in range(0, len(batch.labels), size):
            cut = slice(start, start + size)
            partner = None if batch.partner is None else batch.partner[cut]
            yield Batch(batch.images[cut], batch.labels[cut], partner, batch.share)

    def _count(self, logits: Tensor, labels: Tensor) -> None:
        wrong = (logits.argmax(1) != labels).sum()
        self.sums[1] += wrong
        self.sums[2] += len(labels)
        if self._warming():
            self.window[0] += wrong
            self.window[1] += len(labels)

    def _update(self, loss: Tensor, batch: Batch) -> None:
        """Move the weights, unless a number is not finite: then nothing moves, now or later."""
        self.scaler.unscale_(self.optimizer.inner)
        gradients = self.optimizer.gradients()
        norm = get_total_norm(gradients)
        wrong = ~(loss.isfinite() & (norm.isfinite() | self.device.scales_loss))
        self._guard(wrong, batch)
        if self.recipe.clip is not None:
            clip_grads_with_norm_(self.optimizer.names, self.recipe.clip, norm)
        self.scaler.step(self.optimizer.inner)
        self.scaler.update()
        self.optimizer.hold()
        self.sums[0] += loss * len(batch.labels)
        if self.average:
            self.average.update(self.model)

    def _guard(self, wrong: Tensor, batch: Batch) -> None:
        """On the CPU stop at once. On a GPU tell the fused optimiser to skip, and look at the flag now and then."""
        if self.device.reads_are_free or not self.optimizer.skips:
            if bool(wrong):
                self._not_finite(batch)
            return
        self.bad = torch.maximum(self.bad, wrong.float())
        self.optimizer.inner.found_inf = self.bad  # pyright: ignore[reportAttributeAccessIssue]
        self.optimizer.inner.grad_scale = None  # pyright: ignore[reportAttributeAccessIssue]

    # --- between steps

    def _warming(self) -> bool:
        warmup = self.recipe.warmup
        return warmup is not None and warmup.until_error is not None and self.progress.warm_end is None

    def _watch_warmup(self) -> None:
        """End a warm-up that waits for a training error, measured over the last steps."""
        if not self._warming() or self.progress.step % _WARM_WINDOW:
            return
        wrong, count = self.window.tolist()
        self.window.zero_()
        until = self.recipe.warmup.until_error if self.recipe.warmup else None
        if until is not None and wrong / max(count, 1) < until:
            self.progress.warm_end = self.progress.step
            self.reporter.note(f"warm-up over after {self.progress.step} steps: training error {wrong / count:.2%}")

    def _watch_numbers(self, last: bool) -> None:
        looks = not self.device.reads_are_free and (last or self.progress.step % _READ_EVERY == 0)
        if looks and float(self.bad) > 0:
            self._not_finite(None)

    def _not_finite(self, batch: Batch | None) -> None:
        place = "" if batch is None else first_not_finite(self.model, batch.images, self.device)
        saved = self._newest_step()
        rest = f"the last checkpoint is that of step {saved}" if saved is not None else "no checkpoint was made yet"
        raise NotFinite(f"step {self.progress.step + 1}: {place or 'loss or gradient is not finite'}; {rest}")

    def _so_far(self) -> tuple[float, float]:
        loss, wrong, count = self.sums.tolist()
        return loss / max(count, 1), wrong / max(count, 1)

    def _judge(self, split: Split) -> Verdict:
        model = self.average.model if self.average else self.model
        verdict = judge(model, split, self.recipe, self.device, self.normalize, self.measure, self.flag)
        if verdict is None:
            self._stop()
        assert verdict is not None
        return verdict

    def _stop(self) -> None:
        self._save(must=True)
        raise Stopped(
            f"stopped by {self.flag.name} after step {self.progress.step}; --resume goes on from {self.plan.out}"
        )

    # --- saving and coming back

    def _newest_step(self) -> int | None:
        return max((int(p.name.removeprefix("step-")) for p in checkpoint.finished(self.plan.out)), default=None)

    def _save(self, must: bool = False) -> None:
        """A full disk costs this save only, until it has happened three times in a row or the save is the last."""
        try:
            checkpoint.save(self.plan.out, self.snapshot())
            best = self.progress.best
            checkpoint.prune(self.plan.out, self.plan.keep, best.step if best else None)
            self.failed_saves = 0
        except (FileTrouble, checkpoint.Damaged) as trouble:
            self.failed_saves += 1
            if must or self.failed_saves > _SAVES_MAY_FAIL:
                raise TrainTrouble(f"{trouble}; the newest checkpoint is that of step {self._newest_step()}") from None
            self.reporter.note(f"not saved: {trouble}")

    def snapshot(self) -> Checkpoint:
        """Everything that the rest of the run depends on."""
        p = self.progress
        p.average_updates = self.average.updates if self.average else 0
        training = {f"optimizer/{name}": tensor for name, tensor in self.optimizer.tensors().items()}
        if self.average:
            training |= {f"average/{name}": tensor for name, tensor in self.average.model.state_dict().items()}
        training |= {"sums": self.sums, "window": self.window, **chance.tensors()}
        state = {
            "identity": self.plan.identity,
            "fingerprint": self.fingerprint(),
            "progress": asdict(p),
            "scaler": self.scaler.state_dict(),
            "chance": chance.numbers(),
        }
        return Checkpoint(p.step, self.model.state_dict(), training, state)

    def fingerprint(self) -> dict[str, object]:
        """What may change the last bits of the numbers."""
        return {
            "torch": torch.__version__,
            "threads": self.device.threads,
            "device": str(self.device),
            "micro_batch": self.plan.micro_batch,
        }

    def restore(self, saved: Checkpoint) -> None:
        """Stand where `saved` was taken. What differs from then and may show in the last bits is said."""
        if saved.state["identity"] != self.plan.identity:
            raise TrainTrouble(f"{self.plan.out} holds a run of another network, recipe or data set: nothing was done")
        for name, value in self.fingerprint().items():
            then = saved.state["fingerprint"].get(name)
            if then != value:
                self.reporter.note(f"not bit for bit: {name} was {then}, is {value}")
        self._restore_tensors(saved)
        self._restore_progress(saved.state["progress"])
        self.scaler.load_state_dict(saved.state["scaler"])
        chance.restore(dict(saved.training), saved.state["chance"])

    def _restore_tensors(self, saved: Checkpoint) -> None:
        self.model.load_state_dict(saved.weights)
        self.optimizer.load(_below("optimizer/", saved.training))
        if self.average:
            self.average.model.load_state_dict(_below("average/", saved.training))
        self.sums.copy_(saved.training["sums"])
        self.window.copy_(saved.training["window"])

    def _restore_progress(self, state: Mapping[str, Any]) -> None:
        values: dict[str, Any] = {**state, "rows": [Row(**row) for row in state["rows"]]}
        self.progress = Progress(**values)
        if self.average:
            self.average.updates = self.progress.average_updates
        folder.write_metrics(self.plan.out, self.progress.rows)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

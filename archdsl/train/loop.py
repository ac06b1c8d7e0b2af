"""The training loop, as a machine whose whole state can be saved between any two steps and put back exactly."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from time import monotonic

from torch import Tensor, nn

from archdsl.fsio import FileTrouble
from archdsl.recipe.records import PcaColour
from archdsl.train import checkpoint, engine, folder, saving
from archdsl.train.augment import Batch, Epoch
from archdsl.train.checkpoint import Checkpoint
from archdsl.train.data.images import Split, Taken
from archdsl.train.diagnose import LOSS, first_not_finite
from archdsl.train.distributed import ALONE, Portion, Team
from archdsl.train.evaluate import Verdict, judge
from archdsl.train.normalize import Normalization, fit, principal_colours
from archdsl.train.prepare import Preparation
from archdsl.train.progress import Reporter, Row
from archdsl.train.schedule import plateau_drops, watched_errors
from archdsl.train.signals import Flag
from archdsl.train.state import Plan, Progress
from archdsl.train.step import Stepper
from archdsl.train.synced_norm import apart
from archdsl.train.trouble import NotFinite, Stopped, TrainTrouble

_WARM_WINDOW = 50  # steps over which a warm-up that waits for an error measures it
_READ_EVERY = 50  # steps between looks at the GPU's numbers
_SAVES_MAY_FAIL = 2  # in a row; the next one ends the run


class Trainer:
    """One run. `train` goes on until the end, or until a signal or trouble ends it with an exception.

    Of a team, all ranks are at the same step and do the same between steps; only the leader writes.
    """

    def __init__(self, plan: Plan, model: nn.Module, reporter: Reporter, flag: Flag, team: Team = ALONE) -> None:
        self.team = team
        self.plan, self.reporter, self.flag = plan, reporter, flag
        self.recipe, self.device, self.clock = plan.recipe, plan.device, plan.clock
        self.stepper = Stepper(plan, model, team)
        self.stepper.forward = engine.forward(self.stepper.shared, self.recipe, self.device, reporter.note)
        self.run_step = engine.engine(self.stepper, team, reporter.note)
        self.model = self.stepper.model
        self.train_split, self.validation, self.test = self._splits()
        self.normalize = Normalization(fit(self.recipe.normalize, self.train_split, self.recipe.resize))
        self.prepare = Preparation(
            self.normalize, self.recipe.augment, self.train_split.shape, self.device.device, self._colours()
        )
        self.progress = Progress()
        self.epoch = self._epoch_of_chance()
        self.began = monotonic()
        self.failed_saves = 0

    def _splits(self) -> tuple[Split, Split | None, Split]:
        where, held = self.device.device, self.recipe.validation
        train, test = self.plan.images.train.to(where), self.plan.images.test.to(where)
        cut = len(train) - held
        return train.part(0, cut), train.part(cut, len(train)) if held else None, test

    def _colours(self) -> Tensor | None:
        if not any(isinstance(record, PcaColour) for record in self.recipe.augment):
            return None
        return principal_colours(self.train_split, self.normalize.steps)

    # --- the run

    def train(self) -> list[Row]:
        """Run to the end from wherever `progress` stands; returns the metrics. A signal now waits for its step."""
        self.flag.at_once = False
        try:
            while not self._over():
                self._epoch()
        finally:
            self.reporter.close()
        return self.progress.rows

    def restore(self, saved: Checkpoint) -> None:
        """Stand where `saved` was taken. What differs from then and may show in the last bits is said."""
        self.progress = saving.restore(self.plan, self.stepper, saved)
        for difference in saving.differences(self.plan, self.team, saved):
            self.reporter.note(difference)
        self._write_metrics()

    def _over(self) -> bool:
        patience = self.recipe.early_stop
        best = self.progress.best
        stale = patience is not None and best is not None and self.progress.epoch - best.epoch >= patience
        return stale or (self.progress.step >= self.clock.total and self.progress.seen == 0)

    def _epoch(self) -> None:
        for _ in self.steps():
            pass
        self._close_epoch()

    def steps(self) -> Generator[None]:
        """The rest of the epoch under way, a step at a time."""
        p = self.progress
        steps = self._epoch_steps()
        self.reporter.begin(p.epoch + 1, steps, p.seen, p.step)
        self.began = monotonic() - p.seconds
        self.epoch = self._epoch_of_chance()
        self.model.train()
        rest = [self.team.portion(index) for index in self.epoch.order().split(self.recipe.batch)[p.seen : steps]]
        with closing(self.train_split.stream([portion.index for portion in rest], p.epoch)) as stream:
            for portion, taken in zip(rest, stream, strict=True):
                batch = self._step(portion, taken)
                self._between_steps(steps, batch)
                yield

    def _epoch_of_chance(self) -> Epoch:
        return Epoch(self.recipe.seed, self.progress.epoch, len(self.train_split), self.device.device)

    def _epoch_steps(self) -> int:
        """The last epoch of a recipe in iterations may be a short one."""
        begun = self.progress.step - self.progress.seen
        return min(self.clock.steps_per_epoch, self.clock.total - begun)

    def _step(self, portion: Portion, taken: Taken) -> Batch:
        p = self.progress
        batch = self._batch(portion.index, taken)
        self.stepper.prepare(p)
        with apart(self.model, portion.repeated):
            self.run_step(batch, portion.weight, portion.counts)
        p.step += 1
        p.seen += 1
        return batch

    def _batch(self, index: Tensor, taken: Taken) -> Batch:
        """The images normalised and augmented, as numbers on the device."""
        p = self.progress
        return self.prepare(taken, self.epoch.chance(index, p.seen), self.clock.done(p.step))

    def _close_epoch(self) -> None:
        """Judge, write down, save. A signal while judging saves the state before it, and judging starts over later."""
        p = self.progress
        loss, error = _means(self.team.total(self.stepper.sums))
        lr = float(self.stepper.optimizer.prepare(p.step - 1, p.warm_end, p.drops))
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
        p.drops = plateau_drops(self.recipe, self.clock, watched_errors(self.recipe, p.rows))
        self.stepper.sums.zero_()
        self.reporter.row(row)
        self._save()

    # --- between steps

    def _between_steps(self, steps: int, batch: Batch) -> None:
        p = self.progress
        stops = self._asked_to_stop()
        saves = self.plan.save_steps is not None and p.step % self.plan.save_steps == 0
        last = p.seen == steps
        looks = self.device.reads_are_free or last or saves or stops or p.step % _READ_EVERY == 0
        if looks:
            self._refuse_not_finite(batch)
        p.seconds = monotonic() - self.began  # only now is a GPU done with the step
        self._watch_warmup()
        if looks and self.reporter.wants(p.seen):
            self.reporter.step(p.seen, p.step, *_means(self.stepper.sums))
        if stops:
            self._stop()
        if saves:
            self._save()

    def _asked_to_stop(self) -> bool:
        """Whether a signal has come, here or to another rank: all stop at the same step."""
        return self.flag.agreed(self.team.largest)

    def _watch_warmup(self) -> None:
        """End a warm-up that waits for a training error, measured over the last steps."""
        until = self.recipe.warmup.until_error if self.recipe.warmup else None
        p = self.progress
        if until is None or p.warm_end is not None or p.step % _WARM_WINDOW:
            return
        wrong, count = self.team.total(self.stepper.window).tolist()
        self.stepper.window.zero_()
        if wrong / max(count, 1) < until:
            p.warm_end = p.step
            self.reporter.note(f"warm-up over after {p.step} steps: training error {wrong / count:.2%}")

    def _refuse_not_finite(self, batch: Batch) -> None:
        """End the run where a number was not finite: at once on the CPU, on a GPU perhaps some steps later."""
        late = int(self.stepper.late)
        if not late:
            return
        place = self._cause(batch if late == 1 else self._again(late))
        raise NotFinite(f"step {self.progress.step}: {place}; {self._left('last')}")

    def _again(self, late: int) -> Batch:
        """The step that was not finite, done again with its images: no weight has moved since."""
        p = self.progress
        p.step, p.seen = p.step - late, p.seen - late
        portion = self.team.portion(self.epoch.order().split(self.recipe.batch)[p.seen])
        self.run_step = self.stepper.run
        return self._step(portion, self.train_split.take(portion.index))

    def _cause(self, batch: Batch) -> str:
        """The place, as the first rank says whose own numbers they are; of averaged gradients each sees the same."""
        unsound = bool(self.stepper.unsound)
        place = first_not_finite(self.model, batch, self.device, unsound)
        mine = place if unsound else ""
        said = {rank: text.decode() for rank, text in enumerate(self.team.gathered(mine.encode())) if text}
        # through shared statistics one rank's images make every rank's loss what it is
        for rank, text in sorted(said.items(), key=lambda pair: pair[1] == LOSS):
            return f"rank {rank}: {text}" if self.team.size > 1 else text
        return place

    def _judge(self, split: Split) -> Verdict:
        model = self.stepper.average.model if self.stepper.average else self.model
        self.team.align(model)
        recipe, measure = self.recipe, self.stepper.measure
        most = self.plan.micro_batch
        verdict = judge(model, split, recipe, self.device, self.normalize, measure, self.flag, self.team, most)
        if verdict is None:
            self._stop()
        assert verdict is not None
        return verdict

    # --- saving

    def _stop(self) -> None:
        self._save(must=True)
        raise Stopped(
            f"stopped by {self.flag.name} after step {self.progress.step}; --resume goes on from {self.plan.out}"
        )

    def _left(self, which: str) -> str:
        """What there is to go on from: the last checkpoint, or the newest."""
        step = max(map(checkpoint.step_of, checkpoint.finished(self.plan.out)), default=None)
        return "no checkpoint was made yet" if step is None else f"the {which} checkpoint is that of step {step}"

    def _save(self, must: bool = False) -> None:
        """A full disk costs this save only, until it has happened three times in a row or the save is the last."""
        taken = saving.snapshot(self.plan, self.stepper, self.progress)
        trouble = self.team.from_leader(lambda: self._written(taken))
        self.failed_saves = self.failed_saves + 1 if trouble else 0
        if trouble and (must or self.failed_saves > _SAVES_MAY_FAIL):
            raise TrainTrouble(f"{trouble}; {self._left('newest')}")
        if trouble:
            self.reporter.note(f"not saved: {trouble}")

    def _written(self, taken: Checkpoint) -> str:
        """Write a checkpoint, remove what is too old, bring the metrics up to date; what went wrong."""
        best = self.progress.best
        try:
            checkpoint.save(self.plan.out, taken)
            checkpoint.prune(self.plan.out, self.plan.keep, best.step if best else None)
            self._write_metrics()
        except (FileTrouble, checkpoint.Damaged) as trouble:
            return str(trouble)
        return ""

    def _write_metrics(self) -> None:
        if self.team.leads:
            folder.write_metrics(self.plan.out, self.progress.rows)


def _means(sums: Tensor) -> tuple[float, float]:
    """Loss and error of the images that `sums` holds."""
    loss, wrong, count = sums.tolist()
    return loss / max(count, 1), wrong / max(count, 1)

"""What a person sees while a network trains: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

LINES_PER_EPOCH = 4


@dataclass(frozen=True)
class Row:
    """One line of the metrics: an epoch's result. Errors are shares."""

    epoch: int
    step: int
    lr: float
    train_loss: float
    train_error: float
    validation_error: float | None
    test_loss: float
    test_error: float
    seconds: float

    @property
    def judged_by(self) -> float:
        """The error by which the best epoch is chosen."""
        return self.test_error if self.validation_error is None else self.validation_error

    def __str__(self) -> str:
        validation = "" if self.validation_error is None else f"  validation {self.validation_error:6.2%}"
        return (
            f"epoch {self.epoch:3}  loss {self.train_loss:.4f}  train error {self.train_error:6.2%}{validation}"
            f"  test error {self.test_error:6.2%}  lr {self.lr:.3g}  {self.seconds:.1f} s"
        )


class Reporter:
    """Plain lines: one an epoch, and a few on the way."""

    def __init__(self, console: Console, run_steps: int, batch: int) -> None:
        self.console = console
        self.run_steps = run_steps
        self.batch = batch
        self.epoch = 0
        self.steps = 1
        self.told = 0
        self.began = time.monotonic()
        self.began_at = 0

    def note(self, text: str) -> None:
        """Something worth a line of its own."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def begin(self, epoch: int, steps: int, done: int, run_done: int) -> None:
        """An epoch of so many steps starts, or goes on, with so many done; `run_done` counts from the run's start."""
        self.epoch, self.steps, self.told = epoch, steps, done
        self.began, self.began_at = time.monotonic(), run_done

    def wants(self, done: int) -> bool:
        """Whether `step` would show anything now; if not, the numbers need not be fetched."""
        quarter = max(self.steps // LINES_PER_EPOCH, 1)
        return done // quarter > self.told // quarter and done < self.steps

    def step(self, done: int, run_done: int, loss: float, error: float) -> None:
        """So many steps of the epoch are done, with this mean loss and error so far."""
        self.told = done
        where = f"epoch {self.epoch:3}  step {done}/{self.steps}"
        self.note(f"{where}  loss {loss:.4f}  error {error:6.2%}  {self.speed(run_done)}")

    def speed(self, run_done: int) -> str:
        """Rate and time left, as seen since the epoch began or went on."""
        rate = (run_done - self.began_at) / max(time.monotonic() - self.began, 1e-9)
        left = (self.run_steps - run_done) / max(rate, 1e-9)
        return f"{rate * self.batch:,.0f} images/s  {duration(left)} left"

    def row(self, row: Row) -> None:
        """An epoch is over and judged."""
        self.note(str(row))

    def close(self) -> None:
        """Nothing more will come."""


class Bars(Reporter):
    """A bar that grows through each epoch, with the epoch's line left behind above it."""

    def __init__(self, console: Console, run_steps: int, batch: int) -> None:
        super().__init__(console, run_steps, batch)
        columns: list[ProgressColumn] = [
            TextColumn("epoch {task.fields[epoch]:3}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed}/{task.total}"),
            _Said(),
        ]
        self.progress = Progress(*columns, console=console, transient=True, expand=True)
        self.task: TaskID | None = None
        self.shown = 0.0

    def begin(self, epoch: int, steps: int, done: int, run_done: int) -> None:
        """A new bar."""
        super().begin(epoch, steps, done, run_done)
        self.progress.start()
        self._drop()
        self.task = self.progress.add_task("", total=steps, completed=done, epoch=epoch, said="")

    def wants(self, done: int) -> bool:
        """Five times a second."""
        return time.monotonic() - self.shown > 0.2

    def step(self, done: int, run_done: int, loss: float, error: float) -> None:
        """Move the bar."""
        if self.task is not None:
            said = f"loss {loss:.4f}  error {error:6.2%}  {self.speed(run_done)}"
            self.progress.update(self.task, completed=done, said=said)
            self.shown = time.monotonic()

    def row(self, row: Row) -> None:
        """The epoch's line stays; the bar goes."""
        self._drop()
        super().row(row)

    def close(self) -> None:
        """Give the terminal back."""
        self._drop()
        self.progress.stop()

    def _drop(self) -> None:
        if self.task is not None:
            self.progress.remove_task(self.task)
            self.task = None


class _Said(ProgressColumn):
    max_refresh = 0.1

    def render(self, task: Task) -> Text:
        return Text(str(task.fields["said"]))


def reporter(console: Console, run_steps: int, batch: int) -> Reporter:
    """The one that suits the console."""
    return (Bars if console.is_terminal else Reporter)(console, run_steps, batch)


def duration(seconds: float) -> str:
    """`1:02:03`, or `2:03` under an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

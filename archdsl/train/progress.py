"""What a person sees while a network trains: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress import Progress, ProgressColumn, Task, TaskID
from rich.progress_bar import ProgressBar
from rich.segment import Segment

LINES_PER_EPOCH = 4
_BAR = 6  # columns below which a bar shows nothing
_DROPPED = ("loss", "rate", "error", "count", "left")  # where a terminal is narrow, in this order, after the bar


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

    def told(self, judged: str = "test") -> str:
        """The row as a line; `judged` is what the images are called that are not learnt from."""
        validation = "" if self.validation_error is None else f"  validation {self.validation_error:6.2%}"
        return (
            f"epoch {self.epoch:3}  loss {self.train_loss:.4f}  train error {self.train_error:6.2%}{validation}"
            f"  {judged} error {self.test_error:6.2%}  lr {self.lr:.3g}  {self.seconds:.1f} s"
        )


class Reporter:
    """Plain lines: one an epoch, and a few on the way."""

    def __init__(self, console: Console, run_steps: int, batch: int, judged: str = "test") -> None:
        self.console = console
        self.judged = judged
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
        self.note("  ".join([where, *self._said(run_done, loss, error).values()]))

    def _said(self, run_done: int, loss: float, error: float) -> dict[str, str]:
        """Loss and error, and rate and time left, as seen since the epoch began or went on."""
        rate = (run_done - self.began_at) / max(time.monotonic() - self.began, 1e-9)
        left = (self.run_steps - run_done) / max(rate, 1e-9)
        speed = {"rate": f"{rate * self.batch:,.0f} images/s", "left": f"{duration(left)} left"}
        return {"loss": f"loss {loss:.4f}", "error": f"error {error:6.2%}", **speed}

    def row(self, row: Row) -> None:
        """An epoch is over and judged."""
        self.note(row.told(self.judged))

    def close(self) -> None:
        """Nothing more will come."""


class Bars(Reporter):
    """A bar that grows through each epoch, with the epoch's line left behind above it."""

    def __init__(self, console: Console, run_steps: int, batch: int, judged: str = "test") -> None:
        super().__init__(console, run_steps, batch, judged)
        self.progress = Progress(_Line(), console=console, transient=True, expand=True)
        self.task: TaskID | None = None
        self.shown = 0.0

    def begin(self, epoch: int, steps: int, done: int, run_done: int) -> None:
        """A new bar."""
        super().begin(epoch, steps, done, run_done)
        self.progress.start()
        self._drop()
        self.task = self.progress.add_task("", total=steps, completed=done, epoch=epoch, said={})

    def wants(self, done: int) -> bool:
        """Five times a second."""
        return time.monotonic() - self.shown > 0.2

    def step(self, done: int, run_done: int, loss: float, error: float) -> None:
        """Move the bar."""
        if self.task is not None:
            self.progress.update(self.task, completed=done, said=self._said(run_done, loss, error))
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


class _Line(ProgressColumn):
    def render(self, task: Task) -> _Drawn:
        return _Drawn(task)


@dataclass(frozen=True)
class _Drawn:
    """One line, however wide the terminal is: the bar takes what the words leave, and goes before they do."""

    task: Task

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        task, width = self.task, options.max_width
        epoch, count = f"epoch {task.fields['epoch']:3}", f"{task.completed:.0f}/{task.total:.0f}"
        words: dict[str, str] = {"epoch": epoch, "count": count, **task.fields["said"]}
        room = width - len(_joined(words)) - 2
        if room < _BAR:
            yield Segment(_fitting(words, width)[:width])
            return
        yield Segment(f"{words.pop('epoch')}  ")
        yield ProgressBar(total=task.total, completed=task.completed, width=room)
        yield Segment(f"  {_joined(words)}")


def _fitting(words: dict[str, str], width: int) -> str:
    """The most important of the words, in their order."""
    dropped = iter(_DROPPED)
    while len(_joined(words)) > width and len(words) > 1:
        words.pop(next(dropped), None)
    return _joined(words)


def _joined(words: dict[str, str]) -> str:
    return "  ".join(words.values())


def reporter(console: Console, run_steps: int, batch: int, judged: str = "test") -> Reporter:
    """The one that suits the console."""
    return (Bars if console.is_terminal else Reporter)(console, run_steps, batch, judged)


def counted(number: int, thing: str) -> str:
    """`1 step`, `2,000 steps`."""
    return f"{number:,} {thing}{'s' * (number != 1)}"


def duration(seconds: float) -> str:
    """`1:02:03`, or `2:03` under an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

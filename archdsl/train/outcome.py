"""After the last epoch: pictures and a report, made from the run folder alone, so that they can be made again."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from archdsl.fsio import FileTrouble, write_atomic
from archdsl.train import network, reopened, stored
from archdsl.train.answers import Answers, answers
from archdsl.train.data.images import Images
from archdsl.train.device import Device
from archdsl.train.report import CONFUSION, CURVES, ERRORS, report
from archdsl.train.stored import Stored
from archdsl.train.trouble import TrainTrouble

if TYPE_CHECKING:
    from archdsl.train.figures.errors import Mistake

_SHEET = 32  # errors on the sheet


def write(out: Path, images: Images, where: Device) -> None:
    """Write `curves.png`, `confusion.png`, `errors.png` and last `report.md`, for the newest checkpoint.

    What fails is told with what can be done: the network is trained and saved.
    """
    try:
        _write(out, images, where)
    except FileTrouble as trouble:
        raise TrainTrouble(f"{trouble}; the run itself is finished, and --resume draws its pictures again") from None


def _write(out: Path, images: Images, where: Device) -> None:
    from archdsl.train.figures import confusion, curves, errors  # matplotlib, half a second: only now

    run = stored.load(out)
    found = ask(run, images, where)
    counts = found.confusion().numpy()
    title = f"{run.title}: {found.error:.2%} of {len(found.labels):,} {run.judged} images wrong"
    write_atomic(out / CURVES, curves.one(run))
    write_atomic(out / CONFUSION, confusion.confusion(counts, run.plan.classes, title))
    mistakes = list(_mistakes(found, images, found.worst(_SHEET)))
    write_atomic(out / ERRORS, errors.sheet(mistakes, _sheet_title(run, len(mistakes))))
    write_atomic(out / stored.REPORT, report(run, counts, stored.environments(out)).encode())


def ask(run: Stored, images: Images, where: Device) -> Answers:
    """What the newest checkpoint says to the test images."""
    model = network.moved(reopened.reopen(run).model, where)
    normalize = reopened.normalization(run, where.device)
    return answers(model, images.test.to(where.device), run.recipe, where, normalize, run.config.micro_batch)


def _mistakes(found: Answers, images: Images, numbers: Tensor) -> Iterator[Mistake]:
    from archdsl.train.figures.errors import Mistake

    pixels, _ = images.test.take(numbers)
    for place, number in enumerate(numbers.tolist()):
        yield Mistake(
            pixels=pixels[place].cpu().numpy(),
            true=images.classes[int(found.labels[number])],
            predicted=images.classes[int(found.predicted[number])],
            confidence=float(found.confidence[number]),
            number=number,
        )


def _sheet_title(run: Stored, count: int) -> str:
    return f"{run.title}: the {count} wrong answers it was surest of" if count else f"{run.title}: no wrong answer"

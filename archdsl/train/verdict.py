"""What a run came to, in words: the same for the console, the report and the pictures. No torch in here."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.recipe import Recipe
from archdsl.recipe.records import Hint
from archdsl.train.progress import Row, counted
from archdsl.train.trouble import Misfit


def judged(overfit: bool) -> str:
    """What the images are called that a run is judged on."""
    return "batch" if overfit else "test"


def best(rows: Sequence[Row]) -> Row:
    """The first of the lowest error: validation's, where images were held back for it. `--checkpoint best` is this."""
    return min(rows, key=lambda row: row.judged_by)


def named_best(rows: Sequence[Row]) -> str:
    """Its test error, and what chose it."""
    row = best(rows)
    by = "best" if row.validation_error is None else "best by validation:"
    return f"{by} {row.test_error:.2%} in epoch {row.epoch}"


def early(recipe: Recipe, rows: Sequence[Row], epochs: int) -> str:
    """That the run stopped early, and why; empty where it did not. `epochs` are those of the whole run."""
    last, lowest = rows[-1], best(rows)
    if recipe.early_stop is None or last.epoch >= epochs or last.epoch - lowest.epoch < recipe.early_stop:
        return ""
    which = "test" if last.validation_error is None else "validation"
    why = f"the {which} error was lowest in epoch {lowest.epoch}, and `early_stop` is {recipe.early_stop}"
    return f"stopped early after epoch {last.epoch} of {epochs}: {why}"


def learnt(rows: Sequence[Row]) -> Row | None:
    """The first epoch with no wrong answer, while learning or judged after it."""
    return next((row for row in rows if min(row.train_error, row.test_error) == 0), None)


def by_heart(rows: Sequence[Row]) -> str:
    """Whether one batch was learnt."""
    if row := learnt(rows):
        return f"the batch was learnt by heart after {counted(row.step, 'step')}"
    last = rows[-1]
    return (
        f"not learnt: training error {last.train_error:.2%} after {counted(last.step, 'step')}; "
        "a network that cannot learn one batch cannot learn"
    )


def refuse_unlearnt(recipe: Recipe, rows: Sequence[Row]) -> None:
    """A batch that was not learnt is a finding. Of a hint nothing can be said: its output is not trained."""
    if not isinstance(recipe.loss, Hint) and not learnt(rows):
        raise Misfit(f"the batch was not learnt in {counted(rows[-1].step, 'step')}; --epochs N gives it N steps")


def conclusion(recipe: Recipe, rows: Sequence[Row], overfit: bool, claim: float | None) -> str:
    """The result, beside the paper's."""
    if overfit and not isinstance(recipe.loss, Hint):
        return by_heart(rows)
    paper = "" if claim is None else f"; the paper says {claim:.2%}"
    return f"{judged(overfit)} error {rows[-1].test_error:.2%} ({named_best(rows)}){paper}"

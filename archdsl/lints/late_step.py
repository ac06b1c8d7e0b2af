"""A schedule changes the learning rate after the last epoch.

The change never happens. Usually the epochs of one recipe were combined with the steps of another, or iterations
(32,000 and 48,000 of 64,000) were written where epochs are meant.

Wrong:

    schedule = steps(at=[60, 120, 160], gamma=0.2)
    epochs   = 100

Right:

    schedule = steps(at=[60, 120, 160], gamma=0.2)
    epochs   = 200

Silence it with `# allow: late-step` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Label, Severity
from archdsl.lints.rule import Context, Finding, Rule
from archdsl.syntax import ast


def check(context: Context) -> Iterator[Finding]:
    """Steps at or beyond the number of epochs, where both are plain numbers."""
    for recipe in context.file.declarations:
        if not isinstance(recipe, ast.Recipe):
            continue
        settings = {setting.key.text: setting.value for setting in recipe.settings}
        epochs = settings.get("epochs")
        if not isinstance(epochs, ast.Number):
            continue
        for step in _steps(settings.get("schedule")):
            if step.value >= epochs.value:
                others = (Label(epochs.span, "training ends here"),)
                yield Finding(step.span, f"epoch {step.span.text} never comes", others=others)


def _steps(schedule: ast.Expr | None) -> Iterator[ast.Number]:
    if isinstance(schedule, ast.Apply):
        for argument in schedule.arguments:
            if argument.name and argument.name.text == "at" and isinstance(argument.value, ast.ListOf):
                yield from (item for item in argument.value.items if isinstance(item, ast.Number))


RULE = Rule("L205", "late-step", Severity.WARNING, check)

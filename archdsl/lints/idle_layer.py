"""A layer does nothing as it is set.

`dropout(0)`, pooling a single pixel, `upsample(1)`, `subsample(1)` and padding to the width that is there already
leave their input as it is. They cost nothing and mislead the reader.

Noted:

    x = in -> conv(16, 3) -> dropout(0) -> relu

Otherwise:

    x = in -> conv(16, 3) -> relu

Silence it with `# allow: idle-layer` on the line or the line before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import Step
from archdsl.lints.rule import Context, Finding, Rule

_DROPOUTS, _POOLS = ("dropout", "channel_dropout"), ("max_pool", "avg_pool")
_ONE = {"subsample": "stride", "upsample": "scale", "channel_shuffle": "groups", "pixel_shuffle": "factor"}


def check(context: Context) -> Iterator[Finding]:
    """Layers of the user's own text that give back their input."""
    for flow in context.flows():
        for step in flow.named((*_DROPOUTS, *_POOLS, *_ONE)):
            reason = _reason(step)
            if reason and step.node is not None and not step.node.span.source.library:
                yield Finding(step.span, f"`{step.name}` does nothing here: {reason}", hint="leave it out")


def _reason(step: Step) -> str | None:
    if step.name in _DROPOUTS:
        return "its probability is 0" if _zero_is_written(step) else None
    if step.name in _ONE:
        name = _ONE[step.name]
        return f"its {name} is 1" if step.attrs.get(name) == 1 and step.given(name) else None
    if step.name in _POOLS and step.inputs[0][1:] == step.outputs[0][1:] == (1, 1):
        return "the map is a single pixel"
    if step.name in _POOLS:
        return "its window is a single pixel" if step.number("kernel") == step.number("stride") == 1 else None
    return None


def _zero_is_written(step: Step) -> bool:
    """Whether the text itself says `dropout(0)`; a rate that is 0 by a parameter or a list is a choice."""
    span = step.span
    after = span.source.text[span.start : span.end + 40]
    return step.attrs.get("p") == 0 and re.search(rf"{step.name}\((p\s*=\s*)?0+(\.0*)?%?\)", after) is not None


RULE = Rule("L114", "idle-layer", Severity.NOTE, check)

"""The stem of a wide residual network is widened too.

Wide residual networks multiply the widths of their three groups by k and keep 16 channels in the first convolution.
With 16k channels there WRN-28-10 has 208,976 parameters too many, WRN-40-4 has 28,016.

Noted:

    conv1 = image -> conv(16*k, 3)

Otherwise:

    conv1 = image -> conv(16, 3)

Silence it with `# allow: wide-stem` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.ir.graph import all_graphs
from archdsl.lints.rule import Context, Finding, Rule

_STEM = 16


def check(context: Context) -> Iterator[Finding]:
    """First convolutions wider than 16 in networks of the library's wide units."""
    for flow in context.flows():
        if not any(graph.name == "wide" and graph.kind == "block" for graph in all_graphs(flow.root)):
            continue
        for step in flow.input.readers:
            width = step.outputs[0][0] if step.outputs else 0
            if step.name == "conv" and width > _STEM:
                title = f"a stem of {width} channels in front of wide units"
                yield Finding(step.span, title, hint="in the paper the stem keeps 16 channels whatever k is")


RULE = Rule("L117", "wide-stem", Severity.NOTE, check)

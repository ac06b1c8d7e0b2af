"""The reference page of all primitives, written from the table: `python -m archdsl.ops.reference`."""

from __future__ import annotations

import sys
from fractions import Fraction
from textwrap import dedent

from archdsl.ops import OPS
from archdsl.ops.coerce import describe, expected
from archdsl.ops.op import Op, Param

_HEAD = """\
# Primitives

Written from the table in `archdsl/ops/`. Shapes are those of one sample, without the batch: a map is [C, H, W]
(channels, height, width), a list [N, C] (positions, channels), a vector [C]. Arguments may be given by place, in the
order shown, or by name.
"""


def reference() -> str:
    """The whole page as Markdown."""
    return "\n".join([_HEAD, *(section(op) for op in OPS.values())])


def section(op: Op) -> str:
    """One primitive: how it is called, what it computes, what its parameters mean."""
    first, _, rest = op.doc.partition("\n")
    parts = [f"## {op.name}", f"`{signature(op)}`", first, dedent(rest).strip("\n"), _table(op), _traits(op)]
    return "\n\n".join(part for part in parts if part) + "\n"


def signature(op: Op) -> str:
    """The call with all parameters and their defaults."""
    if not op.params:
        return op.name
    return f"{op.name}({', '.join(_parameter(param) for param in op.params)})"


def _parameter(param: Param) -> str:
    return param.name if param.required else f"{param.name}={_default(param)}"


def _default(param: Param) -> str:
    default = param.default
    return repr(float(default)).replace("e-0", "e-") if isinstance(default, Fraction) else describe(default)


def _table(op: Op) -> str:
    rows = [f"| `{param.name}` | {expected(param)} | {param.doc} |" for param in op.params]
    return "\n".join(["| parameter | takes | meaning |", "|---|---|---|", *rows]) if rows else ""


def _traits(op: Op) -> str:
    least, most = op.inputs
    many = f"{least} tensors" if most == least else f"{least} or more tensors"
    traits = (
        (op.inputs != (1, 1), "It takes no tensor." if most == 0 else f"It takes {many}."),
        (op.wraps, "It is applied around a layer."),
        (op.stochastic, "It draws random numbers."),
    )
    return " ".join(sentence for holds, sentence in traits if holds)


if __name__ == "__main__":
    sys.stdout.write(reference())

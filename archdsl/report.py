"""The table of a zoo: each network of the specs with its exact counts beside what its paper prints.

Rows are the variants of a file, or its networks where it has no variants; a network that several files hold (with the
same parameters) is one row, of the first file that has it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from archdsl.elaborate.metrics import METRICS
from archdsl.ir.graph import Chain, Graph, Node, Prim

if TYPE_CHECKING:
    from archdsl.pipeline import Checked, CheckedNetwork

BATCH = 128  # images, for the memory of a training step


@dataclass(frozen=True)
class Entry:
    """One network.

    memory: bytes of a training step with SGD and `BATCH` images. printed_memory: bytes that the paper reports, of its
    own machine and way of counting; None where it reports none. checked: how many claims of the file were held against
    the network. errors: published, in percent.
    """

    spec: str
    network: str
    depth: int
    params: int
    macs: int
    features: int | None
    memory: int
    printed_memory: int | None
    claimed: str
    checked: int
    errors: dict[str, float]


def entries(files: Iterable[Checked]) -> list[Entry]:
    """The rows of the table, in the order of the files and of their variants."""
    rows: dict[tuple[object, ...], Entry] = {}
    for checked in files:
        variants = [network for network in checked.networks if network.variant is not None]
        for network in variants or checked.networks:
            key = (network.name, tuple(network.parameters.items()), network.cost.params.total, network.cost.macs.total)
            rows.setdefault(key, _entry(checked, network))
    return list(rows.values())


def _entry(checked: Checked, network: CheckedNetwork) -> Entry:
    return Entry(
        spec=PurePosixPath(checked.source.name.replace("\\", "/")).stem,
        network=network.variant or network.name,
        depth=network.cost.depth,
        params=network.cost.params.total,
        macs=network.cost.macs.total,
        features=feature_dimension(network.graph),
        memory=network.cost.memory.training(BATCH),
        printed_memory=next((int(c.value) for c in network.claims if c.metric == "memory"), None),
        claimed=_claimed(network),
        checked=sum(c.metric in METRICS for c in network.claims),
        errors={c.subject: float(c.value) * 100 for c in network.claims if c.metric == "error"},
    )


def _claimed(network: CheckedNetwork) -> str:
    """The paper's parameter count as printed: the claim that is rounded, not the exact one."""
    rounded = [c.text for c in network.claims if c.metric in ("params", "conv_params") and c.operator == "~"]
    return rounded[0] if rounded else ""


def feature_dimension(graph: Graph) -> int | None:
    """What the last linear layer reads; None for a network that does not end in one."""
    made = {id(wire): node for node in graph.nodes for wire in node.outputs}
    node = made.get(id(graph.outputs[0])) if graph.outputs else None
    if node is not None and isinstance(node.what, Chain):
        node = list(node.what.units())[-1].node
    return node.inputs[0].values[-1] if node is not None and _is_linear(node) else None


def _is_linear(node: Node) -> bool:
    return isinstance(node.what, Prim) and node.what.op.name == "linear"


# ---- forms ------------------------------------------------------------------------------------------------------


def _columns(rows: Sequence[Entry]) -> list[tuple[str, list[str]]]:
    """Titles and cells; a column for each data set that has a published error."""
    sets = list(dict.fromkeys(subject for row in rows for subject in row.errors))
    columns = [
        ("network", [row.network for row in rows]),
        ("depth", [f"{row.depth:,}" for row in rows]),
        ("parameters", [f"{row.params:,}" for row in rows]),
        ("paper", [row.claimed for row in rows]),
        ("MACs", [f"{row.macs:,}" for row in rows]),
        ("features", [f"{row.features:,}" if row.features else "" for row in rows]),
        ("training MB", [_megabytes(row.memory) for row in rows]),
        ("printed MB", [_megabytes(row.printed_memory) for row in rows]),
        ("claims", [str(row.checked) for row in rows]),
    ]
    columns += [(f"{name} %", [_percent(row.errors.get(name)) for row in rows]) for name in sets]
    return [(title, cells) for title, cells in columns if any(cells)]


def _megabytes(memory: int | None) -> str:
    return "" if memory is None else f"{memory / 1e6:,.0f}"


def _percent(error: float | None) -> str:
    return "" if error is None else f"{error:.2f}"


def _lines(rows: Sequence[Entry]) -> list[list[str]]:
    columns = _columns(rows)
    return [[title for title, _ in columns], *map(list, zip(*(cells for _, cells in columns), strict=True))]


def as_text(rows: Sequence[Entry]) -> str:
    """Aligned columns for a terminal."""
    lines = _lines(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_aligned(line, widths) for line in lines) + f"\n\n{_note()}\n"


def _aligned(line: list[str], widths: list[int]) -> str:
    cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
    return "  ".join([line[0].ljust(widths[0]), *cells[1:]]).rstrip()


def _note() -> str:
    return (
        "depth: weight layers on the longest path. training MB: what autograd keeps for a batch of "
        f"{BATCH}, parameters, gradients and SGD's momentum, float32.\nclaims: how many of the file's were checked. "
        "Errors, and what is printed, are the papers'."
    )


def as_markdown(rows: Sequence[Entry]) -> str:
    """A table for a README."""
    head, *body = _lines(rows)
    rule = ["---", *("---:" for _ in head[1:])]
    return "".join(f"| {' | '.join(line)} |\n" for line in [head, rule, *body])


def as_csv(rows: Sequence[Entry]) -> str:
    """Comma-separated values, numbers without separators."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([[cell.replace(",", "") for cell in line] for line in _lines(rows)])
    return out.getvalue()


def as_latex(rows: Sequence[Entry]) -> str:
    """A `tabular` for a paper (booktabs)."""
    head, *body = _lines(rows)
    text = [f"\\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}", "\\toprule"]
    text += [_latex_row(head), "\\midrule", *map(_latex_row, body), "\\bottomrule", "\\end{tabular}"]
    return "\n".join(text) + "\n"


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cell.replace("_", "\\_").replace("%", "\\%") for cell in cells) + " \\\\"


def as_json(rows: Sequence[Entry]) -> str:
    """Every field of every row."""
    return json.dumps([asdict(row) for row in rows], indent=2) + "\n"


FORMS: dict[str, Callable[[Sequence[Entry]], str]] = {
    "text": as_text,
    "markdown": as_markdown,
    "csv": as_csv,
    "latex": as_latex,
    "json": as_json,
}

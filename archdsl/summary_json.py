"""A checked network's table as JSON: the rows of `summary` with exact numbers, and the totals."""

from __future__ import annotations

import json
from fractions import Fraction

from archdsl.analyses import Cost, Field
from archdsl.ir.graph import Graph
from archdsl.ops.op import Value
from archdsl.scalar import Scalar
from archdsl.summary import Row, rows

VERSION = 1


def to_json(graph: Graph, cost: Cost, variant: str | None = None) -> str:
    """The document as text, with a newline at its end."""
    return json.dumps(document(graph, cost, variant), indent=2, ensure_ascii=False) + "\n"


def document(
    graph: Graph, cost: Cost, variant: str | None = None, *, batch: int = 128, optimizer: str = "sgd"
) -> dict[str, object]:
    """The table and the totals as values that JSON has.

    Shapes are per sample, sizes in bytes of float32. `batch` and `optimizer` ("sgd", "adam" ...) are those that the
    training memory is for.
    """
    return {
        "version": VERSION,
        "network": graph.name,
        "variant": variant,
        "arguments": {p.name: _plain(p.value) for p in graph.parameters if p.kind != "dimension"},
        "inputs": [{"name": wire.name, "shape": list(wire.values)} for wire in graph.inputs],
        "outputs": [
            {"name": name, "shape": list(wire.values)}
            for name, wire in zip(graph.output_names, graph.outputs, strict=True)
        ],
        "totals": _totals(cost, batch, optimizer),
        "rows": [_row(row) for row in rows(graph)],
    }


def _plain(value: Value) -> object:
    """An argument as JSON has it; a fraction as the nearest float."""
    if isinstance(value, Scalar):
        return _plain(value.value)
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return float(value) if isinstance(value, Fraction) else value


def _row(row: Row) -> dict[str, object]:
    return {
        "name": row.name,
        "layer": row.layer,
        "count": row.count,
        "shape": list(row.shape),
        "parameters": row.params,
        "macs": row.macs,
        "kept_bytes_per_sample": row.kept.per_sample,
        "kept_bytes_per_batch": row.kept.per_batch,
        "receptive_field": _field(row.field),
        "rows": [_row(inner) for inner in row.below],
    }


def _field(seen: Field) -> dict[str, object]:
    return {"extent": float(seen.extent), "stride": float(seen.stride), "everything": seen.everything}


def _totals(cost: Cost, batch: int, optimizer: str) -> dict[str, object]:
    memory = cost.memory
    return {
        "parameters": {"total": cost.params.total, "trainable": cost.params.trainable, **cost.params.by_kind()},
        "macs": cost.macs.total,
        "flops": cost.macs.flops,
        "depth": cost.depth,
        "activation_bytes_per_sample": memory.activations.per_sample,
        "inference_peak_bytes": memory.peak.at(1),
        "training": {
            "batch": batch,
            "optimizer": optimizer,
            "kept_bytes": memory.kept.at(batch),
            "parameter_bytes": memory.weights,
            "gradient_bytes": memory.gradients,
            "optimizer_bytes": memory.state(optimizer),
            "total_bytes": memory.training(batch, optimizer),
        },
        "receptive_fields": [_field(seen) for seen in cost.fields],
        "uncounted_externs": list(cost.unknown),
    }

"""torch.export: one file with the graph of ATen operations, for PyTorch's own compilers and runtimes."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import io

import torch
from torch.export import Dim, ExportedProgram

from archdsl.train.export.subject import Subject
from archdsl.train.export.target import Files, Target


def captured(subject: Subject) -> ExportedProgram:
    """The network as a graph; the number of samples stays open unless it was asked for."""
    sample = tuple(subject.given(subject.batches[0]).values())
    batch = Dim("batch")
    open_ = tuple({0: batch} for _ in sample) if subject.batch is None else None
    with torch.no_grad():
        return torch.export.export(subject.module, sample, dynamic_shapes=open_, strict=False)


def _make(subject: Subject) -> Files:
    out = io.BytesIO()
    torch.export.save(captured(subject), out, extra_files={"archdsl.json": subject.config})
    return {"network": out.getvalue()}


def _load(_subject: Subject, path: str) -> str:
    return f"import torch\n\nnetwork = torch.export.load({path!r}).module()"


TARGET = Target("torch-export", ".pt2", _make, _load, "network(*given.values())")

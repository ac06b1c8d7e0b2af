"""TorchScript: one file that C++ reads as well."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import io

import torch

from archdsl.train.export.subject import Subject
from archdsl.train.export.target import Files, Target


def _make(subject: Subject) -> Files:
    sample = tuple(subject.given(subject.batches[0]).values())
    traced = torch.jit.trace(subject.module, sample, check_trace=False)  # it is checked by what is read back
    out = io.BytesIO()
    torch.jit.save(traced, out, _extra_files={"archdsl.json": subject.config})
    return {"network": out.getvalue()}


def _load(_subject: Subject, path: str) -> str:
    return f"import torch\n\nnetwork = torch.jit.load({path!r})"


TARGET = Target("torchscript", ".pt", _make, _load, "network(*given.values())")

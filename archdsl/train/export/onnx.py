"""ONNX: one file that most runtimes read."""

# torch annotates only half of itself, onnx and onnxscript are optional
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingImports=false, reportMissingTypeStubs=false

from __future__ import annotations

import json
import logging
from collections.abc import Generator
from contextlib import contextmanager

import torch

from archdsl.train.export import torch_export
from archdsl.train.export.subject import Subject
from archdsl.train.export.target import Files, Target
from archdsl.train.trouble import Misfit

_LARGEST = 2**31 - 1  # bytes of one message


def _make(subject: Subject) -> Files:
    graph = torch_export.captured(subject)
    answers = range(2, len(graph.graph_signature.user_outputs) + 1)
    names = list(subject.inputs), ["output", *(f"output{number}" for number in answers)]
    with _quiet():
        program = torch.onnx.export(graph, input_names=names[0], output_names=names[1], dynamo=True, verbose=False)
    if program is None:
        raise Misfit("torch.onnx.export made nothing")
    proto = program.model_proto
    for name, value in subject.metadata.items():
        proto.metadata_props.add(key=name, value=value if isinstance(value, str) else json.dumps(value))
    if proto.ByteSize() > _LARGEST:
        raise Misfit(f"an ONNX file holds at most 2 GiB, and this network has {proto.ByteSize():,} bytes")
    return {"network": proto.SerializeToString()}


@contextmanager
def _quiet() -> Generator[None]:
    """The exporter tells which packages it does not find: they are not asked for."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _load(_subject: Subject, path: str) -> str:
    return f"import onnxruntime\n\nsession = onnxruntime.InferenceSession({path!r})"


_ANSWER = "session.run(None, {name: value.numpy() for name, value in given.items()})"
TARGET = Target("onnx", ".onnx", _make, _load, _ANSWER, needs=("onnx", "onnxruntime", "onnxscript"))

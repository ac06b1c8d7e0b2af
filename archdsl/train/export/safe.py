"""safetensors: a folder with the weights, the module that they belong to, and what must be known of both."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import safetensors.torch

from archdsl.train.export.subject import Subject
from archdsl.train.export.target import Files, Target
from archdsl.train.stored import MODEL, NORMALIZATION

CONFIG = "config.json"
_WEIGHTS = "model.safetensors"


def files(subject: Subject) -> Files:
    """The folder."""
    state = subject.module.state_dict().items()
    weights = {name: value.detach().contiguous().clone() for name, value in state}  # none shares memory with another
    fitted = {} if subject.fitted is None else {NORMALIZATION: subject.fitted}
    texts = {MODEL: subject.text.encode(), CONFIG: subject.config.encode()}
    return {**texts, **fitted, _WEIGHTS: safetensors.torch.save(weights, {"format": "pt"})}


def _load(subject: Subject, path: str) -> str:
    network, rest = subject.call.split("(", 1)
    return f"""import runpy
from safetensors.torch import load_file

network = runpy.run_path({f"{path}/{MODEL}"!r})[{network!r}]({rest}
network.load_state_dict(load_file({f"{path}/{_WEIGHTS}"!r}))
network.eval()"""


TARGET = Target("safetensors", "", files, _load, "network(*given.values())", exact=True)

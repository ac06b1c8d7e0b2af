"""A folder that `torch.hub.load` takes, also as a repository; torch and safetensors are all it needs."""

from __future__ import annotations

import re
from keyword import iskeyword

from archdsl.train.export import safe
from archdsl.train.export.subject import Subject
from archdsl.train.export.target import Files, Target

_HUBCONF = '''\
"""How torch.hub makes the network of this folder."""

import runpy as _runpy
from pathlib import Path as _Path

from safetensors.torch import load_file as _load_file

dependencies = ["torch", "safetensors"]
_HERE = _Path(__file__).parent


def {entry}(pretrained=True):
    """{network}, {about}; without `pretrained` with fresh weights."""
    network = _runpy.run_path(str(_HERE / "model.py"))["{network}"]({arguments}
    if pretrained:
        network.load_state_dict(_load_file(_HERE / "model.safetensors"))
    return network.eval()
'''


def _make(subject: Subject) -> Files:
    return {**safe.files(subject), "hubconf.py": _hubconf(subject).encode()}


def _hubconf(subject: Subject) -> str:
    network, arguments = subject.call.split("(", 1)
    about = re.sub(r'[\\"]', "'", subject.weights)
    return _HUBCONF.format(entry=_entry(subject), network=network, about=about, arguments=arguments)


def _entry(subject: Subject) -> str:
    """The name as one of Python's; one that torch.hub shows has no underscore in front."""
    name = re.sub(r"\W", "_", subject.name, flags=re.ASCII).strip("_") or "network"
    return f"network_{name}" if name[0].isdigit() or iskeyword(name) or name == "dependencies" else name


def _load(subject: Subject, path: str) -> str:
    return f'import torch\n\nnetwork = torch.hub.load({path!r}, {_entry(subject)!r}, source="local")'


TARGET = Target("hub", "", _make, _load, "network(*given.values())", exact=True)

"""A small language for convolutional networks: checked sizes, exact counts, readable PyTorch.

>>> import archdsl
>>> archdsl.load("specs/resnet-20.arch").cost.params.total
269722
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archdsl.pipeline import Checked, Request, check
    from archdsl.source import Source
    from archdsl.spec import Spec, SpecError, load, loads

__version__ = "0.1.0"

# Where each public name lives. They are imported when they are asked for: the command line needs few of them.
_HOMES = {
    "Checked": "archdsl.pipeline",
    "Request": "archdsl.pipeline",
    "Source": "archdsl.source",
    "Spec": "archdsl.spec",
    "SpecError": "archdsl.spec",
    "check": "archdsl.pipeline",
    "load": "archdsl.spec",
    "loads": "archdsl.spec",
}

__all__ = ["Checked", "Request", "Source", "Spec", "SpecError", "check", "load", "loads"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'archdsl' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)

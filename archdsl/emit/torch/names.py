"""Python names for what a spec calls its layers, values, parameters and blocks.

Most plausible layer names mean something else inside an `nn.Module` (`train`, `half`, `type` ...) and would break it.
The rule, the same everywhere: a name that is taken gets a trailing underscore, and another one if that is taken too.
Local names are written in lower case. Which names are taken does not depend on the PyTorch that happens to be there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from archdsl.emit.torch.helpers import HELPERS
from archdsl.emit.torch.reserved import BUILTINS, KEYWORDS, MODULE, UNITTEST

# Easily misread: pycodestyle refuses them.
_MISREAD = frozenset({"l", "O", "I"})
# What stands at the top of a generated module.
_GLOBALS = frozenset({"torch", "nn", "F", "Tensor", "self", "network"})

_NAME = re.compile(r"[A-Za-z][0-9A-Za-z_]*")

NOT_LOCAL = KEYWORDS | BUILTINS | _MISREAD | _GLOBALS | frozenset(HELPERS)
NOT_FIELD = KEYWORDS | MODULE | _GLOBALS | UNITTEST
NOT_CLASS = KEYWORDS | BUILTINS | _MISREAD | _GLOBALS


class Names:
    """Hands out names in one scope, each only once."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def __contains__(self, name: str) -> bool:
        return name in self._taken

    def claim(self, wanted: str) -> str:
        """The wanted name, with as many trailing underscores as it takes to be free."""
        name = wanted
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def local(self, wanted: str) -> str:
        """A name for a value or a parameter."""
        return self.claim(plain(wanted).lower() or "value")

    def field(self, wanted: str) -> str:
        """A name for an attribute."""
        return self.claim(plain(wanted) or "layer")


def plain(text: str) -> str:
    """The text as an ASCII identifier without underscores in front, which would look private; perhaps nothing."""
    name = re.sub(r"[^0-9A-Za-z]+|_+", "_", text).strip("_") if not _NAME.fullmatch(text) else text
    return f"n{name}" if name[:1].isdigit() else name


def class_name(block: str) -> str:
    """A block's name as classes are written: `dense_layer` is `DenseLayer`."""
    parts = [part for part in plain(block).split("_") if part]
    name = "".join(part[0].upper() + part[1:] for part in parts)
    return name if name and name[0].isalpha() else f"Block{name}"


def numbered(base: str, number: int) -> str:
    """The name of the n-th thing called `base`."""
    return f"{base}_{number}" if base[-1:].isdigit() else f"{base}{number}"

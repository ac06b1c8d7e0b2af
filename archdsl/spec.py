"""A spec as an object, for Python programs: `archdsl.load("specs/wrn-28-10.arch").build()`.

`build` imports the very text that `archdsl compile` writes: there is no second way from a spec to a module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from archdsl.diagnostic import Severity
from archdsl.pipeline import Checked, CheckedNetwork, Request, check, emit, module_name
from archdsl.source import Source

if TYPE_CHECKING:
    from torch import nn

    from archdsl.analyses.cost import Cost


class SpecError(Exception):
    """A spec with errors; `str` shows them as `archdsl lint` does."""

    def __init__(self, checked: Checked) -> None:
        from archdsl.render import text

        self.checked = checked
        errors = [finding for finding in checked.diagnostics if finding.severity is Severity.ERROR]
        super().__init__(text(errors) or f"{checked.source.name} has no such network")


@dataclass(frozen=True)
class Spec:
    """One network of a checked file."""

    checked: Checked
    network: CheckedNetwork

    @property
    def name(self) -> str:
        """The network's name, which is also its class."""
        return self.network.name

    @property
    def cost(self) -> Cost:
        """Parameters, multiply-accumulates, memory, receptive field: exact, from the text alone."""
        return self.network.cost

    def module_text(self) -> str:
        """The text of the PyTorch module."""
        return emit(self.checked, self.network)

    def build(self) -> nn.Module:
        """The network as a PyTorch module with fresh weights. Imports torch."""
        module = ModuleType(module_name(self.checked.source).removesuffix(".py"))
        exec(compile(self.module_text(), f"<{module.__name__}>", "exec"), module.__dict__)
        return getattr(module, _last_class(module))()


def _last_class(module: ModuleType) -> str:
    """The network's class: classes stand callees first, the network last."""
    names = [
        name for name, value in vars(module).items() if isinstance(value, type) and value.__module__ == module.__name__
    ]
    return names[-1]


def load(
    path: str, parameters: Mapping[str, object] | None = None, *, variant: str | None = None, network: str | None = None
) -> Spec:
    """The network of a file: its first one, or the one named, with parameters in place of its defaults.

    Raises SpecError where the file has errors or no such network, FileTrouble where it cannot be read.
    """
    from archdsl.inputs import read

    return loads(read(path), parameters, variant=variant, network=network)


def loads(
    source: Source | str,
    parameters: Mapping[str, object] | None = None,
    *,
    variant: str | None = None,
    network: str | None = None,
) -> Spec:
    """The same for a text that is at hand."""
    source = Source("<text>", source) if isinstance(source, str) else source
    given = {name: _as_text(value) for name, value in (parameters or {}).items()}
    checked = check(source, Request(given, variant, network))
    if checked.diagnostics.has_errors or not checked.networks:
        raise SpecError(checked)
    return Spec(checked, checked.networks[0])


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

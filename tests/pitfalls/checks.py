"""The ways in which a mistake shows. Each holds the right text and the wrong one against each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor, nn

import archdsl
from archdsl import pipeline
from archdsl.diagnostic import Diagnostic, Severity
from archdsl.render import one
from archdsl.source import Source
from pitfalls.texts import CLAIM, Pair

Parameters = Mapping[str, object]


class Check(Protocol):
    """One way in which a mistake shows."""

    def hold(self) -> None: ...


@cache
def findings(text: str, parameters: tuple[tuple[str, str], ...] = ()) -> tuple[Diagnostic, ...]:
    """Everything that archdsl says of a text."""
    return tuple(pipeline.check(Source("net.arch", text), pipeline.Request(dict(parameters))).diagnostics)


def errors(text: str) -> list[str]:
    return [d.code for d in findings(text) if d.severity is Severity.ERROR]


def network(text: str, parameters: Parameters) -> archdsl.Spec:
    """A network whose claims are not held: they are about the network without the mistake."""
    return archdsl.loads(CLAIM.sub("", text), parameters)


@dataclass(frozen=True)
class Counted:
    """The mistake has this count, the right network that; and a claim of the right one refuses the wrong one.

    rows: parameters of the network, the right count, how many more the mistake has. `wrong` are parameters that make
    the mistake, where the text does not. `refused` says that the text's own claim must fail.
    """

    pair: Pair
    rows: tuple[tuple[Parameters, int, int], ...]
    of: str = "params"
    wrong: Parameters = field(default_factory=dict[str, object])
    refused: bool = True

    def hold(self) -> None:
        for parameters, right, more in self.rows:
            assert self.count(self.pair.right, parameters) == right
            assert self.count(self.pair.wrong, {**parameters, **self.wrong}) == right + more
        assert not errors(self.pair.right)
        if self.pair.right != self.pair.wrong and self.refused:
            assert "C501" in errors(self.pair.wrong)

    def count(self, text: str, parameters: Parameters) -> int:
        cost = network(text, parameters).cost
        return {"params": cost.params.total, "macs": cost.macs.total, "conv_params": cost.params.conv_weight}[self.of]


@dataclass(frozen=True)
class Flagged:
    """A lint rule finds the mistake, and nothing in the right text."""

    code: str
    pair: Pair
    parameters: Parameters = field(default_factory=dict[str, object])

    def hold(self) -> None:
        assert self.code in self.codes(self.pair.wrong)
        assert self.code not in self.codes(self.pair.right)

    def codes(self, text: str) -> list[str]:
        given = tuple((n, str(v).lower() if isinstance(v, bool) else str(v)) for n, v in self.parameters.items())
        found = findings(CLAIM.sub("", text), given)
        assert not [d for d in found if d.severity is Severity.ERROR], "".join(map(one, found))
        return [d.code for d in found]


@dataclass(frozen=True)
class Refused:
    """The mistake is an error of this code, and the right text has none."""

    code: str
    pair: Pair

    def hold(self) -> None:
        assert self.code in errors(self.pair.wrong)
        assert not errors(self.pair.right)


@dataclass(frozen=True)
class Claimed:
    """A row of a table, put to the right text: it holds, or it is refused."""

    pair: Pair
    row: str
    holds: bool

    def hold(self) -> None:
        found = errors(f"{self.pair.right}\nvariants {{\n    row = {self.row}\n}}\n")
        assert found == ([] if self.holds else ["C501"])


@dataclass(frozen=True)
class Differs:
    """The counts are the same; with the same weights the outputs are not.

    As a control, two modules of the right text do give the same. In training everything random draws the same.
    """

    pair: Pair
    parameters: Parameters = field(default_factory=dict[str, object])
    train: bool = False
    wrong: Parameters = field(default_factory=dict[str, object])

    def hold(self) -> None:
        first, again = (network(self.pair.right, self.parameters) for _ in range(2))
        other = network(self.pair.wrong, {**self.parameters, **self.wrong})
        assert other.cost.params.total == first.cost.params.total
        inputs = [torch.randn(2, *wire.values, generator=seeded()).double() for wire in first.network.graph.inputs]
        modules = [spec.build().double() for spec in (first, again, other)]
        weigh(modules[0])
        for module in modules[1:]:
            hand_on(modules[0], module)
        right, same, wrong = (self.outputs(module, inputs) for module in modules)
        assert all(map(torch.equal, right, same))
        assert not all(torch.allclose(a, b, rtol=1e-6) for a, b in zip(right, wrong, strict=True))

    def outputs(self, module: nn.Module, inputs: list[Tensor]) -> tuple[Tensor, ...]:
        module.train(self.train)
        torch.manual_seed(7)
        with torch.no_grad():
            out = module(*inputs)
        return out if isinstance(out, tuple) else (out,)


@dataclass(frozen=True)
class Shown:
    """A test shows it: it is run with these arguments."""

    by: Callable[..., object]
    arguments: tuple[Any, ...] = ()

    def hold(self) -> None:
        self.by(*self.arguments)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def weigh(module: nn.Module) -> None:
    """Weights that let a difference through to the output: none is 0, signals keep their size."""
    generator = seeded()
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.randn(tensor.shape, generator=generator, dtype=torch.double)
                tensor.copy_(_sized(name, tensor, noise))


def _sized(name: str, tensor: Tensor, noise: Tensor) -> Tensor:
    if "scale" in name:
        return -0.5 - 0.2 * torch.tanh(noise)  # a weighted unit that takes away shows what a ReLU after it does
    if tensor.dim() > 1:
        return noise * (1.5 / tensor[0].numel()) ** 0.5
    gain = name.endswith("running_var") or (name.endswith("weight") and tensor.dim() == 1)
    return 1 + 0.5 * torch.tanh(noise) if gain else 0.3 * noise


def hand_on(source: nn.Module, target: nn.Module) -> None:
    """The weights of one module to another that has the same ones in the same order."""
    ours, theirs = source.state_dict(), target.state_dict()
    assert [t.shape for t in ours.values()] == [t.shape for t in theirs.values()]
    target.load_state_dict(dict(zip(theirs, ours.values(), strict=True)))

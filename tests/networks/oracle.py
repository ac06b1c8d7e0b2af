"""Everything said about a network, held against torch running the generated module (promises R12 to R15)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from archdsl import Source
from archdsl.analyses.walk import Application, applications, total
from archdsl.ir.graph import Graph, all_graphs
from archdsl.pipeline import Checked
from archdsl.pipeline import compile as compile_spec
from archdsl.render import text as rendered
from archdsl.verify import ATTENTION_ON_CPU, build, dense_macs, kept_bytes
from networks.reference import Network

TOLERANCE = 1e-4


class Difference(AssertionError):
    """A number or a result that is not torch's."""


class Refused(Exception):
    """A program that the checker does not accept."""

    def __init__(self, checked: Checked) -> None:
        self.checked = checked
        super().__init__(rendered([f for f in checked.diagnostics if f.severity.name == "ERROR"]))


@dataclass
class Compiled:
    """A program, its graph and its module."""

    source: str
    checked: Checked
    text: str

    @property
    def graph(self) -> Graph:
        return self.checked.networks[0].graph

    @property
    def ops(self) -> list[Application]:
        return [a for graph in all_graphs(self.graph) for a in applications(graph) if a.op is not None]

    @property
    def random(self) -> bool:
        """Whether training draws numbers."""
        return any(a.op is not None and a.op.stochastic for a in self.ops)

    @property
    def fractional(self) -> bool:
        """Whether evaluation draws numbers too."""
        return any(a.op is not None and a.op.name == "fractional_max_pool" for a in self.ops)

    @property
    def lone(self) -> bool:
        """Whether the checker says that a mini-batch of one sample cannot be trained on."""
        return any(
            "PyTorch refuses" in note
            for a in self.ops
            if a.op is not None
            for note in a.op.notes(a.inputs, a.attrs)
        )


def compiled(source: str) -> Compiled:
    """The module of a program. The text passes Python's own compiler."""
    checked, texts = compile_spec(Source("net.arch", source))
    if not texts:
        raise Refused(checked)
    (text,) = texts.values()
    compile(text, "<generated>", "exec")
    return Compiled(source, checked, text)


def differ(what: str, said: object, found: object) -> None:
    if said != found:
        raise Difference(f"{what}: {said} said, {found} by torch")


def tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    else:
        for part in value:
            yield from tensors(part)


def inputs(graph: Graph, batch: int, seed: int = 1) -> list[Tensor]:
    source = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, *wire.values, generator=source) for wire in graph.inputs]


def fill(module: nn.Module) -> None:
    """The same numbers for all weights of one shape, so that two modules agree in whatever order they name them."""
    with torch.no_grad():
        for p in module.parameters():
            source = torch.Generator().manual_seed(hash(tuple(p.shape)) % 2**31)
            fan = max(1, p[0].numel() if p.dim() > 1 else 1)
            p.copy_(torch.randn(p.shape, generator=source) * fan**-0.5)


def check(c: Compiled, batch: int) -> None:
    """All of R12, and that the module computes what the graph says, in evaluation and training."""
    cost = c.checked.networks[0].cost
    module, reference = build(c.text, c.graph.name), Network(c.graph)
    own = [p.numel() for p in module.parameters()]
    differ("parameters", cost.params.total, sum(own))
    differ("parameters of the graph as it stands", sorted(own), sorted(p.numel() for p in reference.parameters()))
    fill(module)
    fill(reference)
    _compare_evaluation(c, module, reference, batch)
    if not c.random:
        _compare_training(c, module, reference, batch)
    else:
        reference.train()(*inputs(c.graph, batch))
    _compare_kept(c, module, batch)


def _compare_evaluation(c: Compiled, module: nn.Module, reference: nn.Module, batch: int) -> None:
    xs = inputs(c.graph, batch)
    static = c.checked.networks[0].cost.macs.total + total(c.graph, "verify:dense", 0, dense_macs)
    with FlopCounterMode(display=False, custom_mapping=ATTENTION_ON_CPU) as flops, torch.no_grad():
        found = list(tensors(module.eval()(*xs)))
    differ("multiply-accumulates", static * batch, flops.get_total_flops() // 2)
    differ("outputs in evaluation", [w.values for w in c.graph.outputs], [tuple(t.shape[1:]) for t in found])
    if not c.fractional:
        with torch.no_grad():
            close("evaluation", found, list(reference.eval()(*xs))[: len(found)])


def _compare_training(c: Compiled, module: nn.Module, reference: nn.Module, batch: int) -> None:
    results: list[list[Tensor]] = []
    for each in (module, reference):
        xs = [x.requires_grad_() for x in inputs(c.graph, batch)]
        found = list(tensors(each.train()(*xs)))
        torch.stack([(t * (0.5 + torch.arange(t.numel()).view(t.shape) % 3)).sum() for t in found]).sum().backward()
        results.append(found + [x.grad if x.grad is not None else torch.zeros(1) for x in xs])
    said = [w.values for w in c.graph.outputs] + [a.wire.values for a in c.graph.auxiliaries]
    differ("outputs in training", said, [tuple(t.shape[1:]) for t in results[0][: len(said)]])
    close("training", *results)


def close(what: str, ones: list[Tensor], others: list[Tensor]) -> None:
    """Equal up to the order of summation, where numbers stay within reach of a float."""
    for i, (one, other) in enumerate(zip(ones, others, strict=True)):
        scale = max(1.0, float(other.detach().abs().nan_to_num(1e30, 1e30).max()))
        if scale < 1e5 and not torch.allclose(one, other, rtol=1e-3, atol=TOLERANCE * scale, equal_nan=True):
            raise Difference(f"{what}: result {i} differs by {(one - other).abs().max()} of {scale}")


def _compare_kept(c: Compiled, module: nn.Module, batch: int) -> None:
    for layer in module.modules():
        if type(layer).__name__ == "StochasticDepth":
            layer.keep = 1.0  # type: ignore[assignment]  the static number is of a pass in which every layer survives
    static = c.checked.networks[0].cost.memory.kept.at(batch)
    differ(f"kept bytes, batch of {batch}", static, kept_bytes(module, inputs(c.graph, batch)))


def digest(module: nn.Module, graph_inputs: list[Tensor], seed: int = 3) -> str:
    """One training step from a seed, as a hash of outputs, gradients and the weights after it (promises R14, R15)."""
    torch.manual_seed(seed)
    module.train()
    found = list(tensors(module(*graph_inputs)))
    loss = torch.stack([t.sum() for t in found]).sum()
    weights = list(module.parameters())
    if loss.requires_grad:
        loss.backward()
    if weights:
        torch.optim.SGD(weights, lr=0.01).step()
    found += [p.grad for p in weights if p.grad is not None] + weights
    result = hashlib.sha256()
    for tensor in found:
        result.update(tensor.detach().contiguous().numpy().tobytes())
    return result.hexdigest()

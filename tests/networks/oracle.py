"""Everything said about a network, held against torch running the generated module (promises R12 to R15)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from archdsl import Source, deep
from archdsl.analyses.walk import Application, applications, total
from archdsl.ir.graph import Graph, all_graphs
from archdsl.pipeline import Checked
from archdsl.pipeline import compile as compile_spec
from archdsl.render import text as rendered
from archdsl.verify import ATTENTION_ON_CPU, build, dense_macs, kept_bytes
from networks.alone import samples, tensors
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
            "PyTorch refuses" in note for a in self.ops if a.op is not None for note in a.op.notes(a.inputs, a.attrs)
        )


def compiled(source: str) -> Compiled:
    """The module of a program."""
    checked, texts = compile_spec(Source("net.arch", source))
    if not texts:
        raise Refused(checked)
    (text,) = texts.values()
    return Compiled(source, checked, text)


def differ(what: str, said: object, found: object) -> None:
    if said != found:
        raise Difference(f"{what}: {said} said, {found} by torch")


def inputs(graph: Graph, batch: int) -> list[Tensor]:
    return samples([wire.values for wire in graph.inputs], batch)


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
    _precisely(_compare_evaluation, c, module, reference, batch)
    if not c.random:
        _precisely(_compare_training, c, module, reference, batch)
    else:
        reference.train()(*inputs(c.graph, batch))  # every node's shape in training
    survive(module)
    _compare_kept(c, module, batch)
    _compare_lone(c, module)


def _precisely(compare: Callable[..., None], c: Compiled, module: nn.Module, reference: nn.Module, batch: int) -> None:
    """A difference counts if it is still there in float64: two norms in a row make a million of the last bit."""
    try:
        compare(c, module, reference, batch, torch.float32)
    except Difference:
        compare(c, module.double(), reference.double(), batch, torch.float64)
        module.float()
        reference.float()


class Flops(TorchDispatchMode):
    """`FlopCounterMode` without its books for each module, which take most of its time: its formulas, added up."""

    formulas = FlopCounterMode(display=False, custom_mapping=ATTENTION_ON_CPU).flop_registry
    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = self.formulas.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        return out


def _compare_evaluation(c: Compiled, module: nn.Module, reference: nn.Module, batch: int, dtype: torch.dtype) -> None:
    xs = [x.to(dtype) for x in inputs(c.graph, batch)]
    static = c.checked.networks[0].cost.macs.total + total(c.graph, "verify:dense", 0, dense_macs)
    with Flops() as flops, torch.no_grad():
        found = list(tensors(module.eval()(*xs)))
    differ("multiply-accumulates", static * batch, flops.total // 2)
    differ("outputs in evaluation", [w.values for w in c.graph.outputs], [tuple(t.shape[1:]) for t in found])
    if not c.fractional:
        with torch.no_grad():
            close("evaluation", found, list(reference.eval()(*xs))[: len(found)])


def _compare_training(c: Compiled, module: nn.Module, reference: nn.Module, batch: int, dtype: torch.dtype) -> None:
    results: list[list[Tensor]] = []
    for each in (module, reference):
        xs = [x.to(dtype).requires_grad_() for x in inputs(c.graph, batch)]
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


def survive(module: nn.Module) -> None:
    """No layer is left out from now on."""
    for layer in module.modules():
        if type(layer).__name__ == "StochasticDepth":
            layer.keep = 1.0  # type: ignore[assignment]


def _compare_kept(c: Compiled, module: nn.Module, batch: int) -> None:
    """The static number is of a pass in which every layer survives."""
    static, found = c.checked.networks[0].cost.memory.kept.at(batch), kept_bytes(module, inputs(c.graph, batch))
    differ(f"kept bytes, batch of {batch}", static, found)


def _compare_lone(c: Compiled, module: nn.Module) -> None:
    """A batch of one can be trained on, or the checker says that it cannot (promise R13)."""
    try:
        module.train()(*inputs(c.graph, 1))
    except ValueError as error:
        if "more than 1" not in str(error):
            raise
        differ("a batch of one", c.lone, True)
    else:
        differ("a batch of one", c.lone, False)


def hold(source: str, batch: int) -> Compiled:
    """`check` of a program, all of it on the compiler's own stack: a thread for each stage takes a tenth more."""

    def work() -> Compiled:
        c = compiled(source)
        check(c, batch)
        return c

    return deep.run(work)


def failure(source: str, batch: int) -> str:
    """How a program that should be valid fails, in a word or two; "" where it does not."""
    try:
        hold(source, batch)
    except Refused as refused:
        return "refused" if "internal" not in str(refused) else "internal"
    except Difference as different:
        return str(different).partition(":")[0]
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:60]
    return ""


def story(source: str, batch: int) -> str:
    """What `failure` shortens."""
    try:
        hold(source, batch)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""

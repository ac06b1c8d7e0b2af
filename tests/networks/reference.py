"""A graph run as it stands, node by node: the second opinion about what a generated module computes.

Every application of a primitive is its own module, spelled by the back end's table, which `test_ops.py` holds against
PyTorch primitive by primitive; the wiring, sharing and counting is all done here, from the graph, without any of the
generator's code. Each tensor is held against its static shape while it runs (promise R12: every node).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import CodeType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.emit.torch.helpers import HELPERS
from archdsl.emit.torch.ops import ROWS, show
from archdsl.emit.torch.row import Layer
from archdsl.ir.graph import Branches, Call, Chain, Graph, Node, Prim, Wire
from archdsl.scalar import Scalar

NAMES: dict[str, Any] = {"torch": torch, "F": F, "nn": nn, "Tensor": Tensor}
exec("\n\n".join(HELPERS.values()), NAMES)


class WrongShape(AssertionError):
    """A tensor has another shape than the checker says."""


def plain(value: Any) -> Any:
    """An attribute without the expression that made it."""
    if isinstance(value, tuple):
        return tuple(plain(part) for part in value)
    return value.value if isinstance(value, Scalar) else value


def layer(prim: Prim, inputs: Sequence[Wire], node: Node) -> Layer:
    """A primitive as its row sees it; one that wraps a layer has a module called BODY in it."""
    attrs = {name: plain(value) for name, value in prim.attrs.items()}
    body = "BODY" if prim.body is not None else ""
    return Layer(attrs, values(inputs), values(node.outputs), show, body, values(node.inputs))


def values(wires: Sequence[Wire]) -> tuple[tuple[int, ...], ...]:
    return tuple(wire.values for wire in wires)


def ends(chain: Chain, node: Node) -> tuple[Wire, ...]:
    """The wires that come out of a chain which the node's inputs go into."""
    units = [unit.node for unit in chain.units()]
    return units[-1].outputs if units else node.inputs


@cache
def expression(text: str) -> CodeType:
    """An expression ready to be evaluated; the same few hundred occur in all networks."""
    return compile(text, "<primitive>", "eval")


class Applied(nn.Module):
    """One application of a primitive."""

    def __init__(self, prim: Prim, inputs: Sequence[Wire], node: Node) -> None:
        super().__init__()
        self.name = prim.op.name
        body = Row(prim.body) if prim.body is not None else None
        row, spelled = ROWS[self.name], layer(prim, inputs, node)
        if self.name == "learned":
            self.weight = nn.Parameter(torch.empty([int(n) for n in plain(prim.attrs["shape"])]))
        elif row.module is not None and not (self.name == "join" and row.call is not None and row.calls(spelled)):
            self.layer = eval(expression(row.module(spelled)), NAMES | {"BODY": body})
        else:
            assert row.call is not None
            names = [f"x{i}" for i in range(len(inputs))]
            self.layer = eval(expression(f"lambda {', '.join(names)}: {row.call(spelled, tuple(names))}"), NAMES)

    def forward(self, *xs: Tensor) -> tuple[Tensor, ...]:
        made = self.layer(*xs)
        return tuple(made) if isinstance(made, (tuple, list)) else (made,)


class Row(nn.Module):
    """Nodes in a row, each of one tensor."""

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        self.nodes = [unit.node for unit in chain.units() for _ in range(unit.count)]
        shared: dict[str, nn.Module] = {}
        self.layers = nn.ModuleList(made(node, shared) for node in self.nodes)

    def forward(self, x: Tensor) -> Tensor:
        for node, one in zip(self.nodes, self.layers, strict=True):
            (x,) = checked(node, one(x))
        return x


class Fan(nn.Module):
    """Rows on one tensor, merged."""

    def __init__(self, what: Branches, node: Node) -> None:
        super().__init__()
        self.rows = nn.ModuleList(Row(branch) for branch in what.branches)
        self.merge = Applied(what.merge, [wire for branch in what.branches for wire in ends(branch, node)], node)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.merge(*(row(x) for row in self.rows))


class Called(nn.Module):
    """A block; a join it leaves open is closed where its caller takes a single tensor."""

    def __init__(self, graph: Graph, node: Node) -> None:
        super().__init__()
        self.body = Network(graph)
        closes = graph.open_join is not None and len(node.outputs) != len(graph.outputs)
        self.join = Applied(graph.open_join, graph.outputs, node) if closes and graph.open_join else None

    def forward(self, *xs: Tensor) -> tuple[Tensor, ...]:
        outputs = self.body(*xs)
        return outputs if self.join is None else self.join(*outputs)


def made(node: Node, shared: dict[str, nn.Module]) -> nn.Module:
    """The module of a node; one for all nodes that share their weights."""
    if node.shared is not None and node.shared in shared:
        return shared[node.shared]
    module = _made(node)
    if node.shared is not None:
        shared[node.shared] = module
    return module


def _made(node: Node) -> nn.Module:
    what = node.what
    if isinstance(what, Chain):
        return Row(what)
    if isinstance(what, Branches):
        return Fan(what, node)
    if isinstance(what, Call):
        return Called(what.graph, node)
    assert isinstance(what, Prim)
    return Applied(what, node.inputs if what.body is None else ends(what.body, node), node)


def checked(node: Node, found: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The tensors a node gave, if they have the shapes that the checker says."""
    tensors = found if isinstance(found, tuple) else (found,)
    shapes, said = [tuple(t.shape[1:]) for t in tensors], [w.values for w in node.outputs]
    if shapes != said:
        raise WrongShape(f"{node.span.text!r} at {node.span.start}: {said} said, {shapes} by torch")
    return tensors


class Network(nn.Module):
    """A graph; its auxiliary outputs come last."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        shared: dict[str, nn.Module] = {}
        self.layers = nn.ModuleList(made(node, shared) for node in graph.nodes)

    def forward(self, *xs: Tensor) -> tuple[Tensor, ...]:
        known = {id(wire): x for wire, x in zip(self.graph.inputs, xs, strict=True)}
        for node, one in zip(self.graph.nodes, self.layers, strict=True):
            if node.inputs:
                found = one(*(known[id(wire)] for wire in node.inputs))
            else:  # a learned tensor, the same for every sample
                found = one.weight.unsqueeze(0).expand(len(xs[0]), *one.weight.shape)
            known.update(zip(map(id, node.outputs), checked(node, found), strict=True))
        auxiliaries = [a.wire for a in self.graph.auxiliaries]
        return tuple(known[id(wire)] for wire in (*self.graph.outputs, *auxiliaries))

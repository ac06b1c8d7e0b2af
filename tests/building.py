"""Checked graphs written by hand, for tests of what comes after the front end: one method call, one layer."""

from __future__ import annotations

from archdsl.analyses import Cost
from archdsl.ir.graph import Branches, Call, Chain, Graph, Node, Parameter, Prim, Segment, Unit, Wire
from archdsl.ops import OPS
from archdsl.ops.coerce import attributes
from archdsl.ops.op import Misfit, Shape
from archdsl.scalar import Scalar
from archdsl.source import Source, Span

SPAN = Span(Source("test.arch", ""), 0, 0)


class Body:
    """The body of a block or network under construction."""

    def __init__(self, name: str, *inputs: Shape, kind: str = "block") -> None:
        self.name, self.kind = name, kind
        self.inputs = tuple(Wire(tuple(shape)) for shape in inputs)
        self.nodes: list[Node] = []

    @property
    def input(self) -> Wire:
        return self.inputs[0]

    def op(self, name: str, *wires: Wire, to: str = "", shared: str | None = None, **attrs: object) -> Wire:
        node = primitive(name, *wires, to=to, shared=shared, **attrs)
        self.nodes.append(node)
        return node.outputs[0]

    def row(self, wire: Wire, *layers: tuple[str, dict[str, object]] | str, to: str = "") -> Wire:
        """Layers in a row: a name, or a name and its attributes."""
        for layer in layers:
            name, attrs = (layer, {}) if isinstance(layer, str) else layer
            wire = self.op(name, wire, to=to, **attrs)
        return wire

    def call(self, graph: Graph, *wires: Wire, to: str = "") -> Wire:
        node = called(graph, *wires, to=to)
        self.nodes.append(node)
        return node.outputs[0]

    def chain(self, wire: Wire, *parts: tuple[Graph, int], to: str = "") -> Wire:
        """Blocks in a row, each so many times."""
        chain, out = chained(wire, *parts)
        node = Node(chain, (wire,), (Wire(out.shape, to),), SPAN, to)
        self.nodes.append(node)
        return node.outputs[0]

    def branches(self, wire: Wire, merge: str, *branches: tuple[tuple[Graph, int], ...], to: str = "") -> Wire:
        chains = tuple(chained(wire, *parts)[0] for parts in branches)
        ends = [chained(wire, *parts)[1] for parts in branches]
        prim = primitive(merge, *ends)
        node = Node(Branches(chains, prim.what), (wire,), prim.outputs, SPAN, to)
        self.nodes.append(node)
        return node.outputs[0]

    def graph(self, *outputs: Wire, parameters: tuple[Parameter, ...] = ()) -> Graph:
        names = tuple("out" if i == 0 else f"out{i}" for i in range(len(outputs)))
        return Graph(self.name, self.kind, parameters, self.inputs, tuple(self.nodes), outputs, names)


def primitive(name: str, *wires: Wire, to: str = "", shared: str | None = None, **attrs: object) -> Node:
    op = OPS[name]
    given = attributes(op, {k: tuple(v) if isinstance(v, list) else v for k, v in attrs.items()})
    assert not isinstance(given, Misfit), given
    shapes = op.infer(tuple(wire.shape for wire in wires), given)
    assert not isinstance(shapes, Misfit), shapes
    batched = any(wire.batched for wire in wires)
    return Node(Prim(op, given), wires, tuple(Wire(s, to, batched=batched) for s in shapes), SPAN, to, "", shared)


def called(graph: Graph, *wires: Wire, to: str = "") -> Node:
    outputs = tuple(Wire(wire.shape, to, batched=wire.batched) for wire in graph.outputs)
    return Node(Call(graph, {}), wires, outputs, SPAN, to)


def chained(wire: Wire, *parts: tuple[Graph, int]) -> tuple[Chain, Wire]:
    segments: list[Segment] = []
    for graph, count in parts:
        node = called(graph, wire)
        wire = node.outputs[0]
        segments.append(Segment((Unit(node, count),), Scalar(count)))
    return Chain(tuple(segments)), wire


def conv(width: int, kernel: int = 3, **more: object) -> tuple[str, dict[str, object]]:
    return "conv", {"width": width, "kernel": kernel, **more}


def basic(channels: int, size: int, width: int, stride: int = 1) -> Graph:
    """The basic residual unit, with shortcut A."""
    body = Body("basic", (channels, size, size))
    main = body.row(body.input, conv(width, 3, stride=stride), "bn", "relu", conv(width), "bn", to="main")
    skip = body.input
    if stride > 1:
        skip = body.op("subsample", skip, to="skip", stride=stride)
        skip = body.op("channel_pad", skip, to="skip", width=width)
    out = body.row(body.op("add", main, skip, to="out"), "relu", to="out")
    parameters = (Parameter("width", width, "required"), Parameter("stride", stride, "optional", 1))
    return body.graph(out, parameters=parameters)


def resnet(n: int, classes: int = 10) -> Graph:
    """The residual network for CIFAR of depth 6n + 2, option A (architectures.md, 11)."""
    net = Body("ResNet", (3, 32, 32), kind="network")
    x = net.row(net.input, conv(16), "bn", "relu", to="conv1")
    x = net.chain(x, (basic(16, 32, 16), n), to="conv2")
    for stage, width, size in ((3, 32, 32), (4, 64, 16)):
        rest = ((basic(width, size // 2, width), n - 1),) if n > 1 else ()
        x = net.chain(x, (basic(width // 2, size, width, 2), 1), *rest, to=f"conv{stage}")
    out = net.row(x, "global_avg_pool", ("linear", {"width": classes}), to="output")
    return net.graph(out, parameters=(Parameter("depth", 6 * n + 2, "required"),))


def wide(channels: int, size: int, width: int, stride: int = 1, p: float = 0) -> Graph:
    """The pre-activation unit of wide residual networks."""
    body = Body("wide", (channels, size, size))
    pre = body.row(body.input, "bn", "relu", to="pre")
    main = body.row(pre, conv(width, 3, stride=stride), "bn", "relu", ("dropout", {"p": p}), conv(width), to="main")
    plain = channels == width and stride == 1
    skip = body.input if plain else body.row(pre, conv(width, 1, stride=stride), to="skip")
    return body.graph(body.op("add", main, skip, to="out"))


def wrn(n: int, k: int) -> Graph:
    """Wide residual network of depth 6n + 4."""
    net = Body("WRN", (3, 32, 32), kind="network")
    x = net.row(net.input, conv(16), to="conv1")
    for stage, channels, width, size in ((2, 16, 16 * k, 32), (3, 16 * k, 32 * k, 32), (4, 32 * k, 64 * k, 16)):
        stride = 1 if stage == 2 else 2
        parts = ((wide(channels, size, width, stride), 1), (wide(width, size // stride, width), n - 1))
        x = net.chain(x, *parts, to=f"conv{stage}")
    return net.graph(net.row(x, "bn", "relu", "global_avg_pool", ("linear", {"width": 10}), to="output"))


def counts(cost: Cost) -> tuple[object, ...]:
    """Everything that is known of a network, memory first: found now, and to be compared."""
    return cost.memory, cost.params, cost.macs, cost.fields, cost.depth, cost.unknown

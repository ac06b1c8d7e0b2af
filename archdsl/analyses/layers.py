"""All layers of a network in the order in which a training step runs them, blocks opened, maps laid channels last.

Beside each layer stands the memory that it makes, and that which autograd keeps on its account; between them, from
where to where a tensor has a name in the text of a block that runs, and so cannot be let go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from archdsl.analyses.kept import Bytes, Storage, Tape, Tensor, Way, size_of
from archdsl.analyses.order import out_plainly
from archdsl.analyses.walk import Sizes, closing, product, sizes
from archdsl.ir.graph import Call, Extern, Graph, Node, Prim, Wire
from archdsl.ops.merge import is_plain_mean
from archdsl.ops.op import Attrs, Op

MOST = 100_000  # layers that are gone through, in some seconds; a run of equal ones counts as three or so
_EXTERN = Op("extern", """A class from outside.""")


class TooManyLayers(Exception):
    """Blocks in blocks come to more layers than anybody waits for."""


@dataclass(eq=False, slots=True)
class Layer:
    """One application of a primitive.

    shapes, outputs: of what comes in and goes out, for one sample; plain: whether what comes in lies plainly; made:
    the memory that it took; first: that of what autograd keeps for it and for no layer before it; extra: further bytes
    kept for each sample.
    """

    op: Op
    attrs: Attrs
    came: list[Tensor]
    shapes: tuple[Sizes, ...]
    outputs: tuple[Sizes, ...]
    plain: bool
    outs: list[Tensor] = field(default_factory=list[Tensor])
    made: list[Storage] = field(default_factory=list[Storage])
    first: list[Storage] = field(default_factory=list[Storage])
    extra: int = 0

    @property
    def name(self) -> str:
        """What torch does: the mean, for a join that drops nothing; another function for an approximate `gelu`."""
        if self.op.name == "join" and is_plain_mean(self.attrs):
            return "mean"
        return "gelu_tanh" if self.op.name == "gelu" and self.attrs["approximate"] == "tanh" else self.op.name

    @property
    def numbers(self) -> tuple[int, int]:
        """How many come in, and go out, for one sample."""
        return sum(map(product, self.shapes)), sum(map(product, self.outputs))


@dataclass(frozen=True, slots=True)
class Named:
    """Tensors that have a name from here on, or have had it until here."""

    storages: list[Storage]
    until_here: bool = False


@dataclass(eq=False, slots=True)
class Layers(Tape):
    """The layers of a network. Runs of equal units are one layer with a count, but for the first and the last."""

    events: list[Layer | Named] = field(default_factory=list["Layer | Named"])
    images: list[Tensor] = field(default_factory=list[Tensor])
    ends: list[Tensor] = field(default_factory=list[Tensor])
    plain: dict[Tensor, bool] = field(default_factory=dict[Tensor, bool])
    keeps: set[Storage] = field(default_factory=set[Storage])

    @classmethod
    def of(cls, graph: Graph) -> Layers:
        """Of a network, whose auxiliary outputs are ends, too. Its images are held by whoever trains.

        Raises `TooManyLayers`.
        """
        self = cls(images=[Tensor(Storage(size_of(wire), 1), Way(grad=False)) for wire in graph.inputs])
        self.plain = dict.fromkeys(self.images, False)
        self.keeps = {tensor.storage for tensor in self.images}
        tensors = self.through(graph, self.images, 1)
        wires = (*graph.outputs, *(auxiliary.wire for auxiliary in graph.auxiliaries))
        self.ends = [tensors[id(wire)] for wire in wires]
        return self

    def through(self, graph: Graph, came: Sequence[Tensor], copies: int) -> dict[int, Tensor]:
        """Goes through a graph, in so many equal places at once; gives the tensor of each wire."""
        tensors = {id(wire): tensor for wire, tensor in zip(graph.inputs, came, strict=True)}
        held = [tensor.storage for tensor in came]
        self.events.append(Named([*held]))
        for node in graph.nodes:
            outs = self.apply(node, [tensors[id(wire)] for wire in node.inputs], copies)
            pairs = list(zip(node.outputs, outs, strict=False))
            tensors.update((id(wire), tensor) for wire, tensor in pairs)
            named = [tensor.storage for wire, tensor in pairs if wire.name]
            self.events.append(Named(named))
            held += named
        self.events.append(Named(held, until_here=True))
        return tensors

    def applied(self, node: Node, came: list[Tensor], copies: int) -> list[Tensor]:
        """A class from outside is a layer, too, of which only the sizes are known: gradients pass through it."""
        outs = Tape.applied(self, node, came, copies)
        if isinstance(node.what, Extern):
            layer = Layer(_EXTERN, {}, came, sizes(node.inputs), sizes(node.outputs), plain=True, outs=outs)
            layer.made = [tensor.storage for tensor in outs]
            self.events.append(layer)
            self.plain.update(dict.fromkeys(outs, True))
        return outs

    def call(self, call: Call, node: Node, came: list[Tensor], copies: int) -> list[Tensor]:
        tensors = self.through(call.graph, came, copies)
        outs = [tensors[id(wire)] for wire in call.graph.outputs]
        join = closing(node, call.graph)
        return outs if join is None else self.prim(join, call.graph.outputs, outs, node.outputs, copies)

    def prim(
        self, prim: Prim, inputs: Sequence[Wire], came: list[Tensor], outputs: tuple[Wire, ...], copies: int
    ) -> list[Tensor]:
        if len(self.events) > MOST:
            raise TooManyLayers
        lies = bool(came) and self.plain.get(came[0], True)
        layer = Layer(prim.op, prim.plain, came, sizes(tuple(inputs)), sizes(outputs), lies)
        self.events.append(layer)
        made, extra = len(self.inner), self.extra.per_sample
        layer.outs = Tape.prim(self, prim, inputs, came, outputs, copies)
        layer.made, layer.extra = self.inner[made:], self.extra.per_sample - extra
        for tensor, shape in zip(layer.outs, layer.outputs, strict=True):
            self.plain[tensor] = len(shape) != 3 or out_plainly(layer.name, plain=lies)
        return layer.outs

    def view(self, name: str, attrs: Attrs, shape: Sizes, came: Tensor, wire: Wire, copies: int) -> Tensor:
        """As where maps lie plainly; one that lies channels last is copied for a vector."""
        if name in ("flatten", "reshape") and not self.plain.get(came, True):
            return self.new(Bytes(size_of(wire).per_sample), copies, Way(came.way.grad))
        return Tape.view(self, name, attrs, shape, came, wire, copies)

    def keep(self, tensor: Tensor) -> None:
        Tape.keep(self, tensor)
        layer = self.events[-1]
        if isinstance(layer, Layer) and tensor.storage not in self.keeps:
            self.keeps.add(tensor.storage)
            layer.first.append(tensor.storage)

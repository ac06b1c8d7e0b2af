"""The most that a training step holds of each image at one time, in bytes of float32, as torch does it on a CPU.

Forwards there is what autograd keeps of all layers so far, what has a name, and what the layer reads and puts out.
Backwards there is what autograd keeps for this layer and all before it, the gradients that come in and go out or wait
for other layers, and the workspace of the layer itself, copies in another order included. The image is there
throughout, as it was and as it is normalised. Weights and their gradients are not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from archdsl.analyses.kept import Storage, Tensor, hands_on
from archdsl.analyses.layers import Layer, Layers, Named
from archdsl.analyses.order import Passage, back_plainly, copied_backwards, passing_forwards
from archdsl.analyses.walk import is_alias, product
from archdsl.ir.graph import Graph

_FLOAT = 4
_IN_TWO_STEPS = ("mean", "sum", "affine")  # what comes in may be let go before the output is there
_HAND_BACK = ("add", "sum", "bias", "concat")  # give back the gradient as they get it, or parts that lie in it
_PARTS = ("slice", "split", "subsample", "crop")  # views of a part, whose gradient is as large as the whole
_SPREAD = ("add", "sub", "sum", "mean")  # what is smaller than the output gets a gradient of its own


def step(graph: Graph) -> int:
    """Bytes for each image. Raises `TooManyLayers`."""
    layers = Layers.of(graph)
    forth, back = _Forth(layers.keeps), _Back()
    for event in layers.events:
        forth.through(event)
    passed = [event for event in layers.events if isinstance(event, Layer)]
    back.begin(passed, layers.ends)
    for layer in reversed(passed):
        back.through(layer)
    image = _bytes(tensor.storage for tensor in layers.images)
    return image + image // _FLOAT + max(forth.most, back.most)


def answer(graph: Graph) -> int:
    """The same for a network that is only asked: nothing is kept for a way back. Without the image itself."""
    layers = Layers.of(graph)
    forth = _Forth({tensor.storage for tensor in layers.images})
    for event in layers.events:
        forth.through(event)
    return forth.most


@dataclass(eq=False, slots=True)
class _Forth:
    """A forward pass: what is held, of which these storages are kept for the way back and others have a name."""

    keeps: set[Storage]
    named: Counter[Storage] = field(default_factory=Counter[Storage])
    held: int = 0
    most: int = 0

    def through(self, event: Layer | Named) -> None:
        if isinstance(event, Named):
            for storage in event.storages:
                self.name(storage, -1 if event.until_here else 1)
            return
        made = event.extra + _bytes(self.keeps.intersection(event.made))
        passing = _FLOAT * passing_forwards(event.name, *event.numbers, plain=event.plain)
        came, outs = self.unheld(event.came), self.unheld(event.outs)
        if event.name in _IN_TWO_STEPS:
            self.reach(came + passing)
            came = 0
        self.held += made
        self.reach(came + outs + passing)

    def reach(self, more: int) -> None:
        self.most = max(self.most, self.held + more)

    def unheld(self, tensors: Iterable[Tensor]) -> int:
        """What these take that is neither kept nor has a name."""
        storages = {tensor.storage for tensor in tensors} - self.keeps
        return sum(storage.size.per_sample for storage in storages if not self.named[storage])

    def name(self, storage: Storage, more: int) -> None:
        """One name more or less; what is not kept counts while it has any, once for a run of equal units."""
        before = self.named[storage]
        self.named[storage] += more
        if storage not in self.keeps:
            self.held += storage.size.per_sample * (bool(before + more) - bool(before))


@dataclass(eq=False, slots=True)
class _Gradient:
    """The memory of one, whether it lies plainly, of how many tensors it is that, and whether some have but a part."""

    size: int
    plain: bool
    tensors: int = 0
    part: bool = False


@dataclass(eq=False, slots=True)
class _Back:
    """A backward pass: what autograd still keeps, and the gradients that are there."""

    held: int = 0
    there: int = 0
    most: int = 0
    gradients: dict[Tensor, _Gradient] = field(default_factory=dict[Tensor, _Gradient])

    def begin(self, layers: list[Layer], ends: list[Tensor]) -> None:
        """All is kept, and the outputs get gradients, which come from vectors and so lie plainly."""
        self.held = sum(map(_kept, layers))
        for tensor in ends:
            self.there += _bytes([tensor.storage])
            self.take(tensor, _Gradient(_bytes([tensor.storage]), plain=True))

    def through(self, layer: Layer) -> None:
        """Takes the gradients of a layer's outputs, gives those of its inputs, and lets go what was kept for it."""
        coming = [self.gradients.pop(tensor) for tensor in layer.outs if tensor in self.gradients]
        going = self.differentiated(layer, coming[0]) if coming else []
        self.held -= _kept(layer)
        new = {gradient for _, gradient, _ in going}
        for gradient in coming:
            gradient.tensors -= 1
        self.drop(set(coming) - new)
        for tensor, gradient, size in going:
            self.give(tensor, gradient, size)
        self.drop(new)

    def differentiated(self, layer: Layer, coming: _Gradient) -> list[tuple[Tensor, _Gradient, int]]:
        """The gradients of what came in, all there beside those of what went out."""
        passage = Passage(*layer.numbers, layer.plain, coming.plain, coming.part)
        going = _going(layer, coming, back_plainly(layer.name, passage))
        self.there += sum(gradient.size for gradient in {gradient for _, gradient, _ in going} - {coming})
        copied = _FLOAT * copied_backwards(layer.name, passage)
        self.reach(layer.op.saved(layer.shapes, layer.attrs).workspace + copied)
        return going

    def reach(self, more: int) -> None:
        self.most = max(self.most, self.held + self.there + more)

    def give(self, tensor: Tensor, gradient: _Gradient, size: int) -> None:
        """A gradient for a tensor: added to the one it has, in place where that is whole and nobody else's."""
        old = self.gradients.get(tensor)
        if old is None:
            self.take(tensor, gradient)
        elif old.tensors > 1 or old.part:
            self.there += size
            self.reach(0)
            self.take(tensor, _Gradient(size, old.plain))
            old.tensors -= 1
            self.drop({old})

    def take(self, tensor: Tensor, gradient: _Gradient) -> None:
        self.gradients[tensor] = gradient
        gradient.tensors += 1

    def drop(self, gradients: set[_Gradient]) -> None:
        """Those that are no tensor's any more are let go."""
        self.there -= sum(gradient.size for gradient in gradients if not gradient.tensors)


def _going(layer: Layer, coming: _Gradient, plain: bool) -> list[tuple[Tensor, _Gradient, int]]:
    """For each tensor that came in and wants one, its gradient and the tensor's size."""
    handed = coming if hands_back(layer, plain=coming.plain) else None
    if layer.name == "mean":
        handed = _Gradient(coming.size, plain)
    if layer.name == "concat":
        coming.part = True
    found = list[tuple[Tensor, _Gradient, int]]()
    for place, (tensor, shape) in enumerate(zip(layer.came, layer.shapes, strict=True)):
        size, whole = _FLOAT * product(shape), shape == layer.outputs[0] or layer.name not in _SPREAD
        minuend = coming if layer.name == "sub" and place == 0 else None
        gradient = (handed or minuend) if whole else None
        if tensor.way.grad:
            found.append((tensor, gradient or _Gradient(size, plain), size))
    return found


def hands_back(layer: Layer, *, plain: bool) -> bool:
    """Whether the gradient, which lies plainly or not, goes on as it is, or as a view of itself."""
    if layer.name in _PARTS or (layer.name == "reshape" and not plain):
        return False
    alias = is_alias(layer.op, layer.attrs, len(layer.came)) or hands_on(layer.op, layer.attrs)
    return alias or layer.name in _HAND_BACK


def _kept(layer: Layer) -> int:
    return layer.extra + _bytes(layer.first)


def _bytes(storages: Iterable[Storage]) -> int:
    return sum(storage.size.per_sample * storage.copies for storage in storages)

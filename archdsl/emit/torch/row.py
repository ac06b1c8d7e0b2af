"""One row per primitive: how PyTorch spells it. The rows themselves are in `ops.py`, one table.

A row says the layer as a module (`nn.Conv2d(...)`, for fields and `nn.Sequential`) and, where that reads better in
a `forward`, as a call (`F.relu(x)`). Arguments are printed through `Layer.show`, which writes a traced number as the
expression over the class's own parameters and everything else as a literal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from archdsl.ops.attrs import is_traced
from archdsl.ops.op import Attrs, Shape, Value


@dataclass(frozen=True, slots=True)
class Layer:
    """One application of a primitive, as a row sees it: attributes, per-sample shapes, and a printer of values."""

    attrs: Attrs
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    show: Callable[[Value], str]
    body: str = ""  # for a primitive that wraps a layer: that layer's constructor
    body_inputs: tuple[Shape, ...] = ()  # and the shapes that go into that layer


@dataclass(frozen=True, slots=True)
class Row:
    """How PyTorch spells one primitive.

    module: the constructor call, or None for a primitive that is only ever a call in `forward`.
    call: the expression on the input expressions (`F.relu(x)`), or None where the module's own call is meant
        (`self.conv1(x)`). A row with both prefers `call` in a forward and `module` in a Sequential.
    prepare: a statement for the start of the network's own forward, given the expression of its first input
        (drop-path draws one column for the whole network there).
        An empty statement means that there is nothing to prepare; equal statements are written once.
    helpers: names of helper classes or functions from `helpers.py` that `module` and `prepare` need; a `call` needs
        none.
    calls: whether a forward writes `call` where the row has both. By default wherever no attribute is traced: a class's
        parameters are at hand in its constructor, not in its forward.
    """

    module: Callable[[Layer], str] | None = None
    call: Callable[[Layer, tuple[str, ...]], str] | None = None
    prepare: Callable[[Layer, str], str] | None = None
    helpers: Callable[[Layer], tuple[str, ...]] = lambda layer: ()
    calls: Callable[[Layer], bool] = lambda layer: not any(is_traced(value) for value in layer.attrs.values())

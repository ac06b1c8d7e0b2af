"""What a primitive is: its parameters, its shape rule, its weights and its cost, as one value.

An `Op` knows nothing of source texts or of any back end. Shapes are per sample, without the batch dimension:
`(C, H, W)` for maps, `(N, C)` for token lists, `(C,)` for vectors. Dimensions may be plain ints or traced `Scalar`s;
shape rules use only `+ - * // %` and comparisons on them, so that a traced dimension keeps its expression.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import Union

from archdsl.record import value
from archdsl.scalar import Scalar

Dim = int | Scalar
Shape = tuple[Dim, ...]
# Attribute values after `coerce`: int or traced Scalar, exact fraction, bool, text, a tuple of whole numbers, or None.
Value = Union[int, Fraction, Scalar, bool, str, tuple["Value", ...], None]
Attrs = Mapping[str, Value]


class Required(Enum):
    """Marks a parameter that has no default."""

    REQUIRED = "required"


REQUIRED = Required.REQUIRED


class Kind(Enum):
    """What a parameter takes; the text is what messages call it."""

    __hash__ = object.__hash__  # a table is asked by kind for every argument; Enum's own is slow

    COUNT = "a whole number of at least 1"
    WHOLE = "a whole number of at least 0"
    INTEGER = "a whole number"
    NUMBER = "a number"
    PROBABILITY = "a number from 0 to 1"
    FLAG = "true or false"
    CHOICE = "one of its names"
    SIZE = "a whole number of at least 1, or [height, width]"
    PADDING = 'a whole number, [height, width], [top, bottom, left, right], "same" or "valid"'
    WHOLES = "a list of whole numbers"
    COUNTS = "a list of whole numbers of at least 1"
    MARGIN = "a whole number of at least 0, or [height, width]"
    SIDES = "a whole number of at least 0, [height, width] or [top, bottom, left, right]"
    TABLE = "a list of lists of whole numbers of at least 0"


@dataclass(frozen=True, slots=True, eq=False)
class Param:
    """One parameter of a primitive. `optional` admits `none`."""

    name: str
    kind: Kind
    default: Value | Required = REQUIRED
    choices: tuple[str, ...] = ()
    optional: bool = False
    doc: str = ""

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a primitive cannot be applied here: the sentence with its arithmetic, and what would help."""

    reason: str
    hint: str | None = None
    param: str | None = None  # the parameter to blame, where one is


@value
class Weight:
    """A learned tensor of a primitive. `name` is the PyTorch attribute path inside the layer."""

    name: str
    shape: Shape
    trainable: bool = True


@dataclass(frozen=True, slots=True)
class Saved:
    """What autograd keeps for the backward pass of one application, besides the layer's own weights.

    inputs: indices of input tensors kept; output: whether the output is kept; per_sample: further bytes for each
    sample (indices, masks); per_batch: further bytes whatever the batch (batch statistics); workspace: bytes for each
    sample that the backward pass of this layer holds for a while, beside the gradients that come in and go out, and
    beside copies in another order (`analyses/order.py`).
    """

    inputs: tuple[int, ...] = ()
    output: bool = False
    per_sample: int = 0
    per_batch: int = 0
    workspace: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """How far an output position looks: kernel extent, stride, and whether it sees the whole map."""

    extent: int = 1
    stride: Fraction = Fraction(1)
    everything: bool = False


def _no_weights(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Weight, ...]:
    return ()


def _no_macs(shapes: tuple[Shape, ...], attrs: Attrs) -> int:
    return 0


def _nothing_saved(shapes: tuple[Shape, ...], attrs: Attrs) -> Saved:
    return Saved()


def _pointwise(shapes: tuple[Shape, ...], attrs: Attrs) -> Window:
    return Window()


@dataclass(frozen=True, slots=True)
class Op:
    """A primitive of the language.

    infer: input shapes and attributes to output shapes, or a `Misfit`.
    weights: the learned tensors, in PyTorch's order of registration; `shapes` are the input shapes.
    macs: multiply-accumulates for one sample (convolutions, linear maps and matrix products only).
    saved: what autograd keeps (in training mode, float32 activations counted by their consumers).
    window: the receptive-field step.
    inputs: how many tensors it takes, as (fewest, most); most None for any number.
    alias: the output shares its input's memory (a view), so it costs no activation memory.
    wraps: takes a layer as its first argument and is applied around it (stochastic depth); `infer`, `macs`, `saved`
        then see the wrapped layer's output shapes as their input shapes.
    stochastic: behaves randomly in training mode; doc and source feed `archdsl explain` and the reference page.
    """

    name: str
    doc: str
    params: tuple[Param, ...] = ()
    infer: Callable[[tuple[Shape, ...], Attrs], tuple[Shape, ...] | Misfit] = lambda shapes, attrs: (shapes[0],)
    weights: Callable[[tuple[Shape, ...], Attrs], tuple[Weight, ...]] = _no_weights
    macs: Callable[[tuple[Shape, ...], Attrs], int] = _no_macs
    saved: Callable[[tuple[Shape, ...], Attrs], Saved] = _nothing_saved
    window: Callable[[tuple[Shape, ...], Attrs], Window] = _pointwise
    inputs: tuple[int, int | None] = (1, 1)
    alias: bool = False
    wraps: bool = False
    stochastic: bool = False
    notes: Callable[[tuple[Shape, ...], Attrs], tuple[str, ...]] = field(default=lambda shapes, attrs: ())

    def param(self, name: str) -> Param | None:
        """The parameter of that name."""
        return next((p for p in self.params if p.name == name), None)

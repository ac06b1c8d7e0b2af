"""What the machine can do, measured; what each layer asks of it, from the static analysis; and which of both limits it.

A layer takes at least the time of its operations at the machine's peak, and at least the time in which its tensors pass
through memory once: inputs in, outputs out. The longer of both is its bound (Williams, Waterman & Patterson 2009,
doi:10.1145/1498765.1498785).
"""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from archdsl.analyses.walk import Application, is_alias, numel, product, running, weights
from archdsl.ir.graph import Call, Extern, Graph

FLOAT = 4  # bytes
SIDE = {"cpu": 1024, "cuda": 4096}  # of the matrices whose product is the peak; a GPU is done with less at once
NUMBERS = 2**24  # in each tensor whose sum is the bandwidth: far more than caches hold


@dataclass(frozen=True)
class Layer:
    """All layers of a network that are alike: what one image asks of them together, in float32."""

    kind: str
    shape: tuple[int, ...]
    """Of the output."""
    count: int
    flops: int
    moved: int
    """Bytes of inputs and outputs."""
    weights: int
    """Bytes, read once for a whole batch."""

    def __add__(self, other: Layer) -> Layer:
        return replace(
            self,
            count=self.count + other.count,
            flops=self.flops + other.flops,
            moved=self.moved + other.moved,
            weights=self.weights + other.weights,
        )


def layers(graph: Graph) -> list[Layer]:
    """What answering takes, layers of one kind and output size together, in the order in which they first run."""
    found: dict[tuple[str, tuple[int, ...]], Layer] = {}
    for application, count in _opened(graph):
        one = _layer(application, count)
        key = one.kind, one.shape
        found[key] = found[key] + one if key in found else one
    return list(found.values())


def _opened(root: Graph) -> Iterator[tuple[Application, int]]:
    """Every application that moves numbers, inside blocks, too, and how often it runs."""
    waiting = [(application, application.count) for application in reversed(running(root))]
    while waiting:
        application, count = waiting.pop()
        what = application.what
        if isinstance(what, Call):
            waiting += [(inner, inner.count * count) for inner in reversed(running(what.graph))]
        elif not _is_free(application):
            yield application, count


def _is_free(application: Application) -> bool:
    """Views, and what is there without being computed."""
    op = application.op
    return op is not None and (op.inputs == (0, 0) or is_alias(op, application.attrs, len(application.inputs)))


def _layer(application: Application, count: int) -> Layer:
    op = application.op
    macs = int(op.macs(application.inputs, application.attrs)) if op else 0
    numbers = sum(map(product, application.inputs)) + sum(map(product, application.outputs))
    learned = sum(map(numel, weights(application)))
    shape = application.outputs[0] if application.outputs else ()
    kind = op.name if op else application.what.name if isinstance(application.what, Extern) else ""
    return Layer(kind, shape, count, 2 * macs * count, FLOAT * numbers * count, FLOAT * learned * count)


@dataclass(frozen=True)
class Peak:
    """Operations and bytes a second; `width` are the bytes of one number."""

    flops: float
    bandwidth: float
    width: int


@dataclass(frozen=True)
class Bound:
    """The least time of one image in a kind of layers."""

    layer: Layer
    intensity: float
    """Operations for each byte."""
    by: str
    """`arithmetic` or `memory`."""
    seconds: float


def bounds(found: Sequence[Layer], peak: Peak, batch: int) -> list[Bound]:
    """The bound of each kind of layers, the slowest first."""
    return sorted((_bound(layer, peak, batch) for layer in found), key=lambda bound: -bound.seconds)


def _bound(layer: Layer, peak: Peak, batch: int) -> Bound:
    moved = (layer.moved + layer.weights / batch) * peak.width / FLOAT
    computing, moving = layer.flops / peak.flops, moved / peak.bandwidth
    by = "arithmetic" if computing > moving else "memory"
    return Bound(layer, layer.flops / max(moved, 1), by, max(computing, moving))


def multiplying(device: torch.device, dtype: torch.dtype) -> tuple[float, Callable[[int], None]]:
    """Operations of one product of two large matrices, and what multiplies them so many times."""
    side = SIDE[device.type]
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(left)

    def work(steps: int) -> None:
        for _ in range(steps):
            torch.mm(left, right, out=out)

    return 2.0 * side**3, work


def streaming(device: torch.device) -> tuple[float, Callable[[int], None]]:
    """Bytes that one sum of two large tensors moves, and what adds them so many times."""
    left, right, out = (torch.ones(NUMBERS, device=device) for _ in range(3))

    def work(steps: int) -> None:
        for _ in range(steps):
            torch.add(left, right, out=out)

    return 3.0 * FLOAT * NUMBERS, work

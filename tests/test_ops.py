"""Every primitive against PyTorch itself: shapes, validity, parameters, multiply-accumulates, saved tensors, text.

A generator per primitive draws arguments and input shapes near the edge of what is valid. `PROBES` is that table; a
primitive without a row fails the first test.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, settings
from hypothesis import given as drawn_from
from hypothesis import strategies as st
from soak import Tally, scaled
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from archdsl.emit.torch.helpers import HELPERS, NEEDS, with_needs
from archdsl.emit.torch.ops import ROWS, show
from archdsl.emit.torch.row import Layer
from archdsl.ops import OPS
from archdsl.ops.coerce import LARGEST, attributes, coerce
from archdsl.ops.op import Kind, Misfit, Param
from archdsl.ops.reference import reference
from archdsl.scalar import Scalar, evaluate, value_of

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
ROOT = Path(__file__).parent.parent
BATCH = 3
HEADER = "import torch\nimport torch.nn.functional as F\nfrom torch import Tensor, nn\n\n\n"


@pytest.fixture(autouse=True)
def repeatable() -> Iterator[None]:
    """One seed for each test, and one thread: on tensors this small a second one only waits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(2017)
    yield
    torch.set_num_threads(threads)


# --- drawing ------------------------------------------------------------------------------------------------------


class Draw:
    """Random choices, from hypothesis or from a seed: the same generators serve both."""

    def __init__(self, pick: Callable[[int, int], int]) -> None:
        self.whole = pick

    def pick(self, *options: Any) -> Any:
        return options[self.whole(0, len(options) - 1)]

    def flag(self) -> bool:
        return self.whole(0, 1) == 1

    def extent(self, least: int, most: int) -> Any:
        """One number, or one for each direction."""
        one = self.whole(least, most)
        return one if self.whole(0, 2) else [one, self.whole(least, most)]

    def map(self, channels: int = 6, side: int = 7) -> tuple[int, ...]:
        return self.whole(1, channels), self.whole(1, side), self.whole(1, side)

    def list(self) -> tuple[int, ...]:
        return self.whole(1, 5), self.whole(1, 8)

    def vector(self) -> tuple[int, ...]:
        return (self.whole(1, 8),)

    def any(self) -> tuple[int, ...]:
        return self.pick(self.map, self.map, self.list, self.vector)()

    def sides(self, most: int = 2) -> Any:
        return self.pick(self.whole(0, most), [self.whole(0, most) for _ in range(4)], self.extent(0, most))


Shapes = tuple[tuple[int, ...], ...]
Probe = Callable[[Draw], tuple[Shapes, dict[str, Any]]]


def conv_padding(d: Draw) -> Any:
    return d.pick("same", "same", "valid", d.sides(3))


def conv(d: Draw) -> tuple[Shapes, dict[str, Any]]:
    given = {"width": d.whole(1, 8), "kernel": d.extent(1, 5), "stride": d.extent(1, 3), "padding": conv_padding(d)}
    given |= {"dilation": d.pick(1, 1, d.extent(1, 2)), "groups": d.pick(1, 1, 2, 3), "bias": d.flag()}
    return (d.map(),), given


def depthwise(d: Draw) -> tuple[Shapes, dict[str, Any]]:
    given = {"kernel": d.extent(1, 5), "stride": d.extent(1, 3), "padding": conv_padding(d)}
    return (d.map(),), given | {"multiplier": d.whole(1, 2), "dilation": d.extent(1, 2), "bias": d.flag()}


def conv_transpose(d: Draw) -> tuple[Shapes, dict[str, Any]]:
    given = {"width": d.whole(1, 6), "kernel": d.extent(1, 4), "stride": d.extent(1, 3), "padding": d.extent(0, 3)}
    given |= {"output_padding": d.extent(0, 2), "dilation": d.extent(1, 2), "groups": d.pick(1, 1, 2)}
    return (d.map(side=4),), given | {"bias": d.flag()}


def conv_table(d: Draw) -> tuple[Shapes, dict[str, Any]]:
    table = [[i for i in range(d.whole(1, 4)) if i == 0 or d.flag()] for _ in range(d.whole(1, 4))]
    given = {"table": table, "kernel": d.extent(1, 3), "stride": d.extent(1, 2), "padding": conv_padding(d)}
    return ((d.whole(2, 5), d.whole(1, 6), d.whole(1, 6)),), given | {"bias": d.flag()}


def code_distance(d: Draw) -> tuple[Shapes, dict[str, Any]]:
    numbers, bits = d.whole(1, 3), d.whole(1, 3)
    codes = [[d.whole(0, 2**bits - 1) for _ in range(numbers)] for _ in range(d.whole(1, 4))]
    return ((numbers * bits,),), {"codes": codes, "bits": bits}


def pool(d: Draw) -> dict[str, Any]:
    stride = d.pick(None, d.extent(1, 3))
    return {"kernel": d.extent(1, 4), "stride": stride, "padding": d.extent(0, 2), "ceil": d.flag()}


def fractional(d: Draw) -> tuple[Shapes, dict[str, Any]]:
    shape = (d.whole(1, 3), d.whole(2, 9), d.whole(2, 9))
    if d.flag():
        return (shape,), {"kernel": d.extent(1, 3), "size": d.extent(1, 6)}
    return (shape,), {"kernel": d.whole(1, 3), "ratio": Fraction(d.whole(1, 9), 10)}


def reshape(d: Draw) -> tuple[Shapes, dict[str, Any]]:
    shape = d.any()
    total = int(torch.Size(shape).numel())
    options = ([-1], [total], [shape[0], -1], [-1, 1, 1], [2, -1], [d.whole(1, 4), d.whole(1, 4)], [1, -1, shape[-1]])
    return (shape,), {"shape": d.pick(*options)}


def permute(d: Draw) -> tuple[Shapes, dict[str, Any]]:
    shape = d.any()
    order = list(range(len(shape)))
    return (shape,), {"order": d.pick(order[::-1], order[1:] + order[:1], [0] * len(shape), order)}


def cut(d: Draw) -> tuple[Shapes, dict[str, Any]]:
    return (d.any(),), {"start": d.whole(-3, 3), "stop": d.pick(None, d.whole(-3, 8)), "axis": d.whole(-2, 2)}


def alike(d: Draw, least: int = 1, most: int = 4) -> Shapes:
    """Shapes that match, or nearly: some dimensions become 1 or something else."""
    shape = d.any()
    count = d.whole(least, most)
    return tuple(tuple(d.pick(n, n, n, n, n, 1, 2) for n in shape) for _ in range(count))


def equal(d: Draw, least: int = 1, most: int = 4) -> Shapes:
    return (d.any(),) * d.whole(least, most)


def concat(d: Draw) -> tuple[Shapes, dict[str, Any]]:
    shape, axis = d.any(), d.whole(-2, 2)
    place = axis % len(shape)
    parts = tuple(tuple(d.whole(1, 3) if i == place else n for i, n in enumerate(shape)) for _ in range(d.whole(1, 3)))
    return d.pick(parts, parts, alike(d, 2, 2)), {"axis": axis}


def matmul(d: Draw) -> tuple[Shapes, dict[str, Any]]:
    left, right = d.list(), d.list()
    return (left, d.pick((left[1], right[1]), right)), {}


def norm(d: Draw) -> dict[str, Any]:
    return {"eps": d.pick(Fraction(1, 10**5), Fraction(1, 1000)), "affine": d.flag()}


def bn(d: Draw) -> tuple[Shapes, dict[str, Any]]:
    return (d.pick(d.map, d.vector)(),), norm(d) | {"momentum": d.pick(None, Fraction(1, 10)), "track": d.flag()}


def per(d: Draw) -> dict[str, Any]:
    return {"per": d.pick("layer", "channel"), "init": d.pick(0, 1, Fraction(1, 2))}


def rate(d: Draw) -> Any:
    return d.pick(0, 1, Fraction(1, 2), Fraction(1, 5))


def join(d: Draw) -> dict[str, Any]:
    return {"drop": rate(d), "mode": d.pick("local", "global", "mixed"), "per": d.pick("batch", "sample")}


def shake(d: Draw) -> dict[str, Any]:
    backward = d.pick("shake", "even", "keep")
    return {"forward": d.pick("shake", "even"), "backward": backward, "level": d.pick("image", "batch")}


def simple(*names: str) -> dict[str, Probe]:
    return {name: lambda d: ((d.any(),), {}) for name in names}


PROBES: dict[str, Probe] = {
    "conv": conv,
    "depthwise": depthwise,
    "conv_transpose": conv_transpose,
    "conv_table": conv_table,
    "linear": lambda d: ((d.pick(d.list, d.vector)(),), {"width": d.whole(1, 8), "bias": d.flag()}),
    "matmul": matmul,
    "attention": lambda d: ((d.list(),), {"heads": d.whole(1, 4), "bias": d.flag()}),
    "code_distance": code_distance,
    "learned": lambda d: ((), {"shape": list(d.any()), "init": d.pick(0, 1, Fraction(1, 50))}),
    "bn": bn,
    "ln": lambda d: ((d.any(),), norm(d) | {"dims": d.whole(1, 2)}),
    "gn": lambda d: ((d.pick(d.map, d.vector)(),), norm(d) | {"groups": d.whole(1, 3)}),
    "instance_norm": lambda d: ((d.map(side=3),), norm(d)),
    "lrn": lambda d: ((d.map(),), {"size": d.whole(1, 6), "alpha": d.pick(1, Fraction(1, 2000)), "k": d.whole(1, 2)}),
    **simple("relu", "relu6", "elu", "selu", "silu", "sigmoid", "tanh", "hard_sigmoid", "hard_swish", "hard_tanh"),
    "leaky_relu": lambda d: ((d.any(),), {"slope": d.pick(Fraction(1, 3), Fraction(1, 100))}),
    "prelu": lambda d: ((d.any(),), {"per": d.pick("layer", "channel")}),
    "gelu": lambda d: ((d.any(),), {"approximate": d.pick("none", "tanh")}),
    "softmax": lambda d: ((d.any(),), {"axis": d.whole(-2, 2)}),
    "maxout": lambda d: ((d.any(),), {"pieces": d.whole(1, 3)}),
    "scale": lambda d: ((d.any(),), per(d)),
    "bias": lambda d: ((d.any(),), per(d)),
    "affine": lambda d: ((d.any(),), {"scale": d.pick(1, Fraction(2, 3), -2), "shift": d.pick(0, 1, Fraction(-1, 2))}),
    "identity": lambda d: ((d.any(),), {}),
    "dropout": lambda d: ((d.any(),), {"p": rate(d)}),
    "channel_dropout": lambda d: ((d.map(),), {"p": rate(d)}),
    "bernoulli_mask": lambda d: ((d.any(),), {"keep": rate(d)}),
    "stochastic_depth": lambda d: ((d.any(),), {"keep": 1, "per": d.pick("batch", "sample"), "rescale": d.flag()}),
    "max_pool": lambda d: ((d.map(),), pool(d) | {"dilation": d.pick(1, 1, d.extent(1, 2))}),
    "avg_pool": lambda d: ((d.map(),), pool(d) | {"count_padding": d.flag()}),
    "adaptive_avg_pool": lambda d: ((d.map(),), {"size": d.extent(1, 4)}),
    "adaptive_max_pool": lambda d: ((d.map(),), {"size": d.extent(1, 4)}),
    "global_avg_pool": lambda d: ((d.pick(d.map, d.list)(),), {}),
    "global_max_pool": lambda d: ((d.map(),), {}),
    "fractional_max_pool": fractional,
    "spp": lambda d: ((d.map(),), {"bins": [d.whole(1, 4) for _ in range(d.whole(1, 3))]}),
    "flatten": lambda d: ((d.any(),), {}),
    "reshape": reshape,
    "permute": permute,
    "slice": cut,
    "split": lambda d: ((d.any(),), {"parts": d.whole(1, 3), "axis": d.whole(-2, 2)}),
    "subsample": lambda d: ((d.map(),), {"stride": d.whole(1, 3)}),
    "upsample": lambda d: ((d.map(),), {"scale": d.whole(1, 3), "mode": d.pick("nearest", "bilinear")}),
    "pixel_shuffle": lambda d: ((d.map(channels=9),), {"factor": d.whole(1, 3)}),
    "pixel_unshuffle": lambda d: ((d.map(),), {"factor": d.whole(1, 3)}),
    "channel_shuffle": lambda d: ((d.map(),), {"groups": d.whole(1, 3)}),
    "zero_pad": lambda d: ((d.map(),), {"padding": d.sides()}),
    "reflect_pad": lambda d: ((d.map(side=4),), {"padding": d.sides()}),
    "crop": lambda d: ((d.map(),), {"border": d.sides()}),
    "shift": lambda d: ((d.map(),), {"down": d.whole(-3, 3), "right": d.whole(-3, 3)}),
    "channel_pad": lambda d: ((d.any(),), {"width": d.whole(1, 9), "where": d.pick("end", "both")}),
    "add": lambda d: (alike(d, 2), {}),
    "sub": lambda d: (alike(d, 2, 2), {}),
    "mul": lambda d: (alike(d, 2), {}),
    "concat": concat,
    "sum": lambda d: (alike(d), {}),
    "mean": lambda d: (alike(d), {}),
    "max": lambda d: (alike(d), {}),
    "min": lambda d: (alike(d), {}),
    "join": lambda d: (equal(d), join(d)),
    "shake_add": lambda d: (equal(d, 2, 2), shake(d)),
}

# Where the language refuses more than PyTorch would: silent empty slices, uneven chunks, lists read as channels first,
# or an axis that is the batch.
STRICTER = {"conv_table", "slice", "split", "reshape", "crop", "shift", "channel_pad", "prelu", "maxout"}
STRICTER |= {"fractional_max_pool", "softmax", "concat", "ln"}


# --- what PyTorch says --------------------------------------------------------------------------------------------


def namespace() -> dict[str, Any]:
    space: dict[str, Any] = {}
    exec(HEADER + "\n\n".join(HELPERS.values()), space)
    return space


NAMES = namespace()


def layer_of(name: str, shapes: Shapes, given: dict[str, Any], printer: Callable[[Any], str] = show) -> Layer | Misfit:
    attrs = attributes(OPS[name], given)
    outputs = attrs if isinstance(attrs, Misfit) else OPS[name].infer(shapes, attrs)
    if isinstance(outputs, Misfit) or isinstance(attrs, Misfit):
        return outputs if isinstance(outputs, Misfit) else attrs  # type: ignore[return-value]
    body = "nn.Identity()" if OPS[name].wraps else ""
    return Layer(attrs, shapes, outputs, printer, body)


def sources(name: str, layer: Layer) -> list[str]:
    """The texts of a row: the module's, and a function around the call's."""
    row, texts = ROWS[name], []
    calls = row.call is not None and (name != "join" or row.calls(layer))
    if row.module is not None and not (name == "join" and calls):
        texts.append(row.module(layer))
    if calls and row.call is not None:
        xs = tuple(f"x{i}" for i in range(len(layer.inputs)))
        texts.append(f"lambda {', '.join(xs)}: {row.call(layer, xs)}")
    return texts


def unchecked_layer(name: str, shapes: Shapes, given: dict[str, Any]) -> Layer:
    """The layer although its shapes may not fit, to see what PyTorch says to it."""
    attrs = attributes(OPS[name], given)
    assert not isinstance(attrs, Misfit)
    outputs: Shapes = ((shapes[0][0] * given["multiplier"],),) if name == "depthwise" else ((1, 1, 1),)
    return Layer(attrs, shapes, outputs, show, "nn.Identity()")


def runs(name: str, shapes: Shapes, given: dict[str, Any]) -> bool:
    """Whether PyTorch accepts the layer and its inputs, and leaves anything."""
    layer = unchecked_layer(name, shapes, given)
    try:
        for source in sources(name, layer):
            results = eval(source, NAMES)(*(torch.randn(BATCH, *shape) for shape in shapes))
            if any(r.numel() == 0 for r in (results if isinstance(results, tuple) else (results,))):
                return False
    except (RuntimeError, ValueError, IndexError, ZeroDivisionError):
        return False
    return True


def attention_flops(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> int:
    """PyTorch's own count, which it has registered for other devices' kernels only."""
    return sdpa_flop_count(query, key, value)


ATTENTION_ON_CPU = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention_flops}


class Measured:
    """One forward pass in training mode: results, multiply-accumulates, and what autograd kept."""

    def __init__(self, function: Any, xs: Sequence[Tensor]) -> None:
        kept: list[Tensor] = []
        with (
            torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t),
            FlopCounterMode(display=False, custom_mapping=ATTENTION_ON_CPU) as flops,
        ):
            results = function(*xs)
        self.results = tuple(results) if isinstance(results, (tuple, list)) else (results,)
        self.macs = flops.get_total_flops() / 2
        own = list(function.parameters()) + list(function.buffers()) if isinstance(function, nn.Module) else []
        places = {storage(t): ("own", 0) for t in own}
        places |= {storage(r): ("output", i) for i, r in enumerate(self.results)}
        places |= {storage(x): ("input", i) for i, x in enumerate(xs)}
        self.kept = {places.get(storage(t), ("other", storage(t))) for t in kept}
        sizes = {storage(t): t.untyped_storage().nbytes() for t in kept}
        self.other_bytes = sum(sizes[key] for kind, key in self.kept if kind == "other")


def storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


# --- the comparison -----------------------------------------------------------------------------------------------


def compare(name: str, d: Draw) -> str:
    """Draws one application and holds everything said about it against PyTorch; tells how it went."""
    shapes, arguments = PROBES[name](d)
    layer = layer_of(name, shapes, arguments)
    what = f"{name} {shapes} {arguments}"
    if isinstance(layer, Misfit):
        assert name in STRICTER or not runs(name, shapes, arguments), f"{what}: refused, {layer.reason}"
        return "refused"
    xs = [torch.randn(BATCH, *shape).requires_grad_() * 1 for shape in shapes]
    results = [compare_text(name, layer, source, xs, what) for source in sources(name, layer)]
    if len(results) == 2:
        assert all(torch.equal(a, b) for a, b in zip(*results, strict=True)), f"{what}: module and call differ"
    return "agreed"


def compare_text(name: str, layer: Layer, source: str, xs: list[Tensor], what: str) -> tuple[Tensor, ...]:
    op = OPS[name]
    function = eval(source, NAMES)
    torch.manual_seed(0)
    measured = Measured(function, xs)
    shapes = [tuple(int(n) for n in shape) for shape in layer.outputs]
    assert [tuple(r.shape[1:]) for r in measured.results] == shapes, f"{what}: shapes"
    if isinstance(function, nn.Module):
        found = [(n, tuple(p.shape)) for n, p in function.named_parameters()]
        said = [(w.name, tuple(int(n) for n in w.shape)) for w in op.weights(layer.inputs, layer.attrs)]
        assert found == said, f"{what}: weights"
    if name != "conv_table":  # PyTorch multiplies with the zeros too
        assert measured.macs == BATCH * op.macs(layer.inputs, layer.attrs), f"{what}: macs"
    compare_saved(measured, op.saved(layer.inputs, layer.attrs), f"{what}: {source}")
    return measured.results


def compare_saved(measured: Measured, saved: Any, what: str) -> None:
    inputs = {i for kind, i in measured.kept if kind == "input"}
    outputs = any(kind == "output" for kind, _ in measured.kept)
    assert inputs == set(saved.inputs), f"{what}: saved inputs {inputs}"
    assert outputs == saved.output, f"{what}: saved output"
    expected = BATCH * saved.per_sample + saved.per_batch
    assert measured.other_bytes == expected, f"{what}: {measured.other_bytes} bytes kept, {expected} said"


def seeded(seed: int) -> Draw:
    return Draw(random.Random(seed).randint)


def test_every_primitive_has_a_row_a_probe_and_a_text() -> None:
    assert list(OPS) == list(ROWS) == [op.name for op in OPS.values()]
    assert set(PROBES) == set(OPS)
    for op in OPS.values():
        assert op.doc.partition("\n")[0].endswith((".", ":")), op.name
        assert all(param.doc for param in op.params), op.name
        assert ROWS[op.name].module or ROWS[op.name].call, op.name


@pytest.mark.parametrize("name", [name for name in PROBES if name != "learned"])
def test_agrees_with_torch(name: str) -> None:
    @settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    @drawn_from(st.data())
    def run(data: st.DataObject) -> None:
        compare(name, Draw(lambda a, b: data.draw(st.integers(a, b))))

    run()


def sweep(name: str, count: int, first: int, tally: Tally) -> dict[str, int]:
    """Many comparisons from seeds, without shrinking; how many agreed and how many both sides refused."""
    tally.seed = f"{first} + case"
    went = {"agreed": 0, "refused": 0}
    for seed in range(first, first + count):
        with tally.case():
            went[compare(name, seeded(seed))] += 1
    return went


EDGES = ["conv", "depthwise", "conv_transpose", "max_pool", "avg_pool", "reflect_pad", "instance_norm", "gn"]


def torch_says(name: str, shapes: Shapes, given: dict[str, Any]) -> tuple[int, ...] | None:
    """The output shape, or None where PyTorch refuses or nothing is left."""
    layer = unchecked_layer(name, shapes, given)
    try:
        with torch.no_grad():
            result = build(sources(name, layer)[-1])(*(torch.zeros(BATCH, *shape) for shape in shapes))
    except (RuntimeError, ValueError):
        return None
    return tuple(result.shape[1:]) if result.numel() else None


@pytest.mark.parametrize("name", EDGES)
def test_the_edge_of_what_is_valid_is_where_torch_has_it(name: str) -> None:
    tally = {"agreed": 0, "refused": 0}
    for seed in range(2_500):
        shapes, given = PROBES[name](seeded(seed))
        layer = layer_of(name, shapes, given)
        ours = None if isinstance(layer, Misfit) else tuple(int(n) for n in layer.outputs[0])
        assert ours == torch_says(name, shapes, given), f"{name} {shapes} {given}: {layer}"
        tally["refused" if ours is None else "agreed"] += 1
    assert min(tally.values()) >= 250, f"one-sided: {tally}"


@pytest.mark.prove
@pytest.mark.promised("R13", of="layers at the edge")
@pytest.mark.parametrize("name", [name for name in PROBES if name != "learned"])
def test_agrees_with_torch_at_length(name: str, soak: Tally) -> None:
    print(name, sweep(name, scaled(10_000 if name in EDGES else 2_200), 1_000_000, soak))


# --- traced numbers -----------------------------------------------------------------------------------------------


class Tracer:
    """Wraps whole numbers as parameters of a class, and remembers what each stands for."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}

    def trace(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.trace(part) for part in value]
        if isinstance(value, bool) or not isinstance(value, int):
            return value
        name = f"n{len(self.values)}"
        self.values[name] = value
        return Scalar(value, name)


def spelled(module: nn.Module) -> str:
    """What a module says of itself, 1.0 being 1 and (3, 3) being 3."""
    return re.sub(r"\((\d+), \1\)", r"\1", re.sub(r"\.0\b", "", repr(module)))


@pytest.mark.parametrize("name", [name for name in PROBES if name != "learned"])
def test_traced_numbers_give_the_same_sizes_and_the_same_module(name: str) -> None:
    for seed in range(25):
        shapes, given = PROBES[name](seeded(seed))
        plain = layer_of(name, shapes, given)
        tracer = Tracer()
        dims = tuple(tuple(tracer.trace(n) for n in shape) for shape in shapes)
        table = {"table"} & set(given)  # a table of maps is written out
        traced = layer_of(name, dims, {k: v if k in table else tracer.trace(v) for k, v in given.items()})
        assert isinstance(traced, Misfit) == isinstance(plain, Misfit)
        if isinstance(traced, Misfit) or isinstance(plain, Misfit):
            continue
        assert traced.outputs == plain.outputs
        for dim in (dim for shape in traced.outputs for dim in shape):
            assert evaluate(dim.term if isinstance(dim, Scalar) else dim, tracer.values) == value_of(dim)
            assert eval(show(dim), dict(tracer.values)) == value_of(dim)
        assert OPS[name].weights(dims, traced.attrs) == OPS[name].weights(shapes, plain.attrs)
        for one, other in zip(sources(name, traced), sources(name, plain), strict=False):
            if not one.startswith("lambda"):
                built = eval(one, NAMES | tracer.values)
                assert spelled(built) == spelled(eval(other, NAMES)), one


def test_sizes_that_stay_keep_their_own_expression() -> None:
    channels, height, width = Scalar(16, "c"), Scalar(8, "h"), Scalar(9, "w")
    for name, given in (("conv", {"width": 4, "kernel": 3}), ("depthwise", {"kernel": 5}), ("relu", {}), ("bn", {})):
        attrs = attributes(OPS[name], given)
        assert not isinstance(attrs, Misfit)
        outputs = OPS[name].infer(((channels, height, width),), attrs)
        assert not isinstance(outputs, Misfit)
        assert outputs[0][1] is height, name
        assert outputs[0][2] is width, name


# --- the text -----------------------------------------------------------------------------------------------------

K, S, C = Scalar(3, "kernel"), Scalar(2, "stride"), Scalar(16, "in_channels")
MAP, VECTOR, LIST = (16, 32, 32), (10,), (64, 192)

TEXTS: list[tuple[str, Any, dict[str, Any], str | None, str | None]] = [
    (
        "conv",
        MAP,
        {"width": 32, "kernel": 3, "stride": 2},
        "nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False)",
        None,
    ),
    ("conv", MAP, {"width": 4, "kernel": 1, "bias": True}, "nn.Conv2d(16, 4, 1)", None),
    ("conv", MAP, {"width": 4, "kernel": [3, 5], "bias": True}, "nn.Conv2d(16, 4, (3, 5), padding=(1, 2))", None),
    ("conv", MAP, {"width": 4, "kernel": 2, "bias": True}, 'nn.Conv2d(16, 4, 2, padding="same")', None),
    (
        "conv",
        MAP,
        {"width": 4, "kernel": 2, "stride": 2, "bias": True},
        "nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(16, 4, 2, stride=2))",
        None,
    ),
    (
        "conv",
        (C, 32, 32),
        {"width": Scalar(64, ("*", 4, "width")), "kernel": K, "stride": S, "groups": 4},
        "nn.Conv2d(in_channels, 4 * width, kernel, stride=stride, padding=kernel // 2, groups=4, bias=False)",
        None,
    ),
    ("depthwise", MAP, {"kernel": 3}, "nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False)", None),
    (
        "conv_transpose",
        MAP,
        {"width": 8, "kernel": 2, "stride": 2},
        "nn.ConvTranspose2d(16, 8, 2, stride=2, bias=False)",
        None,
    ),
    ("conv_table", (3, 5, 5), {"table": [[0, 1], [2]], "kernel": 5}, "TableConv2d(3, [[0, 1], [2]], 5)", None),
    ("linear", VECTOR, {"width": 10}, "nn.Linear(10, 10)", None),
    ("attention", LIST, {"heads": 3}, "SelfAttention(192, 3)", None),
    ("code_distance", (6,), {"codes": [[5, 2]], "bits": 3}, "CodeDistance([[5, 2]], bits=3)", None),
    ("learned", (), {"shape": [1, 192]}, "nn.Parameter(torch.zeros(1, 192))", None),
    ("learned", (), {"shape": [4], "init": Fraction(1, 2)}, "nn.Parameter(torch.full((4,), 0.5))", None),
    ("bn", MAP, {}, "nn.BatchNorm2d(16)", None),
    ("bn", VECTOR, {"momentum": None}, "nn.BatchNorm1d(10, momentum=None)", None),
    ("bn", MAP, {"eps": Fraction(1, 10**6)}, "nn.BatchNorm2d(16, eps=1e-6)", None),
    ("ln", LIST, {}, "nn.LayerNorm(192)", None),
    ("ln", MAP, {"dims": 3}, "nn.LayerNorm((16, 32, 32))", None),
    ("gn", MAP, {"groups": 4}, "nn.GroupNorm(4, 16)", None),
    ("instance_norm", MAP, {"affine": True}, "nn.InstanceNorm2d(16, affine=True)", None),
    ("lrn", MAP, {"alpha": Fraction(5, 10**4), "k": 2}, "nn.LocalResponseNorm(5, alpha=0.0005, k=2)", None),
    ("relu", MAP, {}, "nn.ReLU()", "F.relu(x)"),
    ("leaky_relu", MAP, {"slope": Fraction(1, 3)}, "nn.LeakyReLU(1 / 3)", "F.leaky_relu(x, 1 / 3)"),
    ("leaky_relu", MAP, {}, "nn.LeakyReLU()", "F.leaky_relu(x)"),
    ("prelu", MAP, {"per": "channel"}, "nn.PReLU(16)", None),
    ("gelu", MAP, {"approximate": "tanh"}, 'nn.GELU(approximate="tanh")', 'F.gelu(x, approximate="tanh")'),
    ("sigmoid", MAP, {}, "nn.Sigmoid()", "torch.sigmoid(x)"),
    ("softmax", VECTOR, {}, "nn.Softmax(dim=1)", "F.softmax(x, dim=1)"),
    ("softmax", LIST, {"axis": -1}, "nn.Softmax(dim=-1)", "F.softmax(x, dim=-1)"),
    ("maxout", MAP, {"pieces": 2}, "Maxout(2)", "x.unflatten(1, (-1, 2)).amax(2)"),
    ("scale", MAP, {"per": "channel", "init": 0}, "Scale(16, 1, 1, init=0)", None),
    ("scale", MAP, {}, "Scale(1)", None),
    ("affine", MAP, {"scale": Fraction(2, 3)}, "Affine(scale=2 / 3)", "(2 / 3) * x"),
    ("affine", MAP, {"scale": -1, "shift": 1}, "Affine(scale=-1, shift=1)", "1 - x"),
    ("affine", MAP, {"shift": Fraction(-1, 2)}, "Affine(shift=-0.5)", "x - 0.5"),
    ("identity", MAP, {}, "nn.Identity()", "x"),
    ("dropout", MAP, {"p": Fraction(1, 2)}, "nn.Dropout(0.5)", None),
    ("max_pool", MAP, {"kernel": 2}, "nn.MaxPool2d(2)", "F.max_pool2d(x, 2)"),
    (
        "max_pool",
        MAP,
        {"kernel": 3, "stride": 2, "padding": 1, "ceil": True},
        "nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)",
        "F.max_pool2d(x, 3, stride=2, padding=1, ceil_mode=True)",
    ),
    ("avg_pool", MAP, {"kernel": 2, "stride": 2}, "nn.AvgPool2d(2)", "F.avg_pool2d(x, 2)"),
    ("global_avg_pool", MAP, {}, "nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())", "x.mean((2, 3))"),
    ("global_avg_pool", LIST, {}, "PositionMean()", "x.mean(1)"),
    (
        "fractional_max_pool",
        MAP,
        {"ratio": Fraction(4, 5)},
        "nn.FractionalMaxPool2d(2, output_size=25)",
        "F.fractional_max_pool2d(x, 2, output_size=25)",
    ),
    ("spp", MAP, {"bins": [6, 3, 2, 1]}, "SpatialPyramidPool(6, 3, 2, 1)", None),
    ("flatten", MAP, {}, "nn.Flatten()", "x.flatten(1)"),
    ("reshape", MAP, {"shape": [16, -1]}, "nn.Flatten(2)", "x.flatten(2)"),
    ("reshape", VECTOR, {"shape": [10, 1, 1]}, "nn.Unflatten(1, (10, 1, 1))", "x.unflatten(1, (10, 1, 1))"),
    ("permute", LIST, {"order": [1, 0]}, "Permute(0, 2, 1)", "x.transpose(1, 2)"),
    ("slice", MAP, {"start": 0, "stop": 8}, "Slice(0, 8)", "x[:, :8]"),
    ("slice", MAP, {"start": 1, "axis": -1}, "Slice(1, None, dim=-1)", "x[:, :, :, 1:]"),
    ("subsample", MAP, {"stride": 2}, "Subsample(2)", "x[:, :, ::2, ::2]"),
    ("split", MAP, {"parts": 4}, None, "x.chunk(4, dim=1)"),
    ("upsample", MAP, {"scale": 2}, "nn.Upsample(scale_factor=2)", "F.interpolate(x, scale_factor=2)"),
    ("zero_pad", MAP, {"padding": 1}, "nn.ZeroPad2d(1)", "F.pad(x, (1, 1, 1, 1))"),
    (
        "reflect_pad",
        MAP,
        {"padding": [1, 0, 2, 0]},
        "nn.ReflectionPad2d((2, 0, 1, 0))",
        'F.pad(x, (2, 0, 1, 0), mode="reflect")',
    ),
    ("crop", MAP, {"border": [1, 2, 0, 3]}, "Crop(1, 2, 0, 3)", "x[:, :, 1:-2, :-3]"),
    ("shift", MAP, {"down": 1, "right": 1}, "Shift(1, 1)", None),
    ("channel_pad", MAP, {"width": 32, "where": "both"}, 'ChannelPad(32, where="both")', None),
    ("add", (MAP, MAP), {}, None, "x + y"),
    ("mean", (MAP, MAP), {}, None, "(x + y) / 2"),
    ("max", (MAP, MAP), {}, None, "torch.maximum(x, y)"),
    ("concat", (MAP, MAP), {}, None, "torch.cat((x, y), dim=1)"),
    ("concat", (LIST, LIST), {"axis": -1}, None, "torch.cat((x, y), dim=-1)"),
    ("matmul", (LIST, (192, 3)), {}, None, "x @ y"),
    ("join", (MAP, MAP), {}, None, "(x + y) / 2"),
    ("join", (MAP, MAP), {"drop": Fraction(3, 20), "mode": "mixed"}, 'Join(2, drop=0.15, mode="mixed")', None),
    ("shake_add", (MAP, MAP), {"backward": "even"}, 'ShakeAdd(backward="even")', None),
]


@pytest.mark.parametrize(("name", "shape", "given", "module", "call"), TEXTS)
def test_reads_as_a_person_would_write_it(
    name: str, shape: Any, given: dict[str, Any], module: str | None, call: str | None
) -> None:
    shapes = shape if not shape or isinstance(shape[0], tuple) else (shape,)
    layer = layer_of(name, shapes, given)
    assert isinstance(layer, Layer), layer
    row = ROWS[name]
    if module is not None:
        assert row.module is not None
        assert row.module(layer) == module
    if call is not None:
        assert row.call is not None
        assert row.call(layer, ("x", "y")[: len(shapes)]) == call


def test_operations_are_kept_together() -> None:
    layer = layer_of("flatten", (MAP,), {})
    assert isinstance(layer, Layer)
    flatten, product = ROWS["flatten"].call, ROWS["mul"].call
    assert flatten is not None
    assert product is not None
    assert flatten(layer, ("x + y",)) == "(x + y).flatten(1)"
    assert flatten(layer, ("self.conv(x + y)",)) == "self.conv(x + y).flatten(1)"
    assert product(layer, ("x + y", "z")) == "(x + y) * z"


def test_numbers_print_as_exactly_as_python_can() -> None:
    assert show(Fraction(1, 10)) == "0.1"
    assert show(Fraction(1, 3)) == "1 / 3"
    assert show(Scalar(Fraction(1, 3), ("/", 1, "n"))) == "1 / n"
    assert show(Scalar(5, ("-", "a", ("-", "b", "c")))) == "a - (b - c)"
    assert show(Scalar(5, ("*", ("+", "a", 1), ("//", "b", 2)))) == "(a + 1) * (b // 2)"
    assert show(Scalar(-5, ("neg", ("+", "a", "b")))) == "-(a + b)"
    assert show(Scalar(5, ("max", "a", 3))) == "max(a, 3)"
    assert show((1, Scalar(2, "n"))) == "(1, n)"


def test_a_learned_tensor_meets_a_batch() -> None:
    layer = layer_of("learned", (), {"shape": [1, 4]})
    assert isinstance(layer, Layer)
    call = ROWS["learned"].call
    assert call is not None
    text = call(layer, ("self.token", "x"))
    assert text == "self.token.expand(x.shape[0], -1, -1)"

    class Holder:
        token = torch.ones(1, 4)

    assert eval(text, {"self": Holder, "x": torch.zeros(5, 7, 4)}).shape == (5, 1, 4)


# --- what is refused, and how -------------------------------------------------------------------------------------

REFUSED: list[tuple[str, Any, dict[str, Any], str]] = [
    ("conv", ((8, 4, 4),), {"width": 8, "kernel": 5, "padding": 0},
     "a 5x5 kernel does not fit a 4x4 map: (4 + 2*0 - 5)/1 + 1 = 0"),
    ("conv", ((3, 4, 4),), {"width": 8, "kernel": 3, "groups": 2}, "3 channels cannot be split into 2 groups: 3/2"),
    ("conv", ((4, 4, 4),), {"width": 9, "kernel": 3, "groups": 2}, "9 filters cannot be split into 2 groups: 9/2"),
    ("conv", ((10,),), {"width": 9, "kernel": 3}, "`conv` takes a map [channels, height, width], got [10]"),
    ("conv", ((8, 4, 4),), {"width": 8}, "`conv` needs `kernel`"),
    ("conv", (MAP,), {"width": 8, "kernel": 3, "stride": Fraction(3, 2)},
     "`stride` takes a whole number of at least 1, or [height, width], got 3/2"),
    ("conv", (MAP,), {"width": "8", "kernel": 3}, '`width` takes a whole number of at least 1, got "8"'),
    ("conv", (MAP,), {"width": True, "kernel": 3}, "`width` takes a whole number of at least 1, got true"),
    ("conv", (MAP,), {"width": 2**31, "kernel": 3}, "`width` takes a whole number of at least 1, got 2147483648"),
    ("linear", (MAP,), {"width": 10},
     "`linear` takes a vector [channels] or a list [n, channels], got the map [16, 32, 32]"),
    ("max_pool", (MAP,), {"kernel": 2, "padding": 2}, "`padding` may be at most half the kernel: 2 > 2//2 = 1"),
    ("bn", (LIST,), {}, "`bn` takes a map [channels, height, width] or a vector [channels], got [64, 192]"),
    ("bn", (MAP,), {"eps": 0}, "`eps` must be above 0, got 0"),
    ("ln", (LIST,), {"eps": 0}, "`eps` must be above 0, got 0"),
    ("reflect_pad", ((3, 2, 9),), {"padding": 2}, "2 rows cannot be mirrored from 2: at most 1"),
    ("channel_pad", (MAP,), {"width": 8}, "`channel_pad` only adds channels: 8 - 16 = -8"),
    ("add", (MAP, (32, 16, 16)), {}, "`add` needs equal shapes: [16, 32, 32] + [32, 16, 16]"),
    ("concat", (MAP, (32, 16, 16)), {}, "`concat` along axis 0 needs equal other sizes: [16, 32, 32] and [32, 16, 16]"),
    ("matmul", (LIST, LIST), {}, "[64, 192] times [64, 192]: 192 columns meet 64 rows"),
    ("dropout", (MAP,), {"p": Fraction(3, 2)}, "`p` takes a number from 0 to 1, got 3/2"),
    ("shake_add", (MAP, MAP), {"level": "pixel"}, '`level` takes "image" or "batch", got "pixel"'),
    ("conv_table", ((3, 5, 5),), {"table": [[0, 3]], "kernel": 5},
     "output map 0 reads map 3, but [3, 5, 5] has maps 0 to 2"),
    ("code_distance", (VECTOR,), {"codes": [[0, 1], [1]]}, "code 1 has 1 numbers, code 0 has 2"),
    ("code_distance", (VECTOR,), {"codes": [[0, 8]], "bits": 3}, "8 of code 0 is no number of 3 bits"),
    ("code_distance", (VECTOR,), {"codes": [[0, 7]], "bits": 3}, "codes of 2 * 3 = 6 bits meet [10]"),
    ("reshape", (MAP,), {"shape": [5, -1]}, "[16, 32, 32] has 16384 numbers, [5, -1] needs a multiple of 5"),
    ("split", (MAP,), {"parts": 3}, "16 along axis 0 cannot be split into 3 parts: 16/3"),
    ("stochastic_depth", (MAP,), {"keep": 0, "rescale": True}, "`rescale` divides by `keep`, which is 0"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "shapes", "given", "reason"), REFUSED)
def test_a_refusal_shows_its_arithmetic(name: str, shapes: Any, given: dict[str, Any], reason: str) -> None:
    misfit = layer_of(name, shapes, given)
    assert isinstance(misfit, Misfit)
    assert misfit.reason == reason


NOTES: list[tuple[str, Any, dict[str, Any], list[str]]] = [
    ("conv", ((3, 32, 32),), {"width": 8, "kernel": 3, "stride": 2}, []),
    ("conv", ((3, 32, 32),), {"width": 8, "kernel": 1, "stride": 2}, []),
    ("conv", ((3, 32, 31),), {"width": 8, "kernel": 3, "stride": 2, "padding": 0},
     ["the last 1 row of the 32x31 map are never read: (32 + 2*0 - 3)/2 + 1 = 31/2"]),
    ("max_pool", ((3, 7, 7),), {"kernel": 2},
     ["the last 1 row and 1 column of the 7x7 map are never read: (7 + 2*0 - 2)/2 + 1 = 7/2"]),
    ("max_pool", ((3, 7, 7),), {"kernel": 2, "ceil": True}, []),
    ("conv", ((3, 8, 8),), {"width": 8, "kernel": 2},
     ['`padding="same"` of an even kernel is uneven: 0 above and 1 below, 0 left and 1 right']),
    ("mul", ((16, 8, 8), (16, 1, 1)), {}, ["[16, 1, 1] is repeated over [16, 8, 8]"]),
    ("add", ((16, 8, 8), (16, 8, 8)), {}, []),
]  # fmt: skip


@pytest.mark.parametrize(("name", "shapes", "given", "notes"), NOTES)
def test_notes(name: str, shapes: Any, given: dict[str, Any], notes: list[str]) -> None:
    attrs = attributes(OPS[name], given)
    assert not isinstance(attrs, Misfit)
    assert list(OPS[name].notes(shapes, attrs)) == notes


@pytest.mark.parametrize("name", ["bn", "gn"])
def test_a_lone_value_is_noted_exactly_where_torch_refuses_a_batch_of_one(name: str) -> None:
    for shape in ((4,), (4, 1, 1), (4, 1, 2), (4, 3, 3)):
        for given in ({}, {"groups": 4}, {"groups": 2}) if name == "gn" else ({},):
            layer = layer_of(name, (shape,), {"groups": 1} | given if name == "gn" else given)
            assert isinstance(layer, Layer)
            module = eval(sources(name, layer)[0], NAMES)
            try:
                module(torch.randn(1, *shape))
                refused = False
            except ValueError:
                refused = True
            assert bool(OPS[name].notes((shape,), layer.attrs)) == refused, (shape, given)


ANYTHING = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.text(max_size=5),
        st.sampled_from(["same", "valid", "end", "image"]),
        st.integers(),
        st.integers(-3, 5),
        st.fractions(),
        st.integers(0, 9).map(lambda n: Scalar(n, "n")),
        st.integers(1, 10**5).map(lambda n: 10**n),
    ),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None)
@drawn_from(st.sampled_from([p for op in OPS.values() for p in op.params]), ANYTHING)
def test_an_argument_is_taken_or_refused_in_words(param: Param, value: object) -> None:
    found = coerce(param, value)
    if isinstance(found, Misfit):
        assert found.reason.startswith(f"`{param.name}` takes ")
        assert len(found.reason) < 250
        assert found.param == param.name
    elif isinstance(found, int) and not isinstance(found, bool):
        assert abs(found) <= LARGEST
        assert found == value or found in value  # type: ignore[operator]


def test_coercion_normalises() -> None:
    size = Param("kernel", Kind.SIZE)
    assert coerce(size, [3, 3]) == 3
    assert coerce(size, [3, 5]) == (3, 5)
    traced = Scalar(3, "kernel")
    assert coerce(size, traced) is traced
    assert coerce(size, [traced, traced]) is traced
    assert isinstance(coerce(size, Scalar(3)), int)
    assert coerce(Param("p", Kind.PADDING), [1, 1, 1, 1]) == 1
    assert coerce(Param("p", Kind.PADDING), [0, 1, 0, 1]) == (0, 1, 0, 1)
    assert coerce(Param("n", Kind.NUMBER), Fraction(4, 2)) == 2


def test_every_default_is_its_own_value() -> None:
    for op in OPS.values():
        for param in op.params:
            if not param.required:
                assert coerce(param, param.default) == param.default, (op.name, param.name)


# --- receptive field ----------------------------------------------------------------------------------------------

FIELDS = [
    ("conv", (2, 15, 15), {"width": 2, "kernel": 3, "padding": 0}),
    ("conv", (2, 15, 15), {"width": 2, "kernel": 3, "dilation": 2, "stride": 2, "padding": 0}),
    ("avg_pool", (2, 15, 15), {"kernel": 3, "stride": 2}),
    ("subsample", (2, 15, 15), {"stride": 2}),
    ("pixel_unshuffle", (2, 15, 15), {"factor": 3}),
]


@pytest.mark.parametrize(("name", "shape", "given"), FIELDS)
def test_the_window_is_what_a_gradient_reaches(name: str, shape: Any, given: dict[str, Any]) -> None:
    layer = layer_of(name, (shape,), given)
    assert isinstance(layer, Layer)
    window = OPS[name].window((shape,), layer.attrs)
    x = torch.randn(1, *shape, requires_grad=True)
    y = eval(sources(name, layer)[0], NAMES)(x)

    def reached(row: int) -> Tensor:
        (gradient,) = torch.autograd.grad(y[0, :, row, 2].sum(), x, retain_graph=True)
        return gradient.abs().sum((0, 1, 3)).nonzero().flatten()

    assert int(reached(2).max() - reached(2).min()) + 1 == window.extent
    assert int(reached(3).min() - reached(2).min()) == window.stride


# --- helpers ------------------------------------------------------------------------------------------------------


def test_every_helper_is_used_and_stands_in_order() -> None:
    used: set[str] = set()
    for name in OPS:
        for seed in range(60):
            layer = layer_of(name, *PROBES[name](seeded(seed)))
            if isinstance(layer, Layer):
                needed = ROWS[name].helpers(layer)
                used |= set(with_needs(needed))
                module = ROWS[name].module
                assert all(each == "draw_column" or (module and each in module(layer)) for each in needed)
    assert used == set(HELPERS)
    for name, needs in NEEDS.items():
        assert all(list(HELPERS).index(n) < list(HELPERS).index(name) for n in needs)
        assert all(n in HELPERS[name] for n in needs)
    for name, source in HELPERS.items():
        assert re.match(rf"(class|def) {name}\b", source), name
        others = set(HELPERS) - {name}
        assert {n for n in others if re.search(rf"(?<!`)\b{n}\b", source)} == set(NEEDS.get(name, ())), name


def test_helpers_are_formatted_and_clean() -> None:
    text = HEADER + "\n\n".join(HELPERS.values())
    ruff = str(Path(sys.executable).parent / "ruff")
    for command in (
        ["format", "--check", "--diff"],
        ["check", "--select", "A,B,E,F,I,N,RUF,SIM,UP,W,D1", "--ignore", "N812,D1"],
    ):
        options = ["--line-length", "120", "--target-version", "py311", "--isolated"]
        done = subprocess.run([ruff, *command, *options, "-"], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert all('"""' in source for source in HELPERS.values())


def build(text: str) -> Any:
    return eval(text, NAMES)


def test_maxout_takes_neighbours() -> None:
    x = torch.randn(2, 6, 3, 3)
    assert torch.equal(build("Maxout(3)")(x), torch.stack([x[:, 0:3].amax(1), x[:, 3:6].amax(1)], 1))


def test_channel_pad_appends_or_surrounds() -> None:
    x = torch.randn(2, 3, 4, 4)
    after, around = build("ChannelPad(6)")(x), build('ChannelPad(6, where="both")')(x)
    assert torch.equal(after[:, :3], x)
    assert torch.equal(around[:, 1:4], x)
    assert after[:, 3:].count_nonzero() == around[:, 0].count_nonzero() == around[:, 4:].count_nonzero() == 0


def test_shift_moves_down_and_right_and_back() -> None:
    x = torch.randn(2, 3, 5, 6)
    moved, back = build("Shift(1, 2)")(x), build("Shift(-1, -2)")(x)
    assert torch.equal(moved[:, :, 1:, 2:], x[:, :, :-1, :-2])
    assert moved[:, :, 0].count_nonzero() == moved[:, :, :, :2].count_nonzero() == 0
    assert torch.equal(back[:, :, :-1, :-2], x[:, :, 1:, 2:])
    assert back[:, :, -1].count_nonzero() == back[:, :, :, -2:].count_nonzero() == 0


def test_spatial_pyramid_is_grids_of_maxima() -> None:
    x = torch.randn(2, 3, 6, 6)
    pooled = build("SpatialPyramidPool(3, 2, 1)")(x)
    grids = [x.unfold(2, 6 // n, 6 // n).unfold(3, 6 // n, 6 // n).amax((4, 5)).flatten(1) for n in (3, 2, 1)]
    assert torch.equal(pooled, torch.cat(grids, 1))


def test_table_convolution_is_a_masked_dense_one() -> None:
    table = [[0, 1, 2], [1], [0, 2]]
    layer, x = build(f"TableConv2d(3, {table}, 3)").double(), torch.randn(2, 3, 6, 6, dtype=torch.double)
    dense = torch.zeros(3, 3, 3, 3, dtype=torch.double)
    for kernel, (o, i) in zip(layer.weight, [(o, i) for o, row in enumerate(table) for i in row], strict=True):
        dense[o, i] = kernel
    assert torch.allclose(layer(x), F.conv2d(x, dense, layer.bias), atol=1e-12)
    c3 = attributes(OPS["conv_table"], {"table": [[i % 6 for i in range(o, o + 3)] for o in range(20)], "kernel": 5})
    assert not isinstance(c3, Misfit)
    assert OPS["conv_table"].weights(((6, 14, 14),), c3)[0].shape == (60, 5, 5)  # LeNet-5: 60 links
    assert OPS["conv_table"].macs(((6, 14, 14),), c3) == 60 * 25 * 100


def test_attention_is_that_of_torch() -> None:
    layer, x = build("SelfAttention(12, 3)"), torch.randn(2, 5, 12)
    other = nn.MultiheadAttention(12, 3, batch_first=True)
    with torch.no_grad():
        other.in_proj_weight.copy_(layer.qkv.weight)
        other.in_proj_bias.copy_(layer.qkv.bias)
    other.out_proj = layer.out  # type: ignore[assignment]
    assert torch.allclose(layer(x), other(x, x, x, need_weights=False)[0], atol=1e-6)
    assert sum(p.numel() for p in layer.parameters()) == sum(p.numel() for p in other.parameters())


def test_local_response_norm_divides_alpha() -> None:
    x = torch.rand(1, 7, 1, 1)
    y = build("nn.LocalResponseNorm(5, alpha=5e-4, k=2)")(x)  # AlexNet: alpha 1e-4, not divided
    sums = torch.stack([(x[0, max(0, c - 2) : c + 3] ** 2).sum() for c in range(7)])
    assert torch.allclose(y.flatten(), x.flatten() / (2 + 1e-4 * sums) ** 0.75)


def test_lenet_activation_composes() -> None:
    x = torch.randn(4, 3)
    shrink, grow = (
        layer_of("affine", ((3,),), {"scale": Fraction(2, 3)}),
        layer_of("affine", ((3,),), {"scale": Fraction("1.7159")}),
    )
    assert isinstance(shrink, Layer)
    assert isinstance(grow, Layer)
    text = ROWS["affine"].call(grow, (f"torch.tanh({ROWS['affine'].call(shrink, ('x',))})",))  # type: ignore[misc]
    assert text == "1.7159 * torch.tanh((2 / 3) * x)"
    assert torch.allclose(eval(text, {"torch": torch, "x": x}), 1.7159 * torch.tanh(2 * x / 3))


# --- what is random -----------------------------------------------------------------------------------------------

MANY = 4000


def shaken(text: str, shape: tuple[int, ...] = (MANY, 2, 2, 2)) -> tuple[Tensor, Tensor, Tensor]:
    """The coefficient of the first branch, and those of both gradients, at every place."""
    x, y = torch.ones(shape, requires_grad=True), torch.zeros(shape, requires_grad=True)
    result = build(text)(x, y)
    result.sum().backward()
    assert x.grad is not None
    assert y.grad is not None
    return result.detach(), x.grad, y.grad


def one_number_each(values: Tensor) -> Tensor:
    """The number of each sample, which holds at all its places."""
    flat = values.flatten(1)
    assert torch.equal(flat, flat[:, :1].expand_as(flat))
    return flat[:, 0]


def is_uniform(values: Tensor) -> bool:
    """Whether a sample's mean, spread and range are those of the uniform distribution (five standard errors)."""
    mean_off, spread_off = abs(values.mean() - 0.5), abs(values.var() - 1 / 12)
    error = len(values) ** -0.5
    return bool(
        mean_off < 5 * 0.2887 * error and spread_off < 5 * 0.0745 * error and values.min() >= 0 and values.max() <= 1
    )


@pytest.mark.parametrize("forward", ["shake", "even"])
@pytest.mark.parametrize("backward", ["shake", "even", "keep"])
def test_shake_draws_one_number_for_each_image_and_another_for_its_gradient(forward: str, backward: str) -> None:
    result, first, second = shaken(f'ShakeAdd("{forward}", "{backward}")')
    alpha, beta = one_number_each(result), one_number_each(first)
    assert torch.allclose(beta + one_number_each(second), torch.ones(MANY))
    assert is_uniform(alpha) if forward == "shake" else bool((alpha == 0.5).all())
    if backward == "keep":
        assert torch.equal(alpha, beta)
    elif backward == "even":
        assert bool((beta == 0.5).all())
    else:
        assert is_uniform(beta)
        if forward == "shake":
            assert abs(torch.corrcoef(torch.stack([alpha, beta]))[0, 1]) < 0.1


def test_shake_draws_one_number_for_the_batch() -> None:
    drawn = [shaken('ShakeAdd(level="batch")', (4, 2, 2, 2)) for _ in range(MANY // 4)]
    alphas = torch.stack([one_number_each(result) for result, _, _ in drawn])
    assert torch.equal(alphas, alphas[:, :1].expand_as(alphas))
    assert is_uniform(alphas[:, 0])
    assert is_uniform(torch.stack([first.flatten()[0] for _, first, _ in drawn]))


def test_shake_rests_in_evaluation() -> None:
    layer = build("ShakeAdd()").eval()
    x, y = torch.randn(3, 2, 2, 2, requires_grad=True), torch.randn(3, 2, 2, 2)
    assert torch.equal(layer(x, y), (x + y) / 2)
    layer(x, y).sum().backward()
    assert x.grad is not None
    assert bool((x.grad == 0.5).all())


def columns(count: int, samples: int) -> list[Tensor]:
    """Inputs from whose mean the survivors can be read: input i is 1 in channel i, 0 elsewhere."""
    return [
        F.one_hot(torch.tensor(i), count).float().view(1, count, 1, 1).expand(samples, count, 2, 2)
        for i in range(count)
    ]


def survivors(layer: Any, count: int, samples: int) -> Tensor:
    """The weight of each input for each sample, (samples, count)."""
    result = layer(*columns(count, samples)).flatten(2)
    assert torch.equal(result, result[:, :, :1].expand_as(result))
    return result[:, :, 0]


def test_local_drop_path_averages_the_survivors_and_never_drops_all() -> None:
    weights = survivors(build('Join(3, drop=0.5, per="sample")'), 3, 8 * MANY)
    kept = (weights > 0).sum(1)
    assert int(kept.min()) >= 1
    assert torch.allclose(weights.sum(1), torch.ones(8 * MANY))
    assert torch.allclose(weights.amax(1), 1 / kept)
    # Of 8 equally likely outcomes one has all three, three have two, and the empty one becomes one of the others.
    shares = torch.bincount(kept, minlength=4)[1:] / len(kept)
    assert torch.allclose(shares, torch.tensor([4 / 8, 3 / 8, 1 / 8]), atol=0.015)
    assert torch.allclose((weights > 0).float().mean(0), torch.full((3,), 13 / 24), atol=0.015)


def test_drop_path_without_dropping_is_the_mean() -> None:
    assert torch.allclose(survivors(build("Join(3)"), 3, 5), torch.full((5, 3), 1 / 3))
    assert torch.equal(survivors(build("Join(3, drop=1)").eval(), 3, 5), torch.stack(columns(3, 5)).mean(0)[:, :, 0, 0])


def test_a_draw_for_the_batch_is_one_draw() -> None:
    layer = build("Join(3, drop=0.5)")
    drawn = [survivors(layer, 3, 5) for _ in range(300)]
    assert all(torch.equal(w, w[:1].expand_as(w)) for w in drawn)
    assert len({tuple(w[0].tolist()) for w in drawn}) == 7


class Columns(nn.Module):
    """Three columns: the two deep ones meet first, then all three."""

    def __init__(self, mode: str, per: str) -> None:
        super().__init__()
        self.inner = build(f'Join(2, drop=0.15, mode="{mode}", per="{per}")')
        self.outer = build(f'Join(3, drop=0.15, mode="{mode}", per="{per}")')

    def forward(self, samples: int) -> tuple[Tensor, Tensor]:
        NAMES["draw_column"](self, torch.zeros(samples))
        return survivors(self.inner, 2, samples), survivors(self.outer, 3, samples)


def test_global_drop_path_leaves_one_column_in_the_whole_network() -> None:
    inner, outer = Columns("global", "sample")(MANY)
    assert torch.equal(outer.amax(1), torch.ones(MANY))  # exactly one
    column = outer.argmax(1)
    assert torch.allclose(torch.bincount(column) / MANY, torch.full((3,), 1 / 3), atol=0.04)
    assert torch.equal(inner[column < 2].argmax(1), column[column < 2])
    assert torch.equal(inner[column < 2].amax(1), torch.ones(int((column < 2).sum())))
    assert bool((inner[column == 2] == 0.5).all())  # the third column does not reach this join


def test_mixed_drop_path_is_global_for_half() -> None:
    _, outer = Columns("mixed", "sample")(8 * MANY)
    # A local join leaves one of three with probability 3*.85*.15^2 + .15^3, a global one always.
    alone = 3 * 0.85 * 0.15**2 + 0.15**3
    assert abs((outer.amax(1) == 1).float().mean() - (0.5 + 0.5 * alone)) < 0.015
    model = Columns("mixed", "batch")
    drawn = [model(4) for _ in range(400)]
    assert all(torch.equal(w, w[:1].expand_as(w)) for pair in drawn for w in pair)
    assert abs(sum(bool(w[0].amax() == 1) for _, w in drawn) / 400 - (0.5 + 0.5 * alone)) < 0.1


def test_no_gradient_reaches_a_dropped_column() -> None:
    layer = build('Join(2, mode="global")')
    NAMES["draw_column"](layer, torch.zeros(3))
    xs = [torch.randn(3, 2, requires_grad=True) for _ in range(2)]
    layer(*xs).sum().backward()
    reached = [bool(x.grad.any()) for x in xs if x.grad is not None]
    assert sorted(reached) == [False, True]


def test_a_closed_layer_is_not_evaluated() -> None:
    closed, opened = build("StochasticDepth(nn.BatchNorm2d(2), 0)"), build("StochasticDepth(nn.BatchNorm2d(2), 1)")
    x = torch.randn(4, 2, 3, 3)
    assert closed(x).count_nonzero() == 0
    assert int(closed.layer.num_batches_tracked) == 0
    assert int(closed.layer.running_mean.count_nonzero()) == 0
    (closed(x) + x.requires_grad_()).sum().backward()
    assert closed.layer.weight.grad is None
    assert torch.equal(opened(x), build("nn.BatchNorm2d(2)")(x))
    assert int(opened.layer.num_batches_tracked) == 1


def test_a_closed_layer_that_changes_the_shape_gives_zeros_of_its_own_shape() -> None:
    attrs = attributes(OPS["stochastic_depth"], {"keep": Fraction(1, 2)})
    assert not isinstance(attrs, Misfit)
    body = "nn.Conv2d(2, 4, 3, stride=2, padding=1)"
    layer = Layer(attrs, ((4, 4, 4),), ((4, 4, 4),), show, body, ((2, 8, 8),))
    text = ROWS["stochastic_depth"].module(layer)  # type: ignore[misc]
    assert text == f"StochasticDepth({body}, 0.5, shape=(4, 4, 4))"
    assert {build(text)(torch.randn(3, 2, 8, 8)).shape for _ in range(20)} == {torch.Size((3, 4, 4, 4))}
    same = Layer(attrs, ((4, 4, 4),), ((4, 4, 4),), show, "nn.ReLU()", ((4, 4, 4),))
    assert ROWS["stochastic_depth"].module(same) == "StochasticDepth(nn.ReLU(), 0.5)"  # type: ignore[misc]


@pytest.mark.parametrize(("rescale", "value"), [(False, 1.0), (True, 1.25)])
def test_stochastic_depth_survives_as_often_as_it_should(rescale: bool, value: float) -> None:
    x = torch.ones(5, 1)
    layer = build(f"StochasticDepth(nn.Identity(), 0.8, rescale={rescale})")
    drawn = torch.stack([layer(x) for _ in range(MANY)])
    assert torch.equal(drawn, drawn[:, :1].expand_as(drawn))  # the whole batch together
    assert set(drawn.unique().tolist()) == {0.0, value}
    assert abs((drawn[:, 0] > 0).float().mean() - 0.8) < 0.035
    each = build(f'StochasticDepth(nn.Identity(), 0.8, per="sample", rescale={rescale})')(torch.ones(MANY, 2, 3))
    assert abs((one_number_each(each) > 0).float().mean() - 0.8) < 0.035
    assert torch.equal(layer.eval()(x), x if rescale else 0.8 * x)


def test_swapout_masks_elements_and_does_not_rescale() -> None:
    layer = build("BernoulliMask(0.7)")
    drawn = layer(torch.ones(50, 4, 10, 10))
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert abs(drawn.mean() - 0.7) < 0.02
    assert not torch.equal(drawn[0, 0, 0], drawn[0, 0, 1])  # every element by itself
    x = torch.randn(3, 4)
    assert torch.equal(layer.eval()(x), 0.7 * x)


def test_fractional_pooling_draws_in_evaluation_too() -> None:
    layer, x = build("nn.FractionalMaxPool2d(2, output_size=7)").eval(), torch.randn(1, 1, 10, 10)
    assert len({tuple(layer(x).flatten().tolist()) for _ in range(20)}) > 1


# --- pages and imports --------------------------------------------------------------------------------------------


def test_the_reference_page_is_current() -> None:
    page = (ROOT / "docs" / "primitives.md").read_text(encoding="utf-8")
    assert page == reference(), "run `python -m archdsl.ops.reference > docs/primitives.md`"


def test_primitives_import_nothing_heavy() -> None:
    script = (
        "import sys, time, fractions, dataclasses, enum, typing\n"
        "start = time.process_time()\nimport archdsl.ops, archdsl.ops.coerce\n"
        "spent = time.process_time() - start\n"
        "heavy = {'torch', 'pydantic', 'numpy', 'lark', 'rich', 'typer', 'jinja2'} & set(sys.modules)\n"
        "print(spent, *heavy)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    spent, *heavy = run.stdout.split()
    assert not heavy
    assert float(spent) < 0.25  # some 8 ms with its bytecode cached; a slow machine without a cache is allowed for


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for each in sys.argv[2:] or [n for n in PROBES if n != "learned"]:
        try:
            print(each, sweep(each, int(sys.argv[1])))
        except Exception as error:
            print(each, "FAILED", type(error).__name__, str(error)[:600])

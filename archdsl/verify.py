"""Every static number of a checked network, held against torch running the generated module.

The module is built on the meta device, where tensors have shapes and no data, so that the largest network takes
seconds; on the CPU where there is a layer for which the meta device takes another kernel that keeps other tensors.
Counted there: parameters, output shapes, the shapes of every layer with weights (through hooks), multiply-accumulates
(`FlopCounterMode`), the bytes autograd keeps (`saved_tensors_hooks`), and what torchinfo says. Where a convention
differs, the row says which, and the numbers are compared after it is accounted for.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from archdsl.analyses import cost
from archdsl.analyses.params import family
from archdsl.analyses.walk import Application, applications, numel, product, running, total, weights
from archdsl.ir.graph import Call, Graph, all_graphs

_BATCHES = (2, 3)
_OTHER_ON_META = ("attention", "channel_shuffle")
Shape = tuple[int, ...]
_LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)
_LEARNING_LAYERS = (*_LAYERS, nn.InstanceNorm2d)


def _attention_flops(query: Shape, key: Shape, value: Shape, *args: object, **kwargs: object) -> int:
    """FLOPs of a kernel that PyTorch has no count for: queries with keys, weights with values."""
    samples, heads, positions, width = query
    return 2 * samples * heads * positions * key[2] * (width + value[3])


ATTENTION_ON_CPU = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}


@dataclass(frozen=True, slots=True)
class Row:
    """One number known before running and the same one measured; `note` names the convention behind it."""

    name: str
    static: object
    measured: object
    note: str = ""

    @property
    def equal(self) -> bool:
        """Whether the two agree."""
        return self.static == self.measured


@dataclass(frozen=True, slots=True)
class Report:
    """All comparisons of one network."""

    network: str
    rows: tuple[Row, ...]
    device: str

    @property
    def ok(self) -> bool:
        """Whether every number is the same."""
        return all(row.equal for row in self.rows)

    def __str__(self) -> str:
        verdict = "all equal" if self.ok else "DIFFERENT"
        lines = [f"{self.network}, on the {self.device} device: {verdict}"]
        return "\n".join([*lines, *map(_printed, self.rows)]) + "\n"


def _printed(row: Row) -> str:
    sign = "=" if row.equal else "≠"
    note = f"   {row.note}" if row.note else ""
    return f"  {row.name:28} {_shown(row.static):>20} {sign} {_shown(row.measured):<20}{note}".rstrip()


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def compare(text: str, graph: Graph) -> Report:
    """Hold the static numbers of `graph` against the module that `text` defines.

    Raises whatever the module raises when it is built or run.
    """
    if _differs_on_meta(graph):
        return _compared(text, graph, "cpu")
    try:
        return _compared(text, graph, "meta")
    except (NotImplementedError, RuntimeError):  # an operation that has no shape rule, or that looks at data
        return _compared(text, graph, "cpu")


def _compared(text: str, graph: Graph, device: str) -> Report:
    module = build(text, graph.name, device)
    bench = _Bench(module, graph, device)
    rows = [*_parameter_rows(bench), *_run_rows(bench), *_kept_rows(bench), *_torchinfo_rows(bench)]
    return Report(graph.name, tuple(rows), device)


def _differs_on_meta(root: Graph) -> bool:
    ops = (a.op for graph in all_graphs(root) for a in applications(graph))
    return any(op is not None and op.name in _OTHER_ON_META for op in ops)


def build(text: str, name: str, device: str = "cpu") -> nn.Module:
    """An instance of the network `name` in a generated module: its last class, whatever it had to be called there.

    A helper class may have the name that the network has in the spec. Raises ValueError where there is no class.
    """
    space = ModuleType("generated")
    exec(compile(text, "<generated>", "exec"), space.__dict__)
    found = [v for v in vars(space).values() if isinstance(v, type) and issubclass(v, nn.Module)]
    if not found:
        raise ValueError(f"no class for {name} in the generated text")
    made = cast("Callable[[], nn.Module]", found[-1])
    with torch.device(device):
        return made()


@dataclass(frozen=True, slots=True)
class _Bench:
    """A module on its device beside the graph it was generated from."""

    module: nn.Module
    graph: Graph
    device: str

    def inputs(self, batch: int) -> list[Tensor]:
        return [torch.rand(batch, *wire.values, device=self.device) for wire in self.graph.inputs]

    def run(self, batch: int, training: bool) -> tuple[Tensor, ...]:
        self.module.train(training)
        given = self.inputs(batch)
        return tuple(_tensors(self.module(*given)))


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in cast("tuple[object, ...]", value):
            yield from _tensors(part)


def _parameter_rows(bench: _Bench) -> Iterator[Row]:
    static = cost(bench.graph).params
    found = list(bench.module.parameters())
    yield Row("parameters", static.total, sum(p.numel() for p in found), "numel; buffers not counted")
    yield Row("trainable parameters", static.trainable, sum(p.numel() for p in found if p.requires_grad))


def _run_rows(bench: _Bench) -> Iterator[Row]:
    """One run in evaluation: output shapes, shapes of the layers with weights, multiply-accumulates.

    Two samples, since a norm may refuse a single value of one.
    """
    seen: Counter[tuple[int, tuple[int, ...]]] = Counter()
    handles = [layer.register_forward_hook(_note_into(seen)) for layer in _learning(bench.module)]
    with FlopCounterMode(display=False, custom_mapping=ATTENTION_ON_CPU) as flops, torch.no_grad():
        outputs = bench.run(2, training=False)
    for handle in handles:
        handle.remove()
    shapes = [tuple(o.shape[1:]) for o in outputs[: len(bench.graph.outputs)]]
    yield Row("output shapes", [wire.values for wire in bench.graph.outputs], shapes)
    yield _shapes_row(_expected_layers(bench.graph), seen)
    yield _macs_row(bench.graph, flops.get_total_flops() // 2)


def _learning(module: nn.Module) -> list[nn.Module]:
    return [layer for layer in module.modules() if isinstance(layer, _LEARNING_LAYERS)]


def _note_into(seen: Counter[tuple[int, tuple[int, ...]]]) -> Callable[[nn.Module, Any, Any], None]:
    def note(layer: nn.Module, inputs: object, output: Tensor) -> None:
        learned = sum(p.numel() for p in layer.parameters(recurse=False))
        if learned:
            seen[learned, tuple(output.shape[1:])] += 1

    return note


def _shapes_row(expected: Counter[tuple[int, tuple[int, ...]]], seen: Counter[tuple[int, tuple[int, ...]]]) -> Row:
    name, note = "layers with weights", "parameters and output shape of each, by hooks"
    if expected == seen:
        return Row(name, sum(expected.values()), sum(seen.values()), note)
    missing, extra = expected - seen, seen - expected
    return Row(name, _some(missing), _some(extra), "only in the graph, only in the module")


def _some(found: Counter[tuple[int, tuple[int, ...]]]) -> str:
    return ", ".join(f"{n} × {learned:,} -> {list(shape)}" for (learned, shape), n in found.most_common(3)) or "none"


def _expected_layers(root: Graph) -> Counter[tuple[int, tuple[int, ...]]]:
    """How often a layer of so many parameters puts out such a shape, over the whole network."""
    known: dict[int, Counter[tuple[int, tuple[int, ...]]]] = {}
    for graph in all_graphs(root):
        tally: Counter[tuple[int, tuple[int, ...]]] = Counter()
        for application in running(graph):
            what = application.what
            inner = known[id(what.graph)] if isinstance(what, Call) else Counter(dict(_own_layers(application)))
            tally.update({key: n * application.count for key, n in inner.items()})
        known[id(graph)] = tally
    return known[id(root)]


def _own_layers(application: Application) -> Iterator[tuple[tuple[int, tuple[int, ...]], int]]:
    op, learned = application.op, weights(application)
    if op is None or not learned:
        return
    if op.name == "attention":  # two linear maps inside
        n, channels = application.inputs[0]
        for part, width in (("qkv", 3 * channels), ("out", channels)):
            yield (sum(numel(w) for w in learned if w.name.startswith(part)), (n, width)), 1
    elif family(op) != "other" and op.name != "conv_table":
        yield (sum(map(numel, learned)), application.outputs[0]), 1


def _macs_row(graph: Graph, flops: int) -> Row:
    static = cost(graph).macs.total
    dense = total(graph, "verify:dense", 0, dense_macs)
    note = "FlopCounterMode: 2 FLOPs each; norms, activations, pooling not counted"
    if dense:
        note += f"; conv_table counts its links, torch computes {dense:,} more for the zeros between"
    return Row("multiply-accumulates", static + dense, flops // 2, note)


def dense_macs(application: Application) -> int:
    """What the dense convolution behind a table of connections computes beyond its links."""
    op = application.op
    if op is None or op.name != "conv_table":
        return 0
    out = application.outputs[0]
    links, *kernel = (int(d) for d in weights(application)[0].shape)
    return (out[0] * application.inputs[0][0] - links) * product((*kernel, *out[1:]))


def _kept_rows(bench: _Bench) -> Iterator[Row]:
    static = cost(bench.graph).memory.kept
    for layer in bench.module.modules():
        if type(layer).__name__ == "StochasticDepth":
            cast("Any", layer).keep = 1.0  # the static number is of a pass in which every layer survives
    for batch in _BATCHES:
        note = "saved_tensors_hooks, by storage; no parameters, no buffers"
        yield Row(
            f"kept bytes, batch of {batch}", static.at(batch), kept_bytes(bench.module, bench.inputs(batch)), note
        )


def kept_bytes(module: nn.Module, inputs: list[Tensor]) -> int:
    """Bytes of all storages that autograd keeps after a forward pass in training, parameters and buffers aside."""
    own = {t.untyped_storage()._cdata for t in (*module.parameters(), *module.buffers())}  # pyright: ignore
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage  # pyright: ignore
        return tensor.detach()  # with its history, a layer's own result would hold the layer that holds it: for ever

    module.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = module(*inputs)  # alive until the storages are counted
    found = sum(storage.nbytes() for key, storage in kept.items() if key not in own)
    del output
    return found


def _torchinfo_rows(bench: _Bench) -> Iterator[Row]:
    import torchinfo

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = bench.inputs(2)
        found = torchinfo.summary(bench.module, input_data=given, device=bench.device, verbose=0, mode="eval")
    yield Row("torchinfo parameters", cost(bench.graph).params.total, found.total_params)
    expected = total(bench.graph, "verify:torchinfo", 0, _torchinfo_own)
    note = "torchinfo's own convention: biases and norms added, weights outside of layers and products of tensors not"
    yield Row("torchinfo mult-adds", expected, found.total_mult_adds // 2, note)


def _torchinfo_own(application: Application) -> int:
    """All parameters of a convolution once for each output position, of any other layer once."""
    op, learned = application.op, weights(application)
    if op is None or not learned or op.name == "learned":
        return 0
    count = sum(map(numel, learned))
    return count * product(application.outputs[0][1:]) if family(op) == "conv" else count

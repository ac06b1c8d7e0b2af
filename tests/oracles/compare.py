"""Hold two modules of the same network together although their names, classes and order of execution differ.

Weights are matched by where they stand, not by what they are called. One pass runs each module with weights that are a
function of the value arriving at them: the same position in two implementations sees the same value, gets the same
weights, hands the same value on, and so carries the same key, whatever was executed first. Equal weights that read one
value (parallel branches) are told apart by their gradients, and where even these agree the branches are
interchangeable and the order of use decides. What has no partner by key is paired in order of use if the shapes
allow, so that a comparison can still say by how much two different networks differ.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

MATRIX = {"conv1d", "conv2d", "conv3d", "linear"}
NORMS = {"batch_norm", "group_norm", "layer_norm", "instance_norm"}
OTHER = {"conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "prelu"}
ROLES = ("source", "target")
DROPOUTS = {"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"}
QUIET_CALLS = {"dim", "size", "numel", "__get__", "__len__", "__repr__", "__hash__", "requires_grad_", "detach_"}


@dataclass
class Use:
    """The first call that gives a set of weights to an activation."""

    kind: str
    names: list[str]
    shapes: tuple[tuple[int, ...], ...]
    key: tuple[Any, ...]


@dataclass
class Match:
    """Pairs of names (source, target), and the places where only the order of use could pair them."""

    pairs: list[tuple[str, str]]
    unsure: list[tuple[str, str]] = field(default_factory=list)

    def explain(self) -> str:
        if not self.unsure:
            return "every weight found its place by value"
        source, target = self.unsure[0]
        where = f"the networks part at {source} (source), {target} (target)"
        return f"{where}: {len(self.unsure)} weights paired by order only"


def _named_tensors(module: nn.Module) -> dict[str, Tensor]:
    return dict(module.named_parameters()) | dict(module.named_buffers())


def _tensors(value: Any) -> list[Tensor]:
    """Tensors in a nest of tuples, lists and dicts, in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [t for item in value for t in _tensors(item)] if isinstance(value, list | tuple) else []


def _as_tuple(inputs: Any) -> tuple[Any, ...]:
    return tuple(inputs) if isinstance(inputs, list | tuple) else (inputs,)


def _seed(*parts: Any) -> int:
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=7).digest(), "big")


def fingerprint(tensor: Tensor, digits: int = 6) -> tuple[Any, ...]:
    """A few rounded numbers that two equal tensors share, whatever their layout or trailing unit dimensions."""
    flat = tensor.detach().reshape(-1).double()
    norm = float(flat.norm())
    if norm == 0 or not flat.numel():
        return (flat.numel(), 0)
    probes = (round(float(probe @ flat) / norm, digits) + 0.0 for probe in _probes(flat.numel()))
    return (flat.numel(), f"{norm:.{digits}e}", *probes)


@lru_cache(maxsize=64)
def _probes(count: int) -> tuple[Tensor, Tensor]:
    at = torch.arange(count, dtype=torch.float64)
    return torch.cos(at * 0.7548776662 + 0.3), torch.cos(at * 0.5698402910 * (1 + at / count))


class _Observer(TorchFunctionMode):
    """Sees every torch call that mixes a module's own tensors with activations, once per tensor."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.owned: dict[int, tuple[str, ...]] = {id(t): (name,) for name, t in _named_tensors(module).items()}
        self.tensors = _named_tensors(module)
        self.derived: list[Tensor] = []
        self.seen: set[str] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        operands = _tensors([args, kwargs])
        own = list(dict.fromkeys(n for t in operands for n in self.owned.get(id(t), ())))
        activations = [t for t in operands if id(t) not in self.owned]
        if own and activations and name not in QUIET_CALLS and not self._is_counter(own):
            direct = all(id(self.tensors[n]) in {id(t) for t in operands} for n in own)
            new = [n for n in own if n not in self.seen]
            self.seen.update(new)
            if new:
                self.before_use(name, new, activations, direct)
        result = self.call(func, name, args, kwargs)
        if own and not activations and isinstance(result, Tensor) and id(result) not in self.owned:
            self.owned[id(result)] = tuple(own)
            self.derived.append(result)  # kept alive, so that its id stays its own
        return result

    def _is_counter(self, own: list[str]) -> bool:
        return all(n.endswith("num_batches_tracked") for n in own)

    def call(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        return func(*args, **kwargs)

    def before_use(self, name: str, own: list[str], activations: list[Tensor], direct: bool) -> None:
        raise NotImplementedError


class _Order(_Observer):
    def __init__(self, module: nn.Module) -> None:
        super().__init__(module)
        self.order: list[str] = []

    def before_use(self, name: str, own: list[str], activations: list[Tensor], direct: bool) -> None:
        self.order += own


def ordered_weights(module: nn.Module, *inputs: Tensor) -> list[tuple[str, Tensor]]:
    """All parameters and buffers in the order of their first use by a forward pass; what is never used comes last.

    A batch norm's counter follows its running statistics. The pass is made in evaluation mode, and again in training
    mode if something (a train-only head) was not reached.
    """
    tensors = _named_tensors(module)
    inputs = tuple(x.to(next(iter(tensors.values())).dtype) for x in inputs)
    observer = _Order(module)
    with _state_kept(module), torch.no_grad(), observer:
        for training in (False, True):
            if set(tensors) - observer.seen - {n for n in tensors if n.endswith("num_batches_tracked")}:
                module.train(training)
                module(*inputs)
    order: list[str] = []
    for name in [*observer.order, *(n for n in tensors if n not in observer.seen)]:
        counter = name.removesuffix("running_var") + "num_batches_tracked"
        follows = [counter] if name.endswith("running_var") and counter in tensors else []
        order += [n for n in (name, *follows) if n not in order[-3:]]
    return [(name, tensors[name]) for name in dict.fromkeys(order)]


@contextmanager
def _state_kept(module: nn.Module) -> Iterator[None]:
    """Put weights, buffers, modes and gradients back afterwards."""
    modes = {m: m.training for m in module.modules()}
    kept = {name: t.detach().clone() for name, t in _named_tensors(module).items()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, tensor in _named_tensors(module).items():
                tensor.copy_(kept[name])
        module.zero_grad(set_to_none=True)
        for part, mode in modes.items():
            part.training = mode


class _Placer(_Observer):
    """Fills weights by the value that reaches them and records a key for each use.

    `twins` tells weights apart that read one value: None while it is being found out.
    """

    def __init__(self, module: nn.Module, twins: dict[str, Any] | None) -> None:
        super().__init__(module)
        self.twins = twins
        self.uses: list[Use] = []
        self.times: dict[Any, int] = {}

    def before_use(self, name: str, own: list[str], activations: list[Tensor], direct: bool) -> None:
        kind = "matrix" if name in MATRIX else name if name in NORMS | OTHER else "bare"
        shapes = tuple(self._shape(kind, self.tensors[n]) for n in own)
        value = tuple(sorted(map(str, map(fingerprint, activations))))
        key = (kind, shapes, value, None if self.twins is None else self.twins.get(own[0]))
        count = self.times[key] = self.times.get(key, 0) + 1
        self.uses.append(Use(kind, own, shapes, key if self.twins is None else (*key, count)))
        if direct and kind != "bare":
            # Twins share their weights until their gradients are known; afterwards each gets its own.
            self._fill(name, own, activations[0], _seed(*self.uses[-1].key))

    @staticmethod
    def _shape(kind: str, tensor: Tensor) -> tuple[int, ...]:
        if kind == "matrix" and tensor.dim() > 1:
            return (tensor.shape[0], prod(tensor.shape[1:]))
        return tuple(n for n in tensor.shape if n != 1) if kind == "bare" else tuple(tensor.shape)

    def _fill(self, name: str, own: list[str], x: Tensor, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            draw(name, [(n, self.tensors[n]) for n in own], x, generator)

    def call(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        if name in DROPOUTS:
            return args[0]
        if name == "batch_norm" and "training" in kwargs and args[1] is not None:
            kwargs = kwargs | {"training": False}
        return func(*args, **kwargs)


def draw(name: str, own: list[tuple[str, Tensor]], x: Tensor, generator: torch.Generator) -> None:
    """Random weights that keep signals of a healthy size: fan-in scaling, running statistics near those of x."""
    for n, tensor in own:
        last = n.rsplit(".", 1)[-1]
        noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        if not tensor.is_floating_point():
            continue
        if name == "batch_norm" and last == "running_mean":
            new = _channels(x).mean(1) + 0.1 * _channels(x).std(1) * noise
        elif name == "batch_norm" and last == "running_var":
            new = (_channels(x).var(1) + 1e-3) * (0.75 + 0.25 * torch.tanh(noise))
        elif name in NORMS and last == "weight":
            new = 1 + 0.25 * torch.tanh(noise)
        elif tensor.dim() > 1 and name in MATRIX | OTHER:
            new = noise * (1.5 / prod(tensor.shape[1:])) ** 0.5
        else:
            new = 0.3 * noise
        tensor.copy_(new)


def _channels(x: Tensor) -> Tensor:
    flat = x.detach().double().transpose(0, 1).reshape(x.shape[1], -1)
    return flat if flat.shape[1] > 1 else flat.expand(-1, 2)


def _place(module: nn.Module, inputs: tuple[Any, ...]) -> list[Use]:
    """The uses of a module's weights with their keys. The weights are put back."""
    with _state_kept(module):
        module.eval()
        twins, reached = _twins(module, inputs)
        if {name for name, _ in module.named_parameters()} - reached:
            module.train()
            twins, _ = _twins(module, inputs)
        placer = _Placer(module, twins)
        _reset(module)
        with torch.no_grad(), placer:
            module(*inputs)
    return placer.uses


def _twins(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[dict[str, Any], set[str]]:
    """A rounded gradient for each of several equal weights that read one value, and all names that were reached."""
    placer = _Placer(module, None)
    _reset(module)
    module.zero_grad(set_to_none=True)
    with torch.enable_grad(), placer:
        outputs = _tensors(module(*inputs))
    sum((out * _cotangent(out)).sum() for out in outputs).backward()
    repeated = {key for key, count in Counter(use.key for use in placer.uses).items() if count > 1}
    twins = {use.names[0]: _gradient_class(placer, use) for use in placer.uses if use.key in repeated}
    return twins, placer.seen


def _gradient_class(placer: _Placer, use: Use) -> Any:
    grads = [g for n in use.names if (g := placer.tensors[n].grad) is not None]
    return fingerprint(grads[0], 4) if grads else None


def _reset(module: nn.Module) -> None:
    """Parameters that stand alone, or reach an activation through other calls, keep this: a function of their size."""
    with torch.no_grad():
        for tensor in _named_tensors(module).values():
            if tensor.is_floating_point() and isinstance(tensor, nn.Parameter):
                generator = torch.Generator().manual_seed(tensor.numel())
                tensor.copy_(0.3 * torch.randn(tensor.numel(), generator=generator).reshape(tensor.shape))


def _cotangent(out: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(out.numel())
    return torch.randn(out.shape, generator=generator, dtype=torch.float64).to(out.dtype)


def match_weights(source: nn.Module, target: nn.Module, inputs: Any) -> Match:
    """Pair the tensors of two modules by position; both become float64. Raises AssertionError if they cannot pair."""
    inputs = tuple(x.double() if x.is_floating_point() else x for x in _as_tuple(inputs))
    ours, theirs = _place(source.double(), inputs), _place(target.double(), inputs)
    by_key = {use.key: use for use in theirs}
    sure = [(use, by_key[use.key]) for use in ours if use.key in by_key]
    matched = {id(use) for pair in sure for use in pair}
    unsure = _by_order([u for u in ours if id(u) not in matched], [u for u in theirs if id(u) not in matched])
    pairs = [pair for a, b in [*sure, *unsure] for pair in zip(a.names, b.names, strict=True)]
    _assert_complete("source", source, {a for a, _ in pairs})
    _assert_complete("target", target, {b for _, b in pairs})
    return Match(_with_counters(pairs, source, target), [(a.names[0], b.names[0]) for a, b in unsure])


def _by_order(ours: list[Use], theirs: list[Use]) -> list[tuple[Use, Use]]:
    """Pair what is left: the n-th of a kind and shape with the n-th."""
    waiting: dict[Any, list[Use]] = {}
    for use in theirs:
        waiting.setdefault((use.kind, use.shapes), []).append(use)
    pairs = [(a, queue.pop(0)) for a in ours if (queue := waiting.get((a.kind, a.shapes)))]
    paired = {id(use) for pair in pairs for use in pair}
    alone = [[use for use in uses if id(use) not in paired] for uses in (ours, theirs)]
    if any(alone):
        places = " and ".join(
            f"{uses[0].names[0]} ({role})" for role, uses in zip(ROLES, (ours, theirs), strict=True) if uses
        )
        lists = "; ".join(f"{role}: {_list(uses)}" for role, uses in zip(ROLES, alone, strict=True))
        raise AssertionError(f"the networks part at {places}; weights without a partner: {lists}")
    return pairs


def _list(uses: list[Use]) -> str:
    names = ", ".join(f"{use.names[0]} {use.shapes[0]}" for use in uses[:3])
    return f"{len(uses)} ({names}{', …' if len(uses) > 3 else ''})" if uses else "none"


def _assert_complete(role: str, module: nn.Module, used: set[str]) -> None:
    dead = [name for name, _ in module.named_parameters() if name not in used]
    assert not dead, f"parameters of the {role} that no forward pass uses: {dead[:5]}"


def _with_counters(pairs: list[tuple[str, str]], source: nn.Module, target: nn.Module) -> list[tuple[str, str]]:
    ours, theirs = _named_tensors(source), _named_tensors(target)
    counters = [
        tuple(name.removesuffix("running_mean") + "num_batches_tracked" for name in pair)
        for pair in pairs
        if pair[0].endswith("running_mean") and pair[1].endswith("running_mean")
    ]
    return pairs + [(a, b) for a, b in counters if a in ours and b in theirs]


class _Drawer(_Observer):
    """Gives each weight fresh random values as the pass reaches it."""

    def __init__(self, module: nn.Module, seed: int) -> None:
        super().__init__(module)
        self.generator = torch.Generator().manual_seed(seed)

    def before_use(self, name: str, own: list[str], activations: list[Tensor], direct: bool) -> None:
        with torch.no_grad():
            draw(name, [(n, t) for n in own if self._is_free(t := self.tensors[n], n)], activations[0], self.generator)

    def _is_free(self, tensor: Tensor, name: str) -> bool:
        """Fixed buffers (codes, masks) stay; running statistics are drawn."""
        return isinstance(tensor, nn.Parameter) or name.endswith(("running_mean", "running_var"))

    call = _Placer.call


def draw_weights(module: nn.Module, inputs: Any, seed: int = 0) -> None:
    """Random weights and running statistics near the data's, so that signals survive a thousand layers."""
    inputs = tuple(x.to(next(module.parameters()).dtype) for x in _as_tuple(inputs))
    modes = {m: m.training for m in module.modules()}
    drawer = _Drawer(module, seed)
    with torch.no_grad(), drawer:
        for training in (False, True):
            if {name for name, _ in module.named_parameters()} - drawer.seen:
                module.train(training)
                module(*inputs)
    for part, mode in modes.items():
        part.training = mode


def copy_weights(source: nn.Module, target: nn.Module, inputs: Any, *, seed: int = 0, draw: bool = True) -> Match:
    """Give the source random weights (or keep its own, draw=False) and the target the same at the same places."""
    match = match_weights(source, target, inputs)
    if draw:
        draw_weights(source, inputs, seed)
    ours, theirs = _named_tensors(source), _named_tensors(target)
    with torch.no_grad():
        for a, b in match.pairs:
            theirs[b].copy_(ours[a].reshape(theirs[b].shape))
    return match


@contextmanager
def content_dropout() -> Iterator[None]:
    """Inside, dropout masks depend on the dropped values alone, so that two implementations drop the same elements."""

    class Mode(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            name = getattr(func, "__name__", "")
            if name not in DROPOUTS:
                return func(*args, **kwargs)
            rate = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
            training = kwargs.get("training", args[2] if len(args) > 2 else True)
            return _drop(args[0], rate, name) if training and rate else args[0]

    with Mode():
        yield


def _drop(x: Tensor, rate: float, name: str) -> Tensor:
    generator = torch.Generator().manual_seed(_seed(fingerprint(x), rate))
    shape = x.shape if name == "dropout" else (*x.shape[:2], *(1 for _ in x.shape[2:]))
    keep = torch.rand(shape, generator=generator, dtype=torch.float64) >= rate
    return x * keep.to(x.dtype) / (1 - rate)


def assert_same(
    source: nn.Module,
    target: nn.Module,
    inputs: Any,
    tolerance: float = 1e-5,
    *,
    train: bool = False,
    dtype: torch.dtype = torch.float64,
    output_of: Callable[[Any], Any] = lambda out: out,
    match: Match | None = None,
    seed: int = 0,
) -> Match:
    """Outputs, gradients of every parameter and of the inputs agree; in training mode the batch norm buffers too.

    Without `match` the weights are drawn and copied first; with it (from `copy_weights`) both keep what they have.
    Differences are relative to the largest element of the tensor. Several outputs are compared in their order;
    `output_of` selects from the outputs. Random parts must be off, fixed, or dropout under `content_dropout`.
    """
    match = match or copy_weights(source, target, inputs, seed=seed)
    ours, theirs = (_run(module, _as_tuple(inputs), train, dtype, output_of) for module in (source, target))
    problems = _differences("output", enumerate(ours.outputs), dict(enumerate(theirs.outputs)), tolerance)
    if len(ours.outputs) != len(theirs.outputs):
        problems.append(f"{len(ours.outputs)} outputs face {len(theirs.outputs)}")
    problems += _differences("gradient of input", enumerate(ours.inputs), dict(enumerate(theirs.inputs)), tolerance)
    problems += _pair_differences("gradient of", match, ours.grads, theirs.grads, tolerance)
    if train:
        problems += _pair_differences("buffer", match, ours.buffers, theirs.buffers, tolerance)
    assert not problems, "\n".join([f"{len(problems)} differences; {match.explain()}", *problems[:8]])
    return match


@dataclass
class _Run:
    outputs: list[Tensor]
    inputs: list[Tensor]
    grads: dict[str, Tensor]
    buffers: dict[str, Tensor]


def _run(module: nn.Module, inputs: tuple[Any, ...], train: bool, dtype: torch.dtype, output_of: Any) -> _Run:
    module.to(dtype).train(train)
    module.zero_grad(set_to_none=True)
    leaves = [x.detach().to(dtype).clone().requires_grad_() for x in inputs]
    outputs = _tensors(output_of(module(*leaves)))
    sum((out * _cotangent(out)).sum() for out in outputs).backward()
    grads = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in module.named_parameters()}
    grads = {n: g for n, g in grads.items() if module.get_parameter(n).requires_grad}
    given = [torch.zeros_like(x) if x.grad is None else x.grad for x in leaves]
    return _Run([o.detach() for o in outputs], given, grads, dict(module.named_buffers()))


def _pair_differences(
    what: str, match: Match, ours: dict[str, Tensor], theirs: dict[str, Tensor], tolerance: float
) -> list[str]:
    pairs = [(a, b) for a, b in match.pairs if a in ours or b in theirs]
    both = {f"{a} (source), {b} (target)": (a, b) for a, b in pairs if a in ours and b in theirs}
    missing = [f"{what} {a} (source), {b} (target): only one exists" for a, b in pairs if (a, b) not in both.values()]
    left, right = {p: ours[a] for p, (a, _) in both.items()}, {p: theirs[b] for p, (_, b) in both.items()}
    return missing + _differences(what, left.items(), right, tolerance)


def _differences(what: str, ours: Any, theirs: dict[Any, Tensor], tolerance: float) -> list[str]:
    """One line for each tensor that differs by more than the tolerance, relative to its largest element."""
    ours = list(ours)
    floor = 1e-8 * max((float(a.abs().max()) for _, a in ours if a.numel()), default=0.0)
    problems = []
    for name, a in ours:
        b = theirs.get(name)
        if b is None:
            continue
        if a.numel() != b.numel():
            problems.append(f"{what} {name}: shape {tuple(a.shape)} faces {tuple(b.shape)}")
            continue
        a, b = a.double(), b.double().reshape(a.shape)
        off, size = float((a - b).abs().max()), float(a.abs().max())
        if not off <= tolerance * max(size, floor):
            problems.append(f"{what} {name}: differs by {off:.3g} where the largest element is {size:.3g}")
    return problems

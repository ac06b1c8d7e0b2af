"""The optimiser with the recipe's rules for single parameters, and what is enforced on weights after each step."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from archdsl.recipe.records import Adam, AdamW, Recipe, RmsProp, Rule, Sgd
from archdsl.train.schedule import Clock, learning_rate, momentum
from archdsl.train.trouble import Misfit

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Treatment:
    """How one parameter is treated: the product of all rules that match it; of limits, the last one counts."""

    lr: float = 1.0
    decay: float = 1.0
    max_norm: float | None = None
    clamp: tuple[float, float] | None = None

    def under(self, rule: Rule) -> Treatment:
        """This treatment with one more rule."""
        return Treatment(
            self.lr * rule.lr, self.decay * rule.decay, rule.max_norm or self.max_norm, rule.clamp or self.clamp
        )


def kind(module: nn.Module, name: str) -> str:
    """What a rule's `on` calls the parameter `name` of `module`."""
    if "norm" in type(module).__name__.lower():
        return "norm"
    if name == "bias" or name.endswith("_bias"):
        return "bias"
    if isinstance(module, _CONVOLUTIONS):
        return "conv"
    return "linear" if isinstance(module, nn.Linear) else "other"


def treatments(model: nn.Module, rules: Sequence[Rule]) -> dict[str, Treatment]:
    """The treatment of every parameter, by full name. A rule that matches nothing is a mistake and said to be one."""
    kinds = {
        f"{path}.{name}" if path else name: kind(module, name)
        for path, module in model.named_modules()
        for name, _ in module.named_parameters(recurse=False)
    }
    names = [name for name, _ in model.named_parameters()]
    for rule in rules:
        if not any(_matches(rule, name, kinds[name]) for name in names):
            raise Misfit(f"recipe: the rule for {rule.name or rule.on} matches no parameter of the network")
    return {name: _treated(rules, name, kinds[name]) for name in names}


def _treated(rules: Sequence[Rule], name: str, kind: str) -> Treatment:
    treatment = Treatment()
    for rule in rules:
        if _matches(rule, name, kind):
            treatment = treatment.under(rule)
    return treatment


def _matches(rule: Rule, name: str, kind: str) -> bool:
    return (rule.on is None or rule.on == kind) and (rule.name is None or fnmatchcase(name, rule.name))


def rest(model: nn.Module, recipe: Recipe) -> None:
    """Let the parameters rest that the recipe's `train` does not name. Statistics of normalisation go on."""
    patterns = recipe.train or ("*",)
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise Misfit(f"recipe: `train` names {pattern}, which is no parameter of the network")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(any(fnmatchcase(name, pattern) for pattern in patterns))


class Optimizer:
    """torch's optimiser, driven by a recipe: rates set each step, limits enforced after it."""

    def __init__(self, model: nn.Module, recipe: Recipe, clock: Clock) -> None:
        self.recipe = recipe
        self.clock = clock
        rest(model, recipe)
        self.names = {p: name for name, p in model.named_parameters() if p.requires_grad}
        by_name = treatments(model, recipe.rules)
        self.inner = _build(recipe, _groups(self.names, by_name, recipe))
        self.entries = _entries(recipe)
        self.skips = bool(self.inner.defaults.get("fused"))
        """Whether a step can be left out by the kernel itself, where its `found_inf` says so."""
        self._remember_from_the_start()
        self.limits = [
            (parameter, by_name[name])
            for parameter, name in self.names.items()
            if by_name[name].max_norm or by_name[name].clamp
        ]

    def prepare(self, step: int, warm_end: int | None, drops: int = 0) -> float:
        """Set rate and momentum for iteration `step`; returns the rate. For the rest see `learning_rate`."""
        rate = learning_rate(self.recipe, self.clock, step, warm_end, drops)
        moving = momentum(self.recipe, self.clock, step)
        for group in self.inner.param_groups:
            group["lr"] = rate * group["multiplier"]
            if moving is not None:
                group["momentum"] = moving
        return rate

    def _remember_from_the_start(self) -> None:
        """Give momentum its zeros now: a fused first step that is skipped would leave it what memory held before."""
        sgd = self.recipe.optimizer
        if isinstance(sgd, Sgd) and sgd.momentum and self.skips:
            for parameter in self.names:
                self.inner.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter, requires_grad=False)

    def hold(self) -> None:
        """Hold the weights to their limits."""
        for parameter, treatment in self.limits:
            _limit(parameter.data, treatment)

    def clear(self) -> None:
        """Forget the gradients."""
        self.inner.zero_grad(set_to_none=True)

    def gradients(self) -> list[Tensor]:
        """The gradients that there are."""
        return [p.grad for p in self.names if p.grad is not None]

    def tensors(self) -> dict[str, Tensor]:
        """The optimiser's memory, as `<parameter>/<entry>`, for a checkpoint.

        Every entry is there: one that a parameter gets with its first gradient is empty until then.
        """
        return {
            f"{name}/{entry}": self.inner.state[parameter].get(entry, torch.empty(0))
            for parameter, name in self.names.items()
            for entry in self.entries
        }

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `tensors` gave. KeyError where it is not all there."""
        for parameter, name in self.names.items():
            for entry in self.entries:
                value = tensors[f"{name}/{entry}"]
                if value.numel():
                    self.inner.state[parameter][entry] = _like(parameter, value)


def _like(parameter: nn.Parameter, value: Tensor) -> Tensor:
    """`value` laid out as the parameter is: fused optimisers walk through both in the order of memory."""
    if value.shape == parameter.shape:
        return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
    return value.to(parameter.device)


def _groups(names: dict[nn.Parameter, str], by_name: dict[str, Treatment], recipe: Recipe) -> list[dict[str, object]]:
    """One group for each pair of multipliers in use."""
    decay = recipe.optimizer.weight_decay
    members: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter, name in names.items():
        members.setdefault((by_name[name].lr, by_name[name].decay), []).append(parameter)
    return [
        {"params": parameters, "multiplier": lr, "weight_decay": decay * share}
        for (lr, share), parameters in members.items()
    ]


def _entries(recipe: Recipe) -> tuple[str, ...]:
    """What the optimiser keeps of a parameter from one step to the next."""
    match recipe.optimizer:
        case Sgd(momentum=m, momentum_to=later):
            return ("momentum_buffer",) if m or later else ()
        case RmsProp(momentum=m):
            return ("step", "square_avg", *(("momentum_buffer",) if m else ()))
        case _:
            return "step", "exp_avg", "exp_avg_sq"


def _build(recipe: Recipe, groups: Iterable[dict[str, object]]) -> torch.optim.Optimizer:
    make: Callable[..., torch.optim.Optimizer]
    match recipe.optimizer:
        case Sgd(lr=lr, momentum=m, nesterov=nesterov, dampening=d):
            # with dampening the first step is a special case that only the other kernels know
            return torch.optim.SGD(groups, lr, m, d, nesterov=nesterov, fused=d == 0)
        case RmsProp(lr=lr, decay=alpha, momentum=m, eps=eps):
            return torch.optim.RMSprop(groups, lr, alpha, eps, momentum=m)
        case Adam() as adam:
            make = torch.optim.Adam
        case AdamW() as adam:
            make = torch.optim.AdamW
    return make(groups, adam.lr, (adam.beta1, adam.beta2), adam.eps, fused=True)


def _limit(weight: Tensor, treatment: Treatment) -> None:
    if treatment.clamp:
        weight.clamp_(*treatment.clamp)
    if treatment.max_norm and weight.dim() > 1:
        norms = weight.flatten(1).norm(dim=1).clamp_min(1e-12)
        factor = (treatment.max_norm / norms).clamp_max(1.0)
        weight.mul_(factor.view(-1, *[1] * (weight.dim() - 1)))

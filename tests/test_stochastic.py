"""The random parts of whole generated modules: their distribution, their scope, rest in evaluation, and gradients.

What a layer by itself does is in `test_ops.py`; here it stands in its network. Every statistic is a share of n
independent draws with probability p, and must lie within six standard deviations, sqrt(p (1 - p) / n): a sound module
fails one such check with probability 2e-9, by the normal approximation. Seeds are fixed, so that a run repeats.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from zoo import ROOT

import archdsl

SIGMAS = 6


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(20)
    yield
    torch.set_num_threads(threads)


def network(spec: str, **parameters: object) -> Any:
    return archdsl.load(str(ROOT / "specs" / f"{spec}.arch"), parameters).build().train()


def written(body: str, image: str = "[4, 8, 8]") -> Any:
    return archdsl.loads(f"network Net() {{\n    input image: {image}\n    output = {body}\n}}\n").build().train()


def parts(module: nn.Module, kind: str) -> list[Any]:
    return [part for part in module.modules() if type(part).__name__ == kind]


def share(hits: Tensor, p: float) -> None:
    """The share of true among independent draws is that of probability p."""
    n = hits.numel()
    assert abs(float(hits.double().mean()) - p) <= SIGMAS * (p * (1 - p) / n) ** 0.5


class Seen:
    """What goes into and comes out of layers of one kind while a network runs."""

    def __init__(self, layers: list[Any]) -> None:
        self.calls: list[tuple[Any, tuple[Tensor, ...], Tensor]] = []
        for layer in layers:
            layer.register_forward_hook(lambda one, xs, y: self.calls.append((one, xs, y)))


# --- Shake-Shake --------------------------------------------------------------------------------------------------

MODES = [(f, b, level) for f in ("shake", "even") for b in ("shake", "even", "keep") for level in ("image", "batch")]


def alphas(x: Tensor, y: Tensor, out: Tensor) -> Tensor:
    """The coefficient of x for each sample; it is one for all numbers of the sample."""
    gap = (x - y).flatten(1)
    found = ((out - y).flatten(1) * gap).sum(1) / gap.square().sum(1)
    again = found.view(-1, *(1 for _ in x.shape[1:]))
    assert torch.allclose(again * x + (1 - again) * y, out, atol=1e-8)
    return found


@pytest.mark.parametrize(("forward", "backward", "level"), MODES)
def test_shake_has_its_own_coefficients_in_every_unit_and_in_the_gradient(
    forward: str, backward: str, level: str
) -> None:
    module = network("shake-shake", base=4, forward=forward, backward=backward, level=level).double()
    units = parts(module, "ShakeAdd")
    assert len(units) == 12
    gradients: dict[int, list[Tensor]] = {}
    seen = Seen(units)
    for unit in units:
        unit.register_full_backward_hook(lambda one, given, came: gradients.update({id(one): [*given, *came]}))
    module(torch.rand(4, 3, 32, 32, dtype=torch.double)).square().sum().backward()
    ahead = torch.stack([alphas(*xs, out) for _, xs, out in seen.calls])
    behind = torch.stack([coefficient(*gradients[id(unit)]) for unit, _, _ in seen.calls])
    for rule, found in ((forward, ahead), (backward, behind)):
        if rule == "even":
            assert torch.allclose(found, torch.full_like(found, 0.5))
        elif rule == "shake":
            held_apart(found, level)
    assert torch.allclose(ahead, behind) == (backward == "keep" or forward == backward == "even")


def coefficient(to_x: Tensor, to_y: Tensor, came: Tensor) -> Tensor:
    """What the gradient of x is of the gradient that came, for each sample; that of y is the rest."""
    assert torch.allclose(to_x + to_y, came)
    return (to_x * came).flatten(1).sum(1) / came.square().flatten(1).sum(1)


def held_apart(found: Tensor, level: str) -> None:
    """A number between 0 and 1: each unit its own; each image its own, or all images of a unit the same."""
    assert bool(((found > 0) & (found < 1)).all())
    assert found[:, 0].unique().numel() == len(found)
    assert {row.mul(1e9).round().unique().numel() for row in found} == {4 if level == "image" else 1}


def test_shake_s_coefficients_are_uniform_and_rest_in_evaluation() -> None:
    module = written("shake_add(image, image -> affine(-1))")
    x = torch.ones(4000, 4, 8, 8)
    drawn = (module(x)[:, 0, 0, 0] + 1) / 2  # a - (1 - a)
    for tenth in range(1, 10):
        share(drawn < tenth / 10, tenth / 10)
    assert torch.equal(module.eval()(x), torch.zeros_like(x))


# --- stochastic depth ---------------------------------------------------------------------------------------------


def test_survival_falls_linearly_from_the_first_unit_to_the_last() -> None:
    """Equation 4: p_l = 1 - l/L (1 - p_L), all stages counted through."""
    module = network("stochastic-depth", depth=110)
    keeps = [part.keep for part in parts(module, "StochasticDepth")]
    assert keeps == pytest.approx([1 - unit / 54 * 0.5 for unit in range(1, 55)])


def test_a_unit_survives_for_the_whole_batch_and_by_its_probability() -> None:
    module = network("stochastic-depth", depth=8)
    seen = Seen(units := parts(module, "StochasticDepth"))
    with torch.no_grad():
        for _ in range(600):
            module(torch.rand(2, 3, 32, 32))
    for unit in units:
        outs = [out for one, _, out in seen.calls if one is unit]
        open_ = torch.tensor([[bool(sample.any()) for sample in out] for out in outs])
        assert torch.equal(open_[:, 0], open_[:, 1])
        share(open_[:, 0], unit.keep)


def test_evaluation_runs_every_unit_at_its_probability() -> None:
    module = network("stochastic-depth", depth=8).eval()
    seen = Seen(parts(module, "StochasticDepth"))
    with torch.no_grad():
        module(x := torch.rand(2, 3, 32, 32))
        assert torch.equal(module(x), module(x))
        for unit, (came,), out in seen.calls[:3]:
            assert torch.equal(out, unit.keep * unit.layer(came))
    assert 0 < seen.calls[0][0].keep < 1


def test_a_skipped_unit_still_has_its_shortcut_and_its_relu() -> None:
    module = network("stochastic-depth", depth=8)
    for unit in parts(module, "StochasticDepth"):
        unit.keep = 0.0
    x = torch.randn(2, 16, 32, 32)
    block = next(part for part in module.modules() if type(part).__name__.startswith("StochasticBasic"))
    assert torch.equal(block(x), torch.relu(x))


def test_one_draw_for_a_sample_where_it_is_asked_for() -> None:
    module = written('image -> stochastic_depth(affine(2), 0.7, per="sample")')
    out = module(torch.ones(3000, 4, 8, 8)).flatten(1)
    assert torch.equal(out, out[:, :1].expand_as(out))
    share(out[:, 0] > 0, 0.7)


# --- drop-path ----------------------------------------------------------------------------------------------------

FRACTAL = """
block two(mode, per) {{
    deep = in -> conv(2, 1) -> tanh -> conv(2, 1)
    out  = join(deep, in -> conv(2, 1), drop=0.15, mode=mode, per=per)
}}

network Net() {{
    input image: [2, 2, 2]
    output = image -> two("{mode}", "{per}") -> two("{mode}", "{per}") -> two("{mode}", "{per}")
}}
"""


def kept_inputs(xs: tuple[Tensor, ...], out: Tensor) -> Tensor:
    """Which inputs of a join make up its output, (samples, inputs): some subset's mean is the output."""
    subsets = torch.cartesian_prod(*[torch.tensor([False, True])] * len(xs))[1:]
    stacked = torch.stack(xs, 1).flatten(2)
    means = torch.stack([stacked[:, subset].mean(1) for subset in subsets], 1)
    off = (means - out.flatten(1).unsqueeze(1)).abs().amax(2)
    assert bool((off.amin(1) < 1e-5).all())
    return subsets[off.argmin(1)]


def joins(mode: str, per: str, samples: int) -> list[Tensor]:
    module = archdsl.loads(FRACTAL.format(mode=mode, per=per)).build().train()
    seen = Seen(parts(module, "Join"))
    with torch.no_grad():
        module(torch.rand(samples, 2, 2, 2))
    return [kept_inputs(xs, out) for _, xs, out in seen.calls]


def test_local_drop_path_draws_at_every_join_and_never_drops_all() -> None:
    found = joins("local", "sample", 3000)
    for kept in found:
        assert bool(kept.any(1).all())
        share(kept.all(1), 0.85**2)
        share(kept[:, 0], 0.85 + 0.15**2 / 2)  # where both fall, either is the survivor
    assert not torch.equal(found[0], found[1])


def test_global_drop_path_keeps_one_column_through_the_network() -> None:
    first, *others = joins("global", "sample", 3000)
    assert torch.equal(first.sum(1), torch.ones(3000, dtype=torch.long))
    assert all(torch.equal(first, kept) for kept in others)
    share(first[:, 0], 0.5)


def test_drop_path_for_the_batch_is_one_draw() -> None:
    for mode in ("local", "global"):
        assert all(kept.unique(dim=0).shape[0] == 1 for kept in joins(mode, "batch", 5))


def test_drop_path_rests_in_evaluation() -> None:
    module = network("fractalnet", width=4).eval()
    seen = Seen(parts(module, "Join"))
    with torch.no_grad():
        module(torch.rand(2, 3, 32, 32))
    assert seen.calls
    assert all(torch.allclose(out, torch.stack(xs).mean(0)) for _, xs, out in seen.calls)


# --- swapout ------------------------------------------------------------------------------------------------------


def test_swapout_keeps_each_number_of_both_parts_and_its_mean_is_evaluation_s() -> None:
    module = network("swapout", depth=8, k=1)
    masks = parts(module, "BernoulliMask")
    seen = Seen(masks)
    with torch.no_grad():
        module(torch.rand(2, 3, 32, 32))
    for mask, (came,), out in list(seen.calls):
        alive = came != 0
        kept = (out != 0)[alive]
        assert torch.equal(out[alive][kept], came[alive][kept])  # not rescaled
        share(kept, mask.keep)
        assert torch.equal(mask.eval()(came), mask.keep * came)
    assert [mask.keep for mask in masks] == pytest.approx([k for k in (1, 0.75, 0.5) for _ in "xF"])


def test_swapout_draws_element_by_element() -> None:
    mask = parts(written("image -> bernoulli_mask(0.5)"), "BernoulliMask")[0]
    kept = mask(torch.ones(40, 4, 8, 8)) > 0
    for axis in range(4):  # neighbours along any axis are equal in half of all cases
        pairs = kept.transpose(0, axis)
        share(pairs[0::2] == pairs[1::2], 0.5)


# --- dropout ------------------------------------------------------------------------------------------------------


def test_dropout_draws_elements_and_channel_dropout_channels() -> None:
    x = torch.ones(200, 4, 8, 8)
    each, whole = written("image -> dropout(0.3)")(x), written("image -> channel_dropout(0.3)")(x)
    assert each.unique().tolist() == whole.unique().tolist() == pytest.approx([0, 1 / 0.7])
    share(each > 0, 0.7)
    rows = (each > 0).flatten(2)
    share(rows[..., 0::2] == rows[..., 1::2], 0.7**2 + 0.3**2)
    maps = whole.flatten(2)
    assert torch.equal(maps, maps[..., :1].expand_as(maps))
    share(maps[..., 0] > 0, 0.7)


def test_dropout_rests_in_evaluation_and_passes_gradients_where_it_let_through() -> None:
    module = network("wrn", depth=10, k=1, drop=0.3)
    layers = parts(module, "Dropout")
    assert [layer.p for layer in layers] == [0.3] * 3
    x = torch.ones(50, 4, 8, 8, requires_grad=True)
    (out := layers[0](x)).sum().backward()
    assert torch.equal(x.grad, out)
    assert torch.equal(module.eval()(torch.ones(2, 3, 32, 32)), module(torch.ones(2, 3, 32, 32)))


# --- fractional max-pooling ---------------------------------------------------------------------------------------


def test_fractional_regions_are_two_wide_a_step_of_one_or_two_apart_and_drawn_for_each_map() -> None:
    (pool,) = {type(p).__name__: p for p in network("fmp", k=2).modules() if "Fractional" in type(p).__name__}.values()
    layer = nn.FractionalMaxPool2d(pool.kernel_size, output_size=7)
    rows = torch.arange(10.0).view(10, 1).expand(50, 2, 10, 10)  # the maximum of a region is its last row
    found = layer(rows)[..., 0] - 1
    steps = found.diff(dim=2)
    assert set(steps.unique().tolist()) == {1.0, 2.0}
    assert set(found[..., -1].unique().tolist()) == {8.0}  # the last region ends at the border
    assert found.flatten(0, 1).unique(dim=0).shape[0] == 3  # rows of such steps that there are
    assert not torch.equal(found[:, 0], found[:, 1])

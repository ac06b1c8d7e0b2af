"""The oracles prove themselves: against the reference table, against pytorchcv, and by failing when they must."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from oracles import ORACLES
from oracles.common import Chance, conv, still
from oracles.compare import assert_same, content_dropout, copy_weights, match_weights, ordered_weights
from oracles.densenet import densenet
from oracles.fmp import FractionalMaxPool, fmp, random_regions, sizes, torch_regions
from oracles.fractalnet import Join, fractalnet
from oracles.googlenet import googlenet
from oracles.highway import Highway
from oracles.lenet import LINKS, lenet5_original
from oracles.nin import dsn
from oracles.ports import PORTS, quiet
from oracles.preresnet import preresnet
from oracles.pyramidnet import pyramidnet, widths
from oracles.resnet import resnet, resnet_bottleneck
from oracles.resnext import resnext
from oracles.shakeshake import Shake, shakeshake, shakeshake_post
from oracles.stochdepth import Unit as SurvivingUnit
from oracles.stochdepth import stochastic_depth
from oracles.swapout import Swap, swapout
from oracles.weighted import weighted_resnet
from oracles.wrn import wrn
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

REFERENCE = {row["name"]: row for row in json.loads((Path(__file__).parent / "oracles/reference.json").read_text())}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Small tensors gain nothing from threads, and threads that wait for a busy machine lose much."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# ---- counts and shapes


class Macs(TorchFunctionMode):
    """Multiply-accumulates of convolutions and linear layers, for one sample."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter(conv=0, linear=0)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name == "batch_norm":  # keeps the shape, and is most of the time without data
            assert args[1].shape == (args[0].shape[1],)
            return args[0]
        result = func(*args, **(kwargs or {}))
        if name == "conv2d":
            self.count["conv"] += args[1][0].numel() * result[0].numel()
        elif name == "linear":
            self.count["linear"] += args[1].numel()
        return result


def parameters_by_kind(net: nn.Module) -> dict[str, int]:
    kinds = Counter(conv_weight=0, conv_bias=0, bn_affine=0, linear_weight=0, linear_bias=0, other=0)
    for part in net.modules():
        for name, parameter in part.named_parameters(recurse=False):
            prefix = {nn.Conv2d: "conv_", nn.Linear: "linear_"}.get(type(part))
            kind = "bn_affine" if isinstance(part, nn.BatchNorm2d) else prefix + name if prefix else "other"
            kinds[kind] += parameter.numel()
    return dict(kinds)


def measure(net: nn.Module, shape: list[int]) -> dict[str, Any]:
    """Everything the reference table says about a network, without computing a number."""
    stages: dict[str, list[int]] = {}
    for name, part in net.named_children():
        part.register_forward_hook(lambda _m, _i, out, name=name: stages.update({name: list(out.shape[1:])}))
    with torch.no_grad(), Macs() as macs:
        out = net.eval()(torch.empty(1, *shape, device="meta"))
    kinds = parameters_by_kind(net)
    return {
        "params_exact": sum(kinds.values()),
        "params_breakdown": kinds,
        "macs_exact": macs.count.total(),
        "macs_breakdown": dict(macs.count),
        "stages": stages,
        "output_shape": list(out.shape[1:]),
    }


@pytest.mark.parametrize("name", REFERENCE)
def test_an_oracle_has_the_counts_and_stages_of_the_reference(name: str) -> None:
    row = REFERENCE[name]
    with torch.device("meta"):
        net = ORACLES[name]()
    measured = measure(net, row["input_shape"])
    stages = dict(zip(row["stage_names"], row["stage_output_shapes"], strict=True))
    assert measured == {key: stages if key == "stages" else row[key] for key in measured}


def test_every_reference_entry_has_an_oracle() -> None:
    assert sorted(ORACLES) == sorted(REFERENCE)
    assert len(ORACLES) == 130


def test_the_counts_that_the_pitfalls_name() -> None:
    """Variants and mistakes have counts of their own, which the transcriptions meet when told to make them."""

    def count(make: Callable[[], nn.Module]) -> int:
        with torch.device("meta"):
            return sum(p.numel() for p in make().parameters())

    assert count(partial(resnet, 20, "B")) == 272_474
    assert count(partial(resnet, 1202, "B")) == 19_424_026
    assert count(partial(resnet, 20, "C")) == 283_962
    assert count(partial(resnet_bottleneck, 110)) == 1_147_738
    assert count(partial(densenet, 40, 12, 24)) == 1_059_298
    assert count(partial(densenet, 190, 40, 24, bc=True)) == 25_005_266


# ---- pytorchcv


def small_ports() -> dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module]]]:
    """One or two small networks a family, so that every run of the tests compares them."""
    pytest.importorskip("pytorchcv")
    from pytorchcv.models import densenet_cifar as dense
    from pytorchcv.models import fractalnet_cifar as fractal
    from pytorchcv.models import nin_cifar as networks_in_networks
    from pytorchcv.models import preresnet_cifar as pre
    from pytorchcv.models import pyramidnet_cifar as pyramids
    from pytorchcv.models import resnet_cifar as residual
    from pytorchcv.models import resnext_cifar as aggregated
    from pytorchcv.models import wrn_cifar as wide

    columns = partial(fractal.CIFARFractalNet, [8, 8, 16, 16, 16], 3, [0.0] * 5, 0.0, 0.0)
    narrow = partial(fractalnet, 3, (8, 8, 16, 16, 16), pool="after")
    return {
        "resnet-20 B": (partial(resnet, 20, "B"), residual.resnet20_cifar10),
        "resnet-29 bottleneck": (partial(resnet_bottleneck, 29), partial(residual.get_resnet_cifar, 10, 29, True)),
        "preresnet-29": (partial(preresnet, 29, stride_in="3x3"), partial(pre.get_preresnet_cifar, 10, 29, True)),
        "wrn-16-2": (partial(wrn, 16, 2), partial(wide.get_wrn_cifar, 10, 16, 2)),
        "wrn-10-1": (partial(wrn, 10, 1), partial(wide.get_wrn_cifar, 10, 10, 1)),
        "densenet-bc-40-12": (partial(densenet, 40, 12, 24, bc=True), dense.densenet40_k12_bc_cifar10),
        "densenet-40-12 halved": (partial(densenet, 40, 12, 24, theta=0.5), dense.densenet40_k12_cifar10),
        "pyramidnet-20 α48": (partial(pyramidnet, 20, 48), partial(pyramids.get_pyramidnet_cifar, 10, 20, 48, False)),
        "pyramidnet-29 α50": (
            partial(pyramidnet, 29, 50, True),
            partial(pyramids.get_pyramidnet_cifar, 10, 29, 50, True),
        ),
        "resnext-11 4×16d": (partial(resnext, 11, 4, 16), partial(aggregated.get_resnext_cifar, 10, 11, 4, 16)),
        "fractalnet": (narrow, columns),
        "nin": (PORTS["nin_c10"].variant or ORACLES["nin_c10"], networks_in_networks.nin_cifar10),
    }


SMALL = [
    "resnet-20 B",
    "resnet-29 bottleneck",
    "preresnet-29",
    "wrn-16-2",
    "wrn-10-1",
    "densenet-bc-40-12",
    "densenet-40-12 halved",
    "pyramidnet-20 α48",
    "pyramidnet-29 α50",
    "resnext-11 4×16d",
    "fractalnet",
    "nin",
]


@pytest.mark.parametrize("name", SMALL)
def test_oracle_and_pytorchcv_compute_the_same(name: str, images: Tensor) -> None:
    oracle, port = (make() for make in small_ports()[name])
    still(oracle), quiet(port)
    match = assert_same(oracle, port, images, 1e-9)
    assert not match.unsure
    assert_same(oracle, port, images, 1e-9, train=True, match=match)


def test_the_shake_shake_of_pytorchcv_is_the_variant_and_not_the_paper(images: Tensor) -> None:
    ports = pytest.importorskip("pytorchcv.models.shakeshakeresnet_cifar")
    port = ports.CIFARShakeShakeResNet([[8] * 2, [16] * 2, [32] * 2], 16, False)
    assert_same(shakeshake_post(14, 8), port, images, 1e-9)
    assert "the networks part at" in differs(shakeshake(14, 8), port, images)


@pytest.mark.parametrize(
    "name", [n for n in PORTS if n.endswith("_c10") and not n.startswith(("resnet1", "preresnet1"))]
)
def test_a_port_has_the_count_of_what_it_is_said_to_be(name: str) -> None:
    pytest.importorskip("pytorchcv")
    port = PORTS[name]
    with torch.device("meta"):
        ours, theirs = (port.variant or ORACLES[name])(), port.make()
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
    assert (port.variant is None) == (port.note == "")


@pytest.mark.prove
@pytest.mark.parametrize("name", [n for n in PORTS if n.endswith("_c10")])
def test_every_port_computes_what_its_oracle_computes(name: str, images: Tensor) -> None:
    pytest.importorskip("pytorchcv")
    port = PORTS[name]
    ours, theirs = still((port.variant or ORACLES[name])()), port.make()
    match = assert_same(ours, theirs, images, 1e-5)
    assert not match.unsure
    if "shakeshake" not in name:
        assert_same(ours, theirs, images, 1e-5, train=True, match=match)


# ---- the comparison notices what it must


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def small() -> nn.Module:
    return resnet(14)


def differs(source: nn.Module, target: nn.Module, images: Tensor, **options: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        assert_same(source, target, images, **options)
    return str(caught.value)


def test_equal_networks_are_equal(images: Tensor) -> None:
    ours, theirs = small(), small()
    for train in (False, True):
        assert not assert_same(ours, theirs, images, 1e-12, train=train).unsure


def test_single_precision_is_compared_too(images: Tensor) -> None:
    assert_same(small(), small(), images, 1e-3, dtype=torch.float32)


def test_two_weights_exchanged_are_noticed(images: Tensor) -> None:
    ours, theirs = small(), small()
    match = copy_weights(ours, theirs, images)
    first, second = theirs.stage1[0].conv1.weight, theirs.stage1[0].conv2.weight
    with torch.no_grad():
        kept = first.clone()
        first.copy_(second), second.copy_(kept)
    assert "output 0: differs" in differs(ours, theirs, images, match=match)


def test_one_changed_running_mean_is_noticed(images: Tensor) -> None:
    ours, theirs = small(), small()
    match = copy_weights(ours, theirs, images)
    theirs.stage3[1].bn2.running_mean[3] += 0.01
    assert "output 0: differs" in differs(ours, theirs, images, match=match)


@pytest.mark.parametrize("train", [False, True])
def test_another_epsilon_is_noticed(images: Tensor, train: bool) -> None:
    theirs = small()
    theirs.stage2[0].bn1.eps = 1e-3
    assert "differs by" in differs(small(), theirs, images, train=train)


def test_another_momentum_shows_in_the_buffers_of_a_training_pass(images: Tensor) -> None:
    theirs = small()
    theirs.stage2[0].bn1.momentum = 0.2
    assert_same(small(), theirs, images)
    assert "buffer stage2.0.bn1.running_mean" in differs(small(), theirs, images, train=True)


def test_a_missing_relu_is_noticed_and_located(images: Tensor) -> None:
    ours, theirs = wrn(10, 1), wrn(10, 1)
    theirs.post[1] = nn.Identity()
    assert "the networks part at fc.weight" in differs(ours, theirs, images)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (partial(resnet, 14), partial(resnet, 14, "plain")),
        (partial(resnet, 14), partial(resnet, 14, where="both")),
        (partial(resnet, 14), partial(stochastic_depth, 14)),
        (partial(preresnet, 11), partial(preresnet, 11, stride_in="3x3")),
        (partial(fractalnet, 3, (4, 4, 4, 4, 4)), partial(fractalnet, 3, (4, 4, 4, 4, 4), pool="after")),
        (partial(fractalnet, 3, (4, 4, 4, 4, 4)), lambda: nested_means(fractalnet(3, (4, 4, 4, 4, 4)))),
        (partial(shakeshake, 8, 8), lambda: unshifted(shakeshake(8, 8))),
        (partial(dsn, 3), ORACLES["nin_c10"]),
    ],
    ids=["no add", "zeros around", "averaged", "stride", "pool", "nested means", "no shift", "another net"],
)
def test_a_wrong_structure_is_noticed(right: Callable[[], nn.Module], wrong: Callable[[], nn.Module]) -> None:
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    differs(still(right()), still(wrong()), images)


def nested_means(net: nn.Module) -> nn.Module:
    """The textbook recursion: joins of two, so that a deep column weighs more."""

    class Nested(Join):
        def forward(self, parts: list[Tensor]) -> Tensor:
            out = parts[0]
            for part in parts[1:]:
                out = (out + part) / 2
            return out

    for part in net.modules():
        if isinstance(part, Join):
            part.__class__ = Nested
    return net


def unshifted(net: nn.Module) -> nn.Module:
    """Both shortcut paths see the same pixels: no count can tell."""
    unit = net.stage2[0].shortcut
    unit.forward = lambda x: unit.bn(torch.cat([c(F.relu(x)[:, :, ::2, ::2]) for c in (unit.conv1, unit.conv2)], 1))
    return net


def test_a_dead_parameter_is_named(images: Tensor) -> None:
    theirs = small()
    theirs.stage1[0].unused = conv(16, 16, 1)
    assert "no forward pass uses: ['stage1.0.unused.weight']" in differs(small(), theirs, images)


def test_a_wrong_gradient_is_noticed_though_outputs_agree(images: Tensor) -> None:
    """Shake's backward coefficient is seen by nothing but the gradients."""

    def shaken(beta: float) -> nn.Module:
        net = shakeshake(8, 8)
        for part in net.modules():
            if isinstance(part, Shake):
                part.fixed = (0.3, beta)
        return net

    assert_same(shaken(0.6), shaken(0.6), images, train=True)
    message = differs(shaken(0.6), shaken(0.3), images, train=True)
    assert "gradient of stem" in message
    assert "output" not in message


# ---- and matches whatever is executed first


class LateTransform(Highway):
    """The same layer, its gate computed before its transform."""

    def forward(self, x: Tensor) -> Tensor:
        t = torch.sigmoid(self.gate(x))
        h = F.relu(self.transform(x))
        return (1 - t) * x + h * t


def test_branches_of_one_shape_are_told_apart_by_what_follows(images: Tensor) -> None:
    ours = nn.Sequential(conv(3, 8), Highway(8, 3), Highway(8, 1), nn.Flatten())
    theirs = nn.Sequential(conv(3, 8), LateTransform(8, 3), LateTransform(8, 1), nn.Flatten())
    match = assert_same(ours, theirs, images, 1e-12)
    assert ("1.transform.weight", "1.transform.weight") in match.pairs
    used = [name for name, _ in ordered_weights(theirs, images)]
    assert used.index("1.gate.weight") < used.index("1.transform.weight")


class Crossed(nn.Module):
    """A shake unit that runs its two branches in lock step, the second one first."""

    def __init__(self, unit: Any) -> None:
        super().__init__()
        self.b, self.a, self.mix, self.shortcut = unit.branch2, unit.branch1, unit.mix, unit.shortcut

    def forward(self, x: Tensor) -> Tensor:
        kept, one, two = self.shortcut(x), x, x
        for k, (a, b) in enumerate(zip(self.a, self.b, strict=True)):
            one, two = (a(one), b(two)) if k % 2 else (b(two), a(one))[::-1]
        return kept + self.mix(one, two)


def test_interchangeable_branches_stay_whole(images: Tensor) -> None:
    ours, theirs = shakeshake(14, 8), shakeshake(14, 8)
    for name in ("stage1", "stage2", "stage3"):
        stage = theirs.get_submodule(name)
        for k, unit in enumerate(stage):
            stage[k] = Crossed(unit)
    assert not assert_same(still(ours), still(theirs), images, 1e-10, train=True).unsure


def test_a_linear_layer_matches_the_convolution_that_it_is() -> None:
    images = torch.randn(2, 3, 5, 5)
    ours = nn.Sequential(nn.Conv2d(3, 7, 5), nn.ReLU(), nn.Flatten(), nn.Linear(7, 4))
    theirs = nn.Sequential(nn.Flatten(), nn.Linear(75, 7), nn.ReLU(), nn.Linear(7, 4))
    assert_same(ours, theirs, images, 1e-12)


def test_bare_parameters_match_by_place(images: Tensor) -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.by = nn.Parameter(torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            return self.by.view(1, 1, 1, 1) * x

    class Scaled(nn.Module):
        def __init__(self, branch: nn.Module) -> None:
            super().__init__()
            self.scale, self.branch = Scale(), branch

        def forward(self, x: Tensor) -> Tensor:
            return self.scale(self.branch(x)) + x

    ours, theirs = weighted_resnet(16), weighted_resnet(16)
    for name in ("stage1", "stage2", "stage3"):
        stage = theirs.get_submodule(name)
        for k, unit in enumerate(stage):
            stage[k] = Scaled(unit.branch) if hasattr(unit, "scale") else unit
    assert not assert_same(ours, theirs, images, 1e-10).unsure


def test_heads_that_exist_while_training_are_compared() -> None:
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    ours, theirs = still(dsn(3)), still(dsn(3))
    match = assert_same(ours, theirs, images, train=True)
    theirs.heads[1][1].bias.data[0] += 1
    assert "output 2: differs" in differs(ours, theirs, images, train=True, match=match)
    assert_same(ours, theirs, images, match=match)


def test_dropout_of_two_implementations_drops_the_same(images: Tensor) -> None:
    with content_dropout():
        assert_same(wrn(10, 1, dropout=0.3), wrn(10, 1, dropout=0.3), images, 1e-12, train=True)
        differs(wrn(10, 1, dropout=0.3), wrn(10, 1, dropout=0.4), images, train=True)


def test_a_source_may_keep_its_weights(images: Tensor) -> None:
    ours, theirs = small().double(), small()
    before = ours.stem[0].weight.clone()
    copy_weights(ours, theirs, images, draw=False)
    assert torch.equal(ours.stem[0].weight, before)
    assert torch.equal(theirs.stem[0].weight, before)


def test_matching_leaves_modules_as_they_were(images: Tensor) -> None:
    ours, theirs = small().double(), small().double()
    before = {name: t.clone() for name, t in ours.state_dict().items()}
    match_weights(ours, theirs, images)
    assert all(torch.equal(t, before[name]) for name, t in ours.state_dict().items())
    assert ours.training
    assert all(p.grad is None for p in ours.parameters())


def test_weights_are_listed_in_the_order_of_their_use(images: Tensor) -> None:
    names = [name for name, _ in ordered_weights(preresnet(11), images)]
    unit = [name for name in names if name.startswith("stage1.0.") and name.endswith("weight")]
    order = ["bn1", "conv1", "bn2", "conv2", "bn3", "conv3", "project"]
    assert unit == [f"stage1.0.{part}.weight" for part in order]
    assert sorted(names) == sorted(preresnet(11).state_dict())


# ---- the random parts


def parts(net: nn.Module, kind: type[Chance]) -> list[Any]:
    return [part for part in net.modules() if isinstance(part, kind)]


def test_survival_is_linear_and_counts_every_unit() -> None:
    survival = [unit.survival for unit in parts(stochastic_depth(110), SurvivingUnit)]
    assert len(survival) == 54
    assert survival[0] == pytest.approx(1 - 0.5 / 54)
    assert survival[-1] == 0.5


def test_a_skipped_unit_keeps_its_relu_and_its_statistics(images: Tensor) -> None:
    unit = parts(stochastic_depth(14), SurvivingUnit)[1]
    x = torch.randn(2, 16, 8, 8)
    unit.fixed = False
    before = unit.branch[1].running_mean.clone()
    assert torch.equal(unit(x), F.relu(x))
    assert torch.equal(unit.branch[1].running_mean, before)
    unit.fixed = True
    assert torch.equal(unit(x), F.relu(x + unit.branch(x)))
    unit.eval()
    assert torch.allclose(unit(x), F.relu(x + unit.survival * unit.branch(x)))


def test_swapout_keeps_with_a_probability_from_one_to_a_half() -> None:
    keeps = [part.keep for part in parts(swapout(), Swap)]
    assert len(keeps) == 15
    assert (keeps[0], keeps[-1]) == (1.0, 0.5)
    ones = torch.ones(4, 8, 16, 16)
    drawn = Swap(0.5)(ones, 10 * ones)
    assert set(drawn.unique().tolist()) == {0.0, 1.0, 10.0, 11.0}
    assert Swap(0.5).eval()(ones, 10 * ones).unique().tolist() == [5.5]


def test_global_drop_path_leaves_one_column(images: Tensor) -> None:
    net = fractalnet(3, (4, 4, 4, 4, 4), dropout=(0.0,) * 5)
    net.fixed = 1
    net(images).sum().backward()
    active = [c for c in range(3) if net.block2.columns[c][0][0].weight.grad is not None]
    assert active == [1]


def test_local_drop_path_never_drops_all() -> None:
    join = Join(1.0)
    drawn = [join.survivors(3) for _ in range(50)]
    assert all(len(alive) == 1 for alive in drawn)
    assert {alive[0] for alive in drawn} == {0, 1, 2}


def test_shake_draws_a_number_per_image_or_per_batch() -> None:
    a, b = torch.ones(8, 2, 2, 2), torch.zeros(8, 2, 2, 2)
    assert len(Shake("shake-shake-image")(a, b).unique()) == 8
    assert len(Shake("shake-shake-batch")(a, b).unique()) == 1
    assert Shake("even-shake-batch")(a, b).unique().tolist() == [0.5]
    keep = Shake("shake-keep-image")
    alpha, beta = keep.coefficients(a)
    assert torch.equal(alpha, beta)


def test_fractional_regions_cover_the_map_and_overlap_by_a_row() -> None:
    assert [out for _, out in sizes()] == [74, 58, 45, 35, 27, 21, 16, 12, 9, 6, 4, 2]
    for size, out in sizes():
        regions = random_regions(size - 1, out)
        assert (regions[0][0], regions[-1][1]) == (0, size - 1)
        assert all(b == c + 1 for (_, b), (c, _) in pairwise(regions))
        assert {b - a for a, b in regions} <= {2, 3}


def test_fractional_pooling_takes_given_regions() -> None:
    pool = FractionalMaxPool(4, 2)
    pool.fixed = ([(0, 2), (1, 4)], [(0, 1), (3, 4)])
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert pool(x).flatten().tolist() == [4.0, 7.0, 12.0, 15.0]
    assert len(parts(fmp(1), FractionalMaxPool)) == 12


@pytest.mark.parametrize("sample", [0.0, 0.3, 0.77])
def test_fractional_regions_of_pytorch_are_reproduced(sample: float) -> None:
    x, samples = torch.randn(2, 3, 25, 25), torch.empty(2, 3, 2)
    samples[..., 0], samples[..., 1] = sample, 0.5
    pool = FractionalMaxPool(25, 18)
    pool.fixed = (torch_regions(25, 18, 0.5), torch_regions(25, 18, sample))
    assert torch.equal(pool(x), F.fractional_max_pool2d(x, 2, output_size=18, _random_samples=samples))


# ---- small facts of the papers


def test_the_partial_table_has_sixty_links() -> None:
    assert [len(links) for links in LINKS] == [3] * 6 + [4] * 9 + [6]
    assert len({tuple(links) for links in LINKS}) == 16
    assert lenet5_original()(torch.zeros(2, 1, 32, 32)).shape == (2, 10)


def test_pyramid_widths_carry_the_exact_number() -> None:
    assert widths(48, 54)[:6] == [17, 18, 19, 20, 20, 21]
    assert [widths(alpha, 54)[-1] for alpha in (48, 84, 270)] == [64, 100, 286]
    assert widths(27, 54)[0] == 17  # 16.5 rounds up


def test_googlenet_has_three_outputs_while_training() -> None:
    with torch.device("meta"):
        net, images = googlenet(aux=True), torch.empty(1, 3, 224, 224)
    assert [tuple(out.shape) for out in net(images)] == [(1, 1000)] * 3
    assert net.eval()(images).shape == (1, 1000)

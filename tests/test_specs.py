"""Every spec is its paper's network: exact counts and stage sizes, and the same function as an independent one."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from oracles.common import still
from oracles.compare import assert_same
from oracles.densenet import densenet
from oracles.fmp import FractionalMaxPool, fmp, sizes, torch_regions
from oracles.fractalnet import fractalnet
from oracles.lenet import lenet5_original
from oracles.ports import PORTS
from oracles.preresnet import preresnet
from oracles.pyramidnet import pyramidnet
from oracles.resnet import resnet, resnet_bottleneck
from oracles.shakeshake import shakeshake, shakeshake_next
from oracles.stochdepth import Unit as StochasticUnit
from oracles.stochdepth import stochastic_depth
from oracles.swapout import swapout
from oracles.table import ORACLES
from oracles.weighted import weighted_resnet
from torch import Tensor, nn
from zoo import REFERENCE, ROOT, Entry, zoo

import archdsl
from archdsl.ir.graph import Chain, Node
from archdsl.ir.verify import verify
from archdsl.train.optimizer import treatments

SPECS = sorted(path.stem for path in (ROOT / "specs").glob("*.arch"))
LONGEST = 45  # lines of a spec, but for tables that are the network
# Whole families whose published recipes, or connection tables, take more; none may grow unseen.
TABLES = {
    "alexnet": 46,
    "densenet": 55,
    "googlenet": 48,
    "lenet-5-1998": 50,
    "pyramidnet": 46,
    "resnet": 49,
    "stochastic-depth": 49,
    "wrn": 70,
}
TOLERANCE = 1e-5

# Networks small enough to be compared as they are in the ordinary tests, and how their random parts are fixed.
SMALL: dict[str, dict[str, object]] = {
    "lenet5_dense_c3": {},
    "lenet5_rgb": {},
    "nin_c10": {},
    "dsn_c10": {},
    "fitnet19_c10": {},
    "allcnn_c_c10": {},
    "highway32_c10_inferred": {},
    "elu11_c100": {},
    "resnet20_A_c10": {},
    "plain20_c10": {},
    "wrn40_1_c10": {},
    "shakeshake26_2x32d_c10": {"forward": "even", "backward": "even"},
    "inception_3a_naive": {},
    "inception_3a_reduced": {},
}
LARGE = (
    *("alexnet_2012", "maxout_c10", "highway19_c10", "elu18_c10", "resnet110_A_c10", "resnet1202_A_c10"),
    *(
        "preresnet164_c10",
        "preresnet1001_c10",
        "wrn16_4_c10",
        "resnet164_bottleneck_c10",
        "stochdepth110_c10",
        "swapout_v2_32_w4_c10",
        "weighted_resnet118_c10",
    ),
    *("resnext29_8x64d_c10", "pyramidnet272_a200_bn_c10", "wrn28_10_c10", "densenet_L100_k24_c48_c10"),
    *("fractalnet_c3_b5_generator_c10", "fractalnet_c3_b5_doubling_c10", "densenet_BC_L100_k12_c10"),
    *("pyramidnet110_a48_c10", "googlenet_aux", "hesun_A", "hesun_D"),
)

THIN = (8, 16, 32, 64, 64)

# The same spec and the same transcription at a size that is quickly compared.
REDUCED: dict[str, tuple[Entry, Callable[[], nn.Module]]] = {
    "resnet_b": (Entry("resnet", {"depth": 14, "option": "B"}), lambda: resnet(14, "B")),
    "resnet_c": (Entry("resnet", {"depth": 14, "option": "C"}), lambda: resnet(14, "C")),
    "resnet_bottleneck": (Entry("resnet-bottleneck", {"depth": 20}), lambda: resnet_bottleneck(20)),
    "preresnet": (Entry("preresnet", {"depth": 20}), lambda: preresnet(20)),
    "preresnet_3x3": (
        Entry("preresnet", {"depth": 20, "stride_in_3x3": True}),
        lambda: preresnet(20, stride_in="3x3"),
    ),
    "stochastic_depth": (Entry("stochastic-depth", {"depth": 14}), lambda: stochastic_depth(14)),
    "stochastic_depth_uniform": (
        Entry("stochastic-depth", {"depth": 14, "uniform": True, "last": 0.8}),
        lambda: stochastic_depth(14, last=0.8, decay=False),
    ),
    "swapout": (Entry("swapout", {"depth": 14, "k": 1}), lambda: swapout(14, 1)),
    "weighted": (Entry("weighted-resnet", {"depth": 16}), lambda: weighted_resnet(16)),
    "shake_even": (
        Entry("shake-shake", {"base": 8, "forward": "even", "backward": "even"}),
        lambda: shakeshake(26, 8),
    ),
    "shake_next": (
        Entry("shake-shake-29-2x4x64d", {"depth": 11, "base": 4, "forward": "even", "backward": "even"}),
        lambda: shakeshake_next(11, 4, 4),
    ),
    "densenet": (
        Entry("densenet", {"depth": 22, "growth": 8, "compact": False, "stem": 16}),
        lambda: densenet(22, 8, 16),
    ),
    "densenet_bc": (Entry("densenet", {"depth": 22, "growth": 8}), lambda: densenet(22, 8, 16, bc=True)),
    "pyramidnet": (Entry("pyramidnet", {"depth": 20, "alpha": 25}), lambda: pyramidnet(20, 25)),
    "pyramidnet_bottleneck": (
        Entry("pyramidnet", {"depth": 20, "alpha": 20, "bottleneck": True}),
        lambda: pyramidnet(20, 20, True),
    ),
    "fractalnet": (Entry("fractalnet", {"width": 8}), lambda: fractalnet(3, THIN)),
    "fractalnet_doubling": (
        Entry("fractalnet", {"width": 8, "widen": True}),
        lambda: fractalnet(3, THIN, doubling=True),
    ),
    "fractalnet_after": (
        Entry("fractalnet", {"width": 8, "pool_first": False}),
        lambda: fractalnet(3, THIN, pool="after"),
    ),
    "fmp": (Entry("fmp", {"k": 4}), lambda: fmp(4)),
}

# pytorchcv's own modules, where they are right or depart in a way that a parameter of the spec shares.
PORTED: dict[str, dict[str, object]] = {
    "resnet20_A_c10": {"option": "B"},
    "preresnet164_c10": {"stride_in_3x3": True},
    "wrn16_4_c10": {},
    "densenet_BC_L100_k12_c10": {},
    "pyramidnet110_a48_c10": {},
    "resnet164_bottleneck_c10": {},
}
PORTED_LARGE: dict[str, dict[str, object]] = {
    "fractalnet_c3_b5_generator_c10": {"pool_first": False},
    "resnet1202_A_c10": {"option": "B"},
    "resnet1001_bottleneck_c10": {},
    "preresnet1001_c10": {"stride_in_3x3": True},
    "wrn28_10_c10": {},
    "wrn40_4_c10": {},
    "densenet_BC_L190_k40_c10": {},
    "densenet_L100_k24_c48_c10": {"theta": 0.5},
    "pyramidnet110_a84_c10": {},
    "pyramidnet272_a200_bn_c10": {},
    "resnext29_8x64d_c10": {},
    "nin_c10": {"padded": True},
}


def test_every_entry_of_the_reference_has_a_spec() -> None:
    assert set(zoo()) == set(REFERENCE)


def _sizes(nodes: Iterable[Node]) -> Iterator[tuple[int, ...]]:
    """Sizes of all tensors in order, those between the layers of a chain included."""
    for node in nodes:
        if isinstance(node.what, Chain):
            yield from _sizes(unit.node for unit in node.what.units())
        yield from (wire.values for wire in node.outputs)


@pytest.mark.parametrize("name", sorted(zoo()))
def test_counts_and_stages_equal_the_reference(name: str) -> None:
    expected = REFERENCE[name]
    network = zoo()[name].load().network
    assert network.cost.params.total == expected["params_exact"]
    assert network.cost.macs.total == expected["macs_exact"]
    sizes = _sizes(network.graph.nodes)
    for stage in expected["stage_output_shapes"]:
        assert tuple(stage) in sizes, f"no stage {stage} (in this order)"


@pytest.mark.parametrize("spec", SPECS)
def test_a_spec_is_short_and_states_an_exact_count(spec: str) -> None:
    text = (ROOT / "specs" / f"{spec}.arch").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= TABLES.get(spec, LONGEST)
    assert "params = " in text
    assert text.startswith('"""')


@pytest.mark.parametrize("spec", SPECS)
def test_a_spec_has_no_findings(spec: str) -> None:
    path = str(ROOT / "specs" / f"{spec}.arch")
    findings = archdsl.load(path).checked.diagnostics
    assert [f.title for f in findings if f.severity.name != "NOTE"] == []


@pytest.mark.parametrize("spec", SPECS)
def test_the_graphs_of_a_spec_do_not_contradict_themselves(spec: str) -> None:
    for network in archdsl.load(str(ROOT / "specs" / f"{spec}.arch")).checked.networks:
        verify(network.graph)


@pytest.mark.parametrize("spec", SPECS)
def test_the_rules_of_a_recipe_find_their_parameters(spec: str) -> None:
    """Names in rules are those of the module; a rule that finds nothing is refused."""
    loaded = archdsl.load(str(ROOT / "specs" / f"{spec}.arch"))
    recipes = [checked.recipe for checked in loaded.checked.recipes if checked.recipe is not None]
    if any(recipe.rules for recipe in recipes):
        with torch.device("meta"):
            module = loaded.build()
        for recipe in recipes:
            assert treatments(module, recipe.rules)


@contextmanager
def _random_parts_off(module: nn.Module, train: bool) -> Iterator[None]:
    """Dropout and drop-path off, layers all alive, masks at their means; the network draws no column."""
    space = type(module).forward.__globals__
    drawn = space.get("draw_column")
    space["draw_column"] = lambda network, x: None
    kept = {part: part.keep for part in module.modules() if type(part).__name__ == "StochasticDepth"}
    for part in module.modules():
        match type(part).__name__:
            case "Join":
                part.drop, part.column = 0.0, None
            case "StochasticDepth" if train:
                part.keep = 1.0
            case "BernoulliMask":
                part.forward = partial(torch.mul, part.keep)
            case "FractionalMaxPool2d":
                part.register_forward_pre_hook(_fix_regions)
    yield still(module)
    space["draw_column"] = drawn
    for part, keep in kept.items():
        part.keep = keep


def _fix_regions(pool: nn.Module, given: tuple[Tensor]) -> None:
    """The same regions for every sample and channel."""
    pool._buffers.pop("_random_samples", None)
    pool._random_samples = given[0].new_full((*given[0].shape[:2], 2), 0.5)


def _still(other: nn.Module) -> nn.Module:
    """A transcription without chance, its fractional pooling at PyTorch's regions."""
    pools = [part for part in other.modules() if isinstance(part, FractionalMaxPool)]
    for pool, (size, out) in zip(pools, sizes(), strict=False):
        pool.fixed = (torch_regions(size - 1, out, 0.5),) * 2
    return still(other)


def _inputs(shape: list[int]) -> torch.Tensor:
    return torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def _same(other: nn.Module, entry: Entry, **parameters: object) -> None:
    spec = entry.load(**parameters)
    module: Any = spec.build()
    inputs = _inputs(list(spec.network.graph.inputs[0].values))
    with _random_parts_off(module, train=False):
        match = assert_same(_still(other), module, inputs, TOLERANCE)
    with _random_parts_off(module, train=True):
        assert_same(other, module, inputs, TOLERANCE, train=True, match=match)


SAME_PADDING = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")


@SAME_PADDING
@pytest.mark.parametrize("name", sorted(SMALL))
def test_same_function_as_an_independent_transcription(name: str) -> None:
    _same(ORACLES[name](), zoo()[name], **SMALL[name])


@pytest.mark.parametrize("name", sorted(REDUCED))
def test_same_function_as_a_transcription_of_its_size(name: str) -> None:
    entry, oracle = REDUCED[name]
    _same(oracle(), entry)


KINDS = ("weight", "bias")
LAYERS = {"C1.0": "conv1", "C5.0": "conv2", "F6.1": "linear"}


def test_same_function_as_the_original_lenet() -> None:
    """Its links are 60 kernels in a row here, and a convolution for each map in the transcription: paired by hand."""
    ours, module = lenet5_original().double(), zoo()["lenet5_1998"].load().build().double()
    theirs = dict(module.named_parameters())
    pairs = {
        **{f"{a}.{kind}": f"{b}.{kind}" for kind in ("weight", "bias") for a, b in LAYERS.items()},
        **{f"{s}.gain": f"{s.lower()}.scale.weight" for s in ("S2", "S4")},
        **{f"{s}.bias": f"{s.lower()}.bias.bias" for s in ("S2", "S4")},
    }
    links = {kind: [n for n, _ in ours.named_parameters() if n.startswith("C3") and n.endswith(kind)] for kind in KINDS}

    def gathered(of: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        named = {n: of(p) for n, p in ours.named_parameters()}
        alike = {b: named[a] for a, b in pairs.items()}
        return alike | {f"conv_table.{kind}": torch.cat([named[n].flatten() for n in links[kind]]) for kind in KINDS}

    torch.manual_seed(1)
    with torch.no_grad():
        ours.out.codes.copy_(module.code_distance.codes)
        for name, value in gathered(lambda p: p.normal_(0, 0.3)).items():
            theirs[name].copy_(value.reshape(theirs[name].shape))
    images = _inputs([1, 32, 32])
    expected, given = -ours(images), module(images)
    assert torch.allclose(expected, given, rtol=1e-12, atol=0)
    for output in (expected, given):
        output.square().sum().backward()
    for name, value in gathered(lambda p: p.grad).items():
        assert torch.allclose(value.reshape(theirs[name].shape), theirs[name].grad, rtol=1e-9, atol=1e-12), name


def test_skipped_layers_are_the_transcription_s() -> None:
    """With every branch closed, stochastic depth leaves shortcuts and ReLUs: no gradient, statistics at rest."""
    entry, oracle = REDUCED["stochastic_depth"]
    other, module = oracle(), entry.load().build()
    inputs = _inputs([3, 32, 32])
    match = assert_same(other, module, inputs, TOLERANCE)
    for part in other.modules():
        if isinstance(part, StochasticUnit):
            part.fixed = False
    for part in module.modules():
        if type(part).__name__ == "StochasticDepth":
            part.keep = 0.0
    assert_same(other, module, inputs, TOLERANCE, train=True, match=match)


@pytest.mark.parametrize("name", sorted(PORTED))
def test_same_function_as_pytorchcv(name: str) -> None:
    _same(PORTS[name].make(), zoo()[name], **PORTED[name])


@SAME_PADDING
@pytest.mark.prove
@pytest.mark.parametrize("name", LARGE)
def test_same_function_as_an_independent_transcription_large(name: str) -> None:
    _same(ORACLES[name](), zoo()[name])


@pytest.mark.prove
@pytest.mark.parametrize("name", sorted(PORTED_LARGE))
def test_same_function_as_pytorchcv_large(name: str) -> None:
    _same(PORTS[name].make(), zoo()[name], **PORTED_LARGE[name])


def test_a_wrong_option_is_noticed() -> None:
    """Negative control: the comparison tells option A from an average-pooling shortcut, which has the same counts."""
    with pytest.raises(AssertionError):
        _same(ORACLES["resnet20_A_c10"](), zoo()["resnet20_A_c10"], option="average")


ALONE = """
import runpy, sys
sys.modules["archdsl"] = None  # importing it fails
import torch
torch.set_num_threads(1)
for path in sys.argv[1:]:
    runpy.run_path(path, run_name="__main__")
"""


def _heavy(path: Path) -> bool:
    """Whether a generated module says of itself that a sample takes more than a thousand million steps."""
    said = re.search(r"([\d,]+) multiply-accumulates", path.read_text(encoding="utf-8"))
    assert said is not None, path
    return int(said[1].replace(",", "")) > 10**9


@pytest.mark.parametrize("heavy", [False, pytest.param(True, marks=pytest.mark.prove)])
def test_generated_modules_run_alone(heavy: bool, tmp_path: Path) -> None:
    """Forward and backward of every generated module, isolated, with archdsl out of reach."""
    files = [str(path) for path in sorted((ROOT / "generated").glob("*.py")) if _heavy(path) == heavy]
    assert files
    done = subprocess.run([sys.executable, "-I", "-c", ALONE, *files], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == len(files)

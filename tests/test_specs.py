"""Every spec is its paper's network: exact counts and stage sizes, and the same function as an independent one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from oracles.common import still
from oracles.compare import assert_same
from oracles.ports import PORTS
from oracles.table import ORACLES
from torch import nn
from zoo import REFERENCE, ROOT, zoo

import archdsl

SPECS = sorted(path.stem for path in (ROOT / "specs").glob("*.arch"))
LONGEST = 45  # lines of a spec
TOLERANCE = 1e-5

# Networks small enough to be compared as they are in the ordinary tests, and how their random parts are fixed.
SMALL: dict[str, dict[str, object]] = {
    "lenet5_dense_c3": {},
    "lenet5_rgb": {},
    "resnet20_A_c10": {},
    "resnet110_A_c10": {},
    "preresnet164_c10": {},
    "wrn16_4_c10": {},
    "wrn40_1_c10": {},
    "densenet_BC_L100_k12_c10": {},
    "densenet_L40_k12_c16_c10": {},
    "pyramidnet110_a48_c10": {},
    "fractalnet_c3_b5_generator_c10": {},
    "shakeshake26_2x32d_c10": {"forward": "even", "backward": "even"},
}
LARGE = ("resnext29_8x64d_c10", "pyramidnet272_a200_bn_c10", "wrn28_10_c10", "resnet1202_A_c10", "preresnet1001_c10")

# pytorchcv's own modules, where they are right or depart in a way that a parameter of the spec shares.
PORTED: dict[str, dict[str, object]] = {
    "resnet20_A_c10": {"option": "B"},
    "preresnet164_c10": {"stride_in_3x3": True},
    "wrn16_4_c10": {},
    "densenet_BC_L100_k12_c10": {},
    "pyramidnet110_a48_c10": {},
    "fractalnet_c3_b5_generator_c10": {"pool_first": False},
}


@pytest.mark.parametrize("name", sorted(zoo()))
def test_counts_and_stages_equal_the_reference(name: str) -> None:
    expected = REFERENCE[name]
    network = zoo()[name].load().network
    assert network.cost.params.total == expected["params_exact"]
    assert network.cost.macs.total == expected["macs_exact"]
    sizes = iter([wire.values for node in network.graph.nodes for wire in node.outputs])
    for stage in expected["stage_output_shapes"]:
        assert tuple(stage) in sizes, f"no stage {stage} (in this order)"


@pytest.mark.parametrize("spec", SPECS)
def test_a_spec_is_short_and_states_an_exact_count(spec: str) -> None:
    text = (ROOT / "specs" / f"{spec}.arch").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST
    assert "params = " in text
    assert text.startswith('"""')


@pytest.mark.parametrize("spec", SPECS)
def test_a_spec_has_no_findings(spec: str) -> None:
    path = str(ROOT / "specs" / f"{spec}.arch")
    findings = archdsl.load(path).checked.diagnostics
    assert [f.title for f in findings if f.severity.name != "NOTE"] == []


@contextmanager
def _random_parts_off(module: nn.Module) -> Iterator[None]:
    """Dropout and drop-path off; the network draws no column."""
    space = type(module).forward.__globals__
    drawn = space.get("draw_column")
    space["draw_column"] = lambda network, x: None
    for part in module.modules():
        if type(part).__name__ == "Join":
            part.drop, part.column = 0.0, None
    yield still(module)
    space["draw_column"] = drawn


def _inputs(name: str) -> torch.Tensor:
    return torch.randn(
        2, *REFERENCE[name]["input_shape"], dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )


def _same(name: str, other: nn.Module, parameters: dict[str, object]) -> None:
    module: Any = zoo()[name].load(**parameters).build()
    with _random_parts_off(module):
        match = assert_same(still(other), module, _inputs(name), TOLERANCE)
        assert_same(other, module, _inputs(name), TOLERANCE, train=True, match=match)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_same_function_as_an_independent_transcription(name: str) -> None:
    _same(name, ORACLES[name](), SMALL[name])


@pytest.mark.parametrize("name", sorted(PORTED))
def test_same_function_as_pytorchcv(name: str) -> None:
    _same(name, PORTS[name].make(), PORTED[name])


@pytest.mark.prove
@pytest.mark.parametrize("name", LARGE)
def test_same_function_as_an_independent_transcription_large(name: str) -> None:
    _same(name, ORACLES[name](), {})


@pytest.mark.prove
@pytest.mark.parametrize("name", ["resnext29_8x64d_c10", "pyramidnet272_a200_bn_c10", "wrn28_10_c10"])
def test_same_function_as_pytorchcv_large(name: str) -> None:
    _same(name, PORTS[name].make(), {})


def test_a_wrong_option_is_noticed() -> None:
    """Negative control: the comparison tells option A from an average-pooling shortcut, which has the same counts."""
    with pytest.raises(AssertionError):
        _same("resnet20_A_c10", ORACLES["resnet20_A_c10"](), {"option": "average"})


ALONE = """
import runpy, sys
sys.modules["archdsl"] = None  # importing it fails
import torch
torch.set_num_threads(1)
for path in sys.argv[1:]:
    runpy.run_path(path, run_name="__main__")
"""


def test_generated_modules_run_alone(tmp_path: Path) -> None:
    """Forward and backward of every generated module, isolated, with archdsl out of reach."""
    files = sorted(str(path) for path in (ROOT / "generated").glob("*.py"))
    assert files
    done = subprocess.run([sys.executable, "-I", "-c", ALONE, *files], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == len(files)

"""The standard library: each block is documented, has a contract, and does in PyTorch what the checker says it does."""

from __future__ import annotations

import re
import types
import warnings

import pytest

from archdsl import pipeline
from archdsl.diagnostic import Diagnostics, Severity
from archdsl.elaborate.load import standard_module, standard_names
from archdsl.elaborate.resolve import resolve
from archdsl.pipeline import Checked
from archdsl.render import text
from archdsl.source import Source
from archdsl.syntax import ast

# How each block is used once, on maps [16, 8, 8], and what comes out.
USES = {
    "conv_relu": ("conv_relu(8, 3)", (8, 8, 8)),
    "conv_bn": ("conv_bn(8, 1, stride=2)", (8, 4, 4)),
    "conv_bn_relu": ("conv_bn_relu(8)", (8, 8, 8)),
    "dense_layer": ("dense_layer(4, drop=0.2)", (20, 8, 8)),
    "dense_bottleneck": ("dense_bottleneck(4)", (20, 8, 8)),
    "transition": ("transition(0.5)", (8, 4, 4)),
    "fractal_conv": ("fractal_conv(8, 0.1)", (8, 8, 8)),
    "fractal": ("fractal(3, 8)", (8, 8, 8)),
    "preact_basic": ("preact_basic(32, stride=2)", (32, 4, 4)),
    "preact_bottleneck": ("preact_bottleneck(32, stride=2)", (32, 4, 4)),
    "wide": ("wide(32, stride=2, drop=0.3)", (32, 4, 4)),
    "zero_pad_shortcut": ("zero_pad_shortcut(20, 2)", (20, 4, 4)),
    "pyramidal": ("pyramidal(20, stride=2)", (20, 4, 4)),
    "pyramidal_bottleneck": ("pyramidal_bottleneck(5, stride=2)", (20, 4, 4)),
    "shortcut": ('shortcut(32, 2, "B")', (32, 4, 4)),
    "basic": ("basic(32, stride=2)", (32, 4, 4)),
    "plain": ("plain(32, stride=2)", (32, 4, 4)),
    "bottleneck": ("bottleneck(32, stride=2)", (32, 4, 4)),
    "resnext": ("resnext(32, 16, cardinality=4, stride=2)", (32, 4, 4)),
    "resnext_branches": ("resnext_branches(32, 16, cardinality=4, stride=2)", (32, 4, 4)),
    "shake_shortcut": ("shake_shortcut(32, 2)", (32, 4, 4)),
    "shake": ("shake(32, stride=2)", (32, 4, 4)),
    "shake_resnext": ("shake_resnext(32, 16, stride=2)", (32, 4, 4)),
    "conv_fmp": ("conv_fmp(8, 5)", (8, 5, 5)),
    "highway": ("highway", (16, 8, 8)),
    "inception_naive": ("inception_naive(4, 4, 2)", (26, 8, 8)),
    "inception": ("inception(4, 3, 4, 2, 3, 5)", (16, 8, 8)),
    "auxiliary_head": ("auxiliary_head(10)", (10,)),
    "maxout_conv": ("maxout_conv(8, 3, drop=0.2)", (8, 8, 8)),
    "maxout_linear": ("flatten -> maxout_linear(8)", (8,)),
    "pointwise": ("pointwise(8, 4)", (4, 8, 8)),
    "mlpconv": ("mlpconv(8, 6, 4, 3)", (4, 8, 8)),
    "convolutions": ("convolutions(32, stride=2)", (32, 4, 4)),
    "stochastic_basic": ("stochastic_basic(32, stride=2, keep=0.8)", (32, 4, 4)),
    "swapout": ("swapout(32, stride=2, keep=0.8)", (32, 4, 4)),
    "weighted": ("weighted", (16, 8, 8)),
}
# What each function is worth: an expression that must hold.
FUNCTIONS = {
    "additive": "additive(16, 48, 1, 9) == 21 and additive(16, 48, 9, 9) == 64",
    "group": "len([group(conv(kernel=3), 3, 16)]) == 1",
    "linear_decay": "linear_decay(1, 2) == 0.75 and linear_decay(54, 54) == 0.5",
}


def _module(name: str) -> tuple[Source, ast.File]:
    module = standard_module(name)
    assert module is not None
    return module.source, module.file


BLOCKS = {d.name.text: (m, d) for m in standard_names() for d in _module(m)[1].declarations if isinstance(d, ast.Block)}
FNS = {d.name.text: m for m in standard_names() for d in _module(m)[1].declarations if isinstance(d, ast.Function)}


def _checked(name: str) -> Checked:
    use, _ = USES[name]
    source = Source(
        "use.arch",
        f"import {BLOCKS[name][0]} {{ {name} }}\n\n"
        f"network Use() {{\n    input maps: [16, 8, 8]\n    output = maps -> {use}\n}}\n",
    )
    checked = pipeline.check(source)
    assert not checked.diagnostics.has_errors, text(checked.diagnostics)
    return checked


def test_every_block_and_function_is_used_here() -> None:
    assert set(BLOCKS) - set(USES) == set(), "a new block wants a row in USES"
    assert set(FNS) - set(FUNCTIONS) == set(), "a new function wants a row in FUNCTIONS"
    assert set(USES) | set(FUNCTIONS) <= set(BLOCKS) | set(FNS)


@pytest.mark.parametrize("name", standard_names())
def test_a_module_is_documented_and_its_names_are_known(name: str) -> None:
    module = standard_module(name)
    assert module is not None
    bag = Diagnostics()
    resolve(module, bag)
    assert not len(bag), text(bag)
    assert module.file.doc is not None
    assert module.file.doc.value.partition("\n")[0].endswith(".")


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_a_block_has_its_paper_and_a_contract(name: str) -> None:
    module, block = BLOCKS[name]
    assert block.doc is not None
    assert block.contract is not None
    file_doc = _module(module)[1].doc
    assert file_doc is not None
    assert re.search(r"arXiv|et al\.|section|\b(19|20)\d\d\b", block.doc.value + file_doc.value), "no source is named"


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_a_block_gives_what_it_promises(name: str) -> None:
    assert _checked(name).networks[0].graph.outputs[0].values == USES[name][1]


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_a_block_runs_in_torch(name: str) -> None:
    """Shapes, parameters and multiply-accumulates are those of the running module; every weight gets a gradient."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    checked = _checked(name)
    network = checked.networks[0]
    module = types.ModuleType("generated")
    exec(pipeline.emit(checked, network), module.__dict__)
    torch.manual_seed(0)
    model = module.Use()
    assert sum(p.numel() for p in model.parameters()) == network.cost.params.total
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model.eval()
        assert tuple(model(torch.randn(1, 16, 8, 8)).shape[1:]) == USES[name][1]
    assert counter.get_total_flops() == 2 * network.cost.macs.total
    model.train()
    maps = torch.randn(4, 16, 8, 8, requires_grad=True)
    model(maps).square().mean().backward()
    assert maps.grad is not None
    if name not in ("fractal", "stochastic_basic"):  # random ones leave weights out
        assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function(name: str) -> None:
    source = Source(
        "use.arch",
        f"import {FNS[name]} {{ {name} }}\n\nnetwork Use() {{\n    input maps: [16, 8, 8]\n"
        f"    require {FUNCTIONS[name]}\n    output = maps -> relu\n}}\n",
    )
    found = [d for d in pipeline.check(source).diagnostics if d.severity is Severity.ERROR]
    assert not found, text(found)


def test_a_group_strides_once() -> None:
    source = Source(
        "use.arch",
        "import std.stage { group }\nimport std.residual { basic }\n\nnetwork Use() {\n    input maps: [16, 8, 8]\n"
        "    output: [32, 4, 4] = maps -> group(basic, 3, 32, stride=2)\n}\n",
    )
    checked = pipeline.check(source)
    assert not checked.diagnostics.has_errors, text(checked.diagnostics)
    assert checked.networks[0].cost.depth == 6

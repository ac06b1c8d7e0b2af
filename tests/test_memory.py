"""What training holds, said before running: kept tensors, parameters, gradients, the optimiser's state; and measured.

Kept tensors are measured on the CPU through saved-tensor hooks, by storage. Views are where it is hard: a layer reads
them as they lie or copies them first, and keeps the one or the other.
"""

from __future__ import annotations

import time
import weakref

import pytest
import torch
from soak import Tally
from torch import nn
from zoo import ROOT

import archdsl
from archdsl.verify import kept_bytes

SPECS = sorted(path.stem for path in (ROOT / "specs").glob("*.arch"))
LIGHT = (
    *("all-cnn-c", "dsn", "elu-11", "highway-32", "inception", "inception-naive", "lenet-5", "lenet-5-1998"),
    *("nin", "plain", "resnet", "resnet-20", "shake-shake-26-2x32d", "wrn-16-4", "densenet-40-12", "fractalnet"),
    *("stochastic-depth", "swapout", "weighted-resnet", "maxout", "pyramidnet-110-a48", "preresnet-164"),
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel"),
    pytest.mark.usefixtures("one_thread"),
]


def alive(module: nn.Module) -> nn.Module:
    """The static number is of a pass in which every layer survives."""
    for layer in module.modules():
        if type(layer).__name__ == "StochasticDepth":
            layer.keep = 1.0  # type: ignore[assignment]
    return module


def hold(spec: str, *batches: int) -> int:
    """Said and measured agree to the byte, where 5 % are asked for; how many networks that were."""
    checked = archdsl.load(str(ROOT / "specs" / f"{spec}.arch")).checked
    networks = {network.name: network for network in reversed(checked.networks)}
    for network in networks.values():
        module = alive(archdsl.Spec(checked, network).build())
        for batch in batches:
            inputs = [torch.rand(batch, *wire.values) for wire in network.graph.inputs]
            assert network.cost.memory.kept.at(batch) == kept_bytes(module, inputs)
    return len(networks)


def test_every_light_spec_is_one() -> None:
    assert set(LIGHT) <= set(SPECS)


@pytest.mark.parametrize("spec", LIGHT)
def test_kept_tensors_are_what_autograd_keeps(spec: str) -> None:
    hold(spec, 2)


@pytest.mark.prove
@pytest.mark.promised("kept memory", of="networks of specs, with default arguments, batches of 2 and 4")
@pytest.mark.parametrize("spec", SPECS)
def test_kept_tensors_are_what_autograd_keeps_in_every_spec(spec: str, soak: Tally) -> None:
    began = time.process_time()
    soak.cases = hold(spec, 2, 4)
    soak.worst = time.process_time() - began


def test_a_byte_too_much_is_noticed() -> None:
    """Negative control: a network that keeps one more tensor than the spec says."""
    network = archdsl.load(str(ROOT / "specs" / "lenet-5.arch"))
    module, images = network.build(), torch.rand(2, 1, 32, 32)
    said = network.cost.memory.kept.at(2)
    assert kept_bytes(module, [images]) == said
    module.register_forward_hook(lambda one, given, out: out.sigmoid())  # keeps its result; the network's is not kept
    assert kept_bytes(module, [images]) == said + 2 * 10 * 4


@pytest.mark.parametrize("name", ["sgd", "sgd_plain", "rmsprop", "adagrad", "adam", "adamw"])
@pytest.mark.parametrize("spec", ["lenet-5", "stochastic-depth"])
def test_the_rest_of_a_training_step(spec: str, name: str) -> None:
    """Parameters, gradients and the optimiser's state after one step; a count of steps is not counted."""
    network = archdsl.load(str(ROOT / "specs" / f"{spec}.arch"), {"depth": 8} if spec != "lenet-5" else None)
    module = alive(network.build())
    inputs = [torch.rand(2, *wire.values) for wire in network.network.graph.inputs]
    module(*inputs).sum().backward()
    optimizer = OPTIMIZERS[name](module)
    optimizer.step()
    parameters = list(module.parameters())
    states = [t for state in optimizer.state.values() for k, t in state.items() if torch.is_tensor(t) and k != "step"]
    grads = [p.grad for p in parameters if p.grad is not None]
    memory = network.cost.memory
    assert (memory.weights, memory.gradients) == (size(parameters), size(grads))
    assert memory.state(name) == size(states)
    assert memory.training(2, name) == memory.kept.at(2) + size(parameters) + size(grads) + size(states)


def size(tensors: list[torch.Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


OPTIMIZERS = {
    "sgd": lambda m: torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9),
    "sgd_plain": lambda m: torch.optim.SGD(m.parameters(), lr=0.1),
    "rmsprop": lambda m: torch.optim.RMSprop(m.parameters()),
    "adagrad": lambda m: torch.optim.Adagrad(m.parameters()),
    "adam": lambda m: torch.optim.Adam(m.parameters()),
    "adamw": lambda m: torch.optim.AdamW(m.parameters()),
}


def test_what_is_measured_is_let_go() -> None:
    """No tensor of a measured pass outlives it: a hundred networks are measured by one process."""
    module = archdsl.load(str(ROOT / "specs" / "lenet-5.arch")).build()
    seen: list[weakref.ref[torch.Tensor]] = []
    *_, last = module.children()  # it reads what a ReLU gave and keeps
    last.register_forward_hook(lambda layer, given, out: seen.append(weakref.ref(given[0])))
    kept_bytes(module, [torch.rand(2, 1, 32, 32)])
    assert [reference() for reference in seen] == [None]


# Layers behind views that do not lie plainly, and what they are made of.
VIEWS = {
    "flatten copies rows of a part": "x -> slice(1, 3, axis=1) -> flatten -> linear(3)",
    "flatten sees channels of a part": "x -> slice(1, 3) -> flatten -> linear(3)",
    "flatten copies every second pixel": "x -> subsample(2) -> flatten -> linear(3)",
    "flatten copies what is left of a border": "x -> crop(1) -> flatten -> linear(3)",
    "flatten copies channels last": "x -> permute([1, 2, 0]) -> permute([2, 0, 1]) -> permute([1, 2, 0]) -> flatten -> linear(3)",
    "a convolution hands on channels last": (
        "x -> reshape([6, 6, 4]) -> permute([2, 0, 1]) -> conv(5, 3) -> bn -> relu -> max_pool(2) -> flatten -> linear(2)"
    ),
    "a function of each number keeps the order": "x -> permute([0, 2, 1]) -> tanh -> flatten -> linear(3)",
    "a sum takes the order of its first part": "(x -> permute([0, 2, 1])) + x -> flatten -> linear(3)",
    "a list is copied for its linear map": "x -> reshape([4, 36]) -> permute([1, 0]) -> linear(3) -> flatten",
    "part of a list is seen by its linear map": "x -> reshape([4, 36]) -> slice(2, 8, axis=1) -> linear(3) -> flatten",
    "attention copies a list": "x -> reshape([4, 36]) -> permute([1, 0]) -> attention(2) -> flatten",
    "a group norm copies a part": "x -> subsample(2) -> gn(2) -> flatten -> linear(3)",
    "an instance norm copies a part": "x -> crop(1) -> instance_norm -> flatten -> linear(3)",
    "a norm of layers does not": "x -> crop(1) -> ln(3) -> flatten -> linear(3)",
    "a learned list is copied for every sample": "x -> flatten -> linear(2) -> bias(init=1)",
    "layouts turn from unit to unit": "x -> (permute([0, 2, 1]) -> tanh) * 5 -> flatten -> linear(3)",
    "part of a vector is seen as a map": "x -> flatten -> slice(0, 36) -> reshape([4, 3, 3]) -> gn(2) -> flatten -> linear(2)",
    "a layer that survives hands on its layout": (
        "x -> stochastic_depth(conv(2, 3) -> permute([1, 2, 0]), 0.5) -> tanh -> flatten -> linear(3)"
    ),
    "layouts turn in threes": "x -> reshape([6, 6, 4]) -> conv(6, 1) -> (permute([1, 2, 0]) -> tanh) * 7 -> flatten -> linear(3)",
}


@pytest.mark.parametrize("case", VIEWS)
def test_views_are_copied_where_torch_copies_them(case: str) -> None:
    text = (
        f"network Net() {{\n    input image: [4, 6, 6]\n    x = image -> conv(4, 3)\n    output = {VIEWS[case]}\n}}\n"
    )
    network = archdsl.loads(text)
    for batch in (2, 5):
        found = kept_bytes(alive(network.build()), [torch.rand(batch, 4, 6, 6)])
        assert network.cost.memory.kept.at(batch) == found


def test_a_part_handed_out_is_kept_whole() -> None:
    """What leaves a network as a view holds the memory that it looks into."""
    text = "network Net() {\n    input image: [4, 6, 6]\n    output = image -> conv(4, 3) -> relu -> slice(0, 1)\n}\n"
    network = archdsl.loads(text)
    assert network.cost.memory.kept.at(2) == kept_bytes(network.build(), [torch.rand(2, 4, 6, 6)])
    assert network.cost.memory.kept.per_sample == 2 * 4 * 4 * 36

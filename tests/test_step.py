"""The memory of a training step, added up by hand, and as torch counts it for stacks of layers by chance."""

from __future__ import annotations

import pytest
import torch
from profiled import taken
from promises.members import stack_of

import archdsl
from archdsl.analyses.layers import Layer, Layers, TooManyLayers
from archdsl.analyses.step import step
from archdsl.analyses.walk import product

BATCH = 16
SHORT = """
network Net() {
    input image: [3, 32, 32]
    h = image -> conv(1, 3)
    k = h -> tanh
    output = (k -> sigmoid) + h -> global_avg_pool -> linear(10)
}
"""


def test_by_hand():
    """In maps of 4 KiB, when the sum is made: the image, normalised and as bytes, `h` by its name, `k` and the sigmoid,
    which autograd keeps, and the sum; of the mean, which the linear map keeps, four bytes.

    Backwards, at the tanh, `k` is kept, and there are its gradient, that of `h` before it, and the one of `h` that waits.
    """
    assert step(archdsl.loads(SHORT).network.graph) == 4096 * 3 + 1024 * 3 + 4096 * 4 + 4


def test_gradients_pass_through_a_class_from_outside():
    """What it keeps nobody knows; what the tanh before it keeps, and two gradients on the way, are there."""
    text = """extern Own(width): [C, H, W] -> [width, H, W] = "own:Own", params = 0
network Net() {
    input image: [1, 32, 32]
    output = image -> conv(8, 1) -> tanh -> Own(2)
}
"""
    assert step(archdsl.loads(text).network.graph) == 4096 + 1024 + 8 * 4096 + 2 * 8 * 4096


def test_a_run_of_equal_layers_is_gone_through_at_once():
    """A million functions that keep a map of 4 KiB each, and two gradients on the way."""
    text = "network Net() {\n    input image: [1, 32, 32]\n    output = image -> conv(1, 1) -> tanh * 1_000_000\n}\n"
    assert step(archdsl.loads(text).network.graph) == 4096 + 1024 + 4096 * (1_000_000 + 2)


def test_more_layers_than_anybody_waits_for_are_refused():
    """Twice as many with each block: half a million."""
    blocks = [f"block B{n}() {{\n    out = in -> B{n - 1}() -> B{n - 1}()\n}}\n" for n in range(1, 20)]
    net = "network Net() {\n    input image: [1, 32, 32]\n    output = image -> conv(1, 1) -> B19()\n}\n"
    text = "block B0() {\n    out = in -> relu\n}\n" + "".join(blocks) + net
    with pytest.raises(TooManyLayers):
        step(archdsl.loads(text).network.graph)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("seed", range(1, 81, 2))
def test_as_torch_counts_it(seed: int):
    """No byte less, and no more than three in a hundred too many.

    Batch norm makes the gradient of its input twice, writes to one of them, and so takes memory for one; what weights
    take in any case is told apart by a second batch.
    """
    spec = archdsl.loads(stack_of(seed))
    module = spec.build().train().to(memory_format=torch.channels_last)
    layers = [event for event in Layers.of(spec.network.graph).events if isinstance(event, Layer)]
    unwritten = 4 * max((product(one.shapes[0]) for one in layers if one.name in ("bn", "instance_norm")), default=0)

    def once(batch: int) -> int:
        image = torch.rand(batch, 3, 32, 32).contiguous(memory_format=torch.channels_last)
        labels = torch.zeros(batch, dtype=torch.long)
        for weight in module.parameters():
            weight.grad = None
        return taken(lambda: torch.nn.functional.cross_entropy(module(image), labels).backward())[0]

    once(BATCH)
    measured = (once(3 * BATCH) - once(BATCH)) / (2 * BATCH) + 5 * 3 * 32 * 32
    told = step(spec.network.graph)
    assert told >= 0.99 * measured - unwritten
    assert told <= 1.03 * measured

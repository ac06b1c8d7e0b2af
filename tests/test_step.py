"""What the analysis of a training step knows of torch, held against torch; what it adds up is in `promises/test_r35_memory.py`."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import archdsl
from archdsl.analyses import step
from archdsl.analyses.walk import applications

LAYERS = """
conv(8, 3) | depthwise(3) | conv_transpose(8, 3) | conv_table([[0, 1], [2, 3]], 3) | bn | ln(3) | gn(4) | instance_norm | lrn(5) | relu
prelu | elu | tanh | softmax | maxout(2) | scale | affine(2, 1) | dropout(0.5) | channel_dropout(0.5) | bernoulli_mask(0.5) | max_pool(2)
avg_pool(2) | adaptive_avg_pool(4) | slice(0, 32) | subsample(2) | crop(1) | upsample(2) | pixel_shuffle(2) | channel_shuffle(4)
zero_pad(1) | reflect_pad(1) | shift(1, 0) | reshape([32, 32, 16])
"""


def plainly(tensor: Tensor) -> bool:
    """Parts of a tensor that lies channels last lie so, too."""
    return tensor.stride(1) != 1


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("layer", [layer.strip() for layer in LAYERS.replace("\n", "|").split("|") if layer.strip()])
def test_maps_and_gradients_lie_as_the_analysis_has_it(layer: str) -> None:
    """Channels last goes in; a gradient of either kind comes back."""
    spec = archdsl.loads(f"network Net() {{\n    input image: [64, 16, 16]\n    output = image -> {layer}\n}}\n")
    module = spec.build().train()
    image = torch.rand(4, 64, 16, 16).contiguous(memory_format=torch.channels_last).requires_grad_()
    taken = image * 1
    back: list[Tensor] = []
    taken.register_hook(back.append)
    out = module(taken)
    layers = applications(spec.network.graph)
    assert plainly(out) == step._plain_after(layers, False)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        gradient = torch.rand(out.shape).contiguous(memory_format=memory_format)
        out.backward(gradient, retain_graph=True)
        assert plainly(back[-1]) == step._widest(layers, [False], plainly(gradient))[1]


def test_gradients_of_other_ways_wait() -> None:
    """While the tanh is passed, the gradient of what it will be added to is there: a map of 4 KiB."""
    parts = "h = image -> conv(1, 3)\n    k = h -> tanh\n    m = k -> sigmoid\n    output = m + h"
    graph = archdsl.loads(f"network Net() {{\n    input image: [3, 32, 32]\n    {parts}\n}}\n").network.graph
    assert step._waiting(graph) == [0, 4096, 4096, 0]

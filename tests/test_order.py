"""What the analysis of a training step knows of torch: in which order maps and gradients lie, and what is copied for it.

Each layer gets a map of either order, and a gradient of either order, whole or a part of a larger one; the bytes that
its passes take are those that torch's own profiler counts. What they add up to is in `promises/test_r35_memory.py`.
"""

from __future__ import annotations

from itertools import product

import pytest
import torch
from profiled import taken
from torch import Tensor, nn

import archdsl
from archdsl.analyses.layers import Layer, Layers
from archdsl.analyses.order import Passage, back_plainly, copied_backwards, out_plainly, passing_forwards
from archdsl.analyses.step import hands_back

LAYERS = """
conv(64, 3) | conv(64, 1) | conv(64, 3, groups=4) | depthwise(3) | conv_transpose(64, 3) | bn | ln(3) | gn(4) | instance_norm
instance_norm(affine=true) | lrn(5) | relu | relu6 | leaky_relu | prelu | prelu(per="channel") | elu | selu | gelu
gelu(approximate="tanh") | silu | sigmoid | tanh | hard_sigmoid | hard_swish | hard_tanh | softmax | maxout(2) | maxout(4) | scale
bias | affine(2, 1) | dropout(0.5) | channel_dropout(0.5) | bernoulli_mask(0.5) | max_pool(2) | max_pool(3, stride=2, padding=1)
avg_pool(2) | avg_pool(3, stride=1, padding=1) | adaptive_avg_pool(4) | adaptive_max_pool(4) | slice(0, 32) | subsample(2) | crop(1)
pixel_shuffle(2) | pixel_unshuffle(2) | channel_shuffle(4) | zero_pad(1) | reflect_pad(1) | channel_pad(80) | shift(1, 0)
fractional_max_pool(2, ratio=0.7) | upsample(2) | global_avg_pool | global_max_pool | flatten | reshape([32, 32, 16])
"""
IMAGE, BATCH = (64, 16, 16), 16
MAP = 4 * BATCH * 64 * 16 * 16
# Torch makes the gradient of a batch norm's input twice, and writes to one of them: what is not written takes no memory.
UNWRITTEN = ("bn", "instance_norm")
# What a local response norm keeps is let go on the way, which is not seen where it was made before.
LET_GO = ("lrn",)


def plainly(tensor: Tensor) -> bool:
    """Parts of a tensor that lies channels last lie so, too."""
    return tensor.dim() != 4 or tensor.stride(1) != 1


def gradient(out: Tensor, *, plain: bool, part: bool) -> Tensor:
    """Of that order, or the first half of the channels of one."""
    shape = (out.shape[0], out.shape[1] * (1 + part), *out.shape[2:])
    order = torch.contiguous_format if plain else torch.channels_last
    return torch.rand(shape).contiguous(memory_format=order)[:, : out.shape[1]]


def learned(module: nn.Module) -> int:
    """Bytes of the gradients of weights, of copies of weights, and of what they are added up from."""
    return 3 * sum(4 * weight.numel() for weight in module.parameters()) + MAP // 16


@pytest.fixture(params=[layer.strip() for layer in LAYERS.replace("\n", "|").split("|") if layer.strip()])
def layer(request: pytest.FixtureRequest) -> tuple[Layer, nn.Module]:
    """One layer of a network that is nothing else, and its module."""
    spec = archdsl.loads(
        f"network Net() {{\n    input image: [64, 16, 16]\n    output = image -> {request.param}\n}}\n"
    )
    found = next(event for event in Layers.of(spec.network.graph).events if isinstance(event, Layer))
    return found, spec.build().train().to(memory_format=torch.channels_last)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("plain", [False, True])
def test_forwards(layer: tuple[Layer, nn.Module], plain: bool):
    """What a layer takes beside its output and what it keeps, and how the output lies."""
    one, module = layer
    image = gradient(torch.empty(BATCH, *IMAGE), plain=plain, part=False).requires_grad_()
    most, out = taken(lambda: module(image))
    if out.dim() == 4:
        assert plainly(out) == out_plainly(one.name, plain=plain)
    saved = one.op.saved(one.shapes, one.attrs)
    told = BATCH * (saved.per_sample + 4 * passing_forwards(one.name, *one.numbers, plain=plain)) + 4 * out.numel()
    if one.name != "upsample":  # copies a plain map, which no network that has a convolution hands it
        assert most <= told + learned(module)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize(("plain", "back", "part"), list(product((False, True), repeat=3)))
def test_backwards(layer: tuple[Layer, nn.Module], plain: bool, back: bool, part: bool):
    """What it takes beside the gradient that comes in, how that which goes out lies, and that no byte too much is told."""
    one, module = layer
    image = gradient(torch.empty(BATCH, *IMAGE), plain=plain, part=False).requires_grad_()
    out = module(image)
    if out.dim() == 2 and (part or not back):
        return
    coming = gradient(out, plain=back, part=part)
    most, (going, *_) = taken(lambda: torch.autograd.grad(out, [image, *module.parameters()], coming))
    passage = Passage(*one.numbers, plain, back, part)
    if not hands_back(one, plain=back):
        assert plainly(going) == back_plainly(one.name, passage)
    saved = one.op.saved(one.shapes, one.attrs)
    own = 0 if hands_back(one, plain=back) else MAP
    told = own + BATCH * (saved.workspace + 4 * copied_backwards(one.name, passage))
    unseen = MAP if one.name in UNWRITTEN + LET_GO else 0
    assert told - learned(module) <= most <= told + unseen + learned(module)

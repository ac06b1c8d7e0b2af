"""Source text of the classes and functions that generated modules carry along where they use them.

Each is complete by itself but for `import torch`, `from torch import Tensor, nn`, `import torch.nn.functional as F`,
and the other helpers that `NEEDS` names. None keeps anything between two forward passes but the column that
`draw_column` hands to the joins of one network.
"""

from __future__ import annotations

from collections.abc import Iterable

HELPERS: dict[str, str] = {
    "TableConv2d": '''\
class TableConv2d(nn.Module):
    """Convolution in which output map o sees only the input maps `table[o]`; one kernel for each such link."""

    def __init__(
        self,
        in_channels: int,
        table: list[list[int]],
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        height, width = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        links = [(o, i) for o, inputs in enumerate(table) for i in inputs]
        fan_in = torch.tensor([float(len(table[o]) * height * width) for o, _ in links])
        bound = fan_in.rsqrt().view(-1, 1, 1)
        self.shape = (len(table), in_channels, height, width)
        self.stride, self.padding = stride, padding
        self.register_buffer("outputs", torch.tensor([o for o, _ in links]), persistent=False)
        self.register_buffer("inputs", torch.tensor([i for _, i in links]), persistent=False)
        self.weight = nn.Parameter((2 * torch.rand(len(links), height, width) - 1) * bound)
        self.bias = nn.Parameter(torch.zeros(len(table))) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.new_zeros(self.shape).index_put((self.outputs, self.inputs), self.weight)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)
''',
    "CodeDistance": '''\
class CodeDistance(nn.Module):
    """Squared distances to fixed codes of +1 and -1, written as numbers of `bits` bits, the highest first."""

    def __init__(self, codes: list[list[int]], bits: int = 1) -> None:
        super().__init__()
        places = torch.arange(bits - 1, -1, -1)
        ones = (torch.tensor(codes).unsqueeze(2) >> places) & 1
        self.register_buffer("codes", 2.0 * ones.flatten(1) - 1, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x.unsqueeze(1) - self.codes).square().sum(2)
''',
    "SelfAttention": '''\
class SelfAttention(nn.Module):
    """Multi-head self-attention on lists of positions, (batch, positions, channels)."""

    def __init__(self, channels: int, heads: int, bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels, bias=bias)
        self.out = nn.Linear(channels, channels, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(*qkv)  # (batch, heads, positions, channels / heads)
        return self.out(y.transpose(1, 2).flatten(2))
''',
    "Maxout": '''\
class Maxout(nn.Module):
    """The maximum over each group of `pieces` consecutive channels."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (-1, self.pieces)).amax(2)
''',
    "Scale": '''\
class Scale(nn.Module):
    """The product with a learned tensor, which broadcasts over each sample."""

    def __init__(self, *shape: int, init: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full(shape, float(init)))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x
''',
    "Bias": '''\
class Bias(nn.Module):
    """The sum with a learned tensor, which broadcasts over each sample."""

    def __init__(self, *shape: int, init: float = 0.0) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.full(shape, float(init)))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias
''',
    "Affine": '''\
class Affine(nn.Module):
    """A constant factor and summand."""

    def __init__(self, scale: float = 1.0, shift: float = 0.0) -> None:
        super().__init__()
        self.scale, self.shift = scale, shift

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x + self.shift
''',
    "BernoulliMask": '''\
class BernoulliMask(nn.Module):
    """Keeps each number with probability `keep` in training, without rescaling; `keep` times it in evaluation."""

    def __init__(self, keep: float) -> None:
        super().__init__()
        self.keep = keep

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.keep * x
        return torch.bernoulli(torch.full_like(x, self.keep)) * x
''',
    "StochasticDepth": '''\
class StochasticDepth(nn.Module):
    """`layer` with probability `keep` in training and zero otherwise; `keep` times `layer` in evaluation.

    With one draw for the mini-batch a closed layer is not evaluated: no gradient reaches it and its batch statistics
    rest. `shape` is the layer's output without the batch, where it differs from the input. With `rescale` training
    divides by `keep`, and evaluation is the plain layer.
    """

    def __init__(
        self,
        layer: nn.Module,
        keep: float,
        shape: tuple[int, ...] | None = None,
        per: str = "batch",
        rescale: bool = False,
    ) -> None:
        super().__init__()
        self.layer, self.keep, self.shape = layer, keep, shape
        self.per, self.rescale = per, rescale

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.layer(x) if self.rescale else self.keep * self.layer(x)
        if self.per == "batch" and torch.rand(()) >= self.keep:
            return x.new_zeros(x.shape if self.shape is None else (len(x), *self.shape))
        y = self.layer(x) / self.keep if self.rescale else self.layer(x)
        if self.per == "batch":
            return y
        survives = torch.rand(len(y), *(1 for _ in y.shape[1:]), device=y.device) < self.keep
        return survives.to(y.dtype) * y
''',
    "SpatialPyramidPool": '''\
class SpatialPyramidPool(nn.Module):
    """The maxima of several grids over a map, one grid after the other, as a vector."""

    def __init__(self, *bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([F.adaptive_max_pool2d(x, n).flatten(1) for n in self.bins], dim=1)
''',
    "PositionMean": '''\
class PositionMean(nn.Module):
    """The mean over the positions of a list, (batch, positions, channels)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)
''',
    "Permute": '''\
class Permute(nn.Module):
    """The axes in another order, the batch included."""

    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.order)
''',
    "Slice": '''\
class Slice(nn.Module):
    """The part from `start` up to but not including `stop` along an axis."""

    def __init__(self, start: int, stop: int | None, dim: int = 1) -> None:
        super().__init__()
        self.part, self.dim = slice(start, stop), dim

    def forward(self, x: Tensor) -> Tensor:
        index = [slice(None)] * x.dim()
        index[self.dim] = self.part
        return x[tuple(index)]
''',
    "Subsample": '''\
class Subsample(nn.Module):
    """Every `stride`-th pixel in both directions."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :: self.stride, :: self.stride]
''',
    "Crop": '''\
class Crop(nn.Module):
    """The map without rows and columns of its border."""

    def __init__(self, top: int, bottom: int, left: int, right: int) -> None:
        super().__init__()
        self.border = (top, bottom, left, right)

    def forward(self, x: Tensor) -> Tensor:
        top, bottom, left, right = self.border
        return x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right]
''',
    "Shift": '''\
class Shift(nn.Module):
    """The map moved down and right; zeros enter, and the last rows and columns are lost."""

    def __init__(self, down: int, right: int) -> None:
        super().__init__()
        self.padding = (right, -right, down, -down)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.padding)
''',
    "ChannelPad": '''\
class ChannelPad(nn.Module):
    """Zero channels up to `width`: after the others, or on both sides."""

    def __init__(self, width: int, where: str = "end") -> None:
        super().__init__()
        self.width, self.where = width, where

    def forward(self, x: Tensor) -> Tensor:
        added = self.width - x.shape[1]
        before = added // 2 if self.where == "both" else 0
        space = (0, 0) * (x.dim() - 2)  # nothing around the map itself
        return F.pad(x, (*space, before, added - before))
''',
    "Join": '''\
class Join(nn.Module):
    """FractalNet's join: the mean of its inputs, deepest column first, of which some are dropped in training.

    local: each input is dropped with probability `drop`, and at least one survives. global: the one column stays that
    `draw_column` drew for the whole network; where it does not reach this join, all stay. mixed: one or the other.
    """

    def __init__(self, columns: int, drop: float = 0.0, mode: str = "local", per: str = "batch") -> None:
        super().__init__()
        self.columns, self.drop, self.mode, self.per = columns, drop, mode, per
        self.column: Tensor | None = None  # for each sample the column that stays; -1 for a local draw

    def forward(self, *inputs: Tensor) -> Tensor:
        stacked = torch.stack(inputs)
        if not self.training:
            return stacked.mean(0)
        keep = self.draw(1 if self.per == "batch" else len(inputs[0]), stacked.device).to(stacked.dtype)
        weights = keep / keep.sum(0)
        return (weights.view(*keep.shape, *(1 for _ in stacked.shape[2:])) * stacked).sum(0)

    def draw(self, draws: int, device: torch.device) -> Tensor:
        """Which inputs stay, (columns, draws)."""
        inputs = torch.arange(self.columns, device=device).unsqueeze(1)
        keep = torch.rand(self.columns, draws, device=device) >= self.drop
        survivor = inputs == torch.randint(self.columns, (draws,), device=device)
        keep = torch.where(keep.any(0), keep, survivor)
        if self.column is None:
            return keep
        column = self.column[:draws]
        one = (inputs == column) | (column >= self.columns)
        return torch.where(column < 0, keep, one)
''',
    "draw_column": '''\
def draw_column(network: nn.Module, x: Tensor) -> None:
    """Draws for each sample of `x` the column that global drop-path keeps in all joins of `network`; in training."""
    if not network.training:
        return
    joins = [module for module in network.modules() if isinstance(module, Join) and module.mode != "local"]
    columns = max(join.columns for join in joins)
    column = torch.randint(columns, (len(x),), device=x.device)
    local = torch.rand(len(x), device=x.device) < 0.5
    for join in joins:
        join.column = torch.where(local, -1, column) if join.mode == "mixed" else column
''',
    "ShakeAddFunction": '''\
class ShakeAddFunction(torch.autograd.Function):
    """alpha*x + (1 - alpha)*y, with beta in the place of alpha in its gradient."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, y: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        ctx.save_for_backward(beta)
        return alpha * x + (1 - alpha) * y

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (beta,) = ctx.saved_tensors
        return beta * gradient, (1 - beta) * gradient, None, None
''',
    "ShakeAdd": '''\
class ShakeAdd(nn.Module):
    """The sum of two branches with random weights a and 1 - a, and others in the gradient; their mean in evaluation.

    shake: a fresh number between 0 and 1; even: one half; keep: the forward number again. level image: one number for
    each sample; batch: one for all.
    """

    def __init__(self, forward: str = "shake", backward: str = "shake", level: str = "image") -> None:
        super().__init__()
        self.rules, self.level = (forward, backward), level

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        if not self.training:
            return (x + y) / 2
        forward, backward = self.rules
        alpha = self.coefficient(forward, x)
        beta = alpha if backward == "keep" else self.coefficient(backward, x)
        return ShakeAddFunction.apply(x, y, alpha, beta)

    def coefficient(self, rule: str, x: Tensor) -> Tensor:
        shape = (len(x) if self.level == "image" else 1, *(1 for _ in x.shape[1:]))
        return x.new_full(shape, 0.5) if rule == "even" else torch.rand(shape, dtype=x.dtype, device=x.device)
''',
}

NEEDS: dict[str, tuple[str, ...]] = {
    "draw_column": ("Join",),
    "ShakeAdd": ("ShakeAddFunction",),
}


def with_needs(names: Iterable[str]) -> tuple[str, ...]:
    """The helpers named and those they need, in the table's order, which defines each before its use."""
    wanted = set(names)
    wanted.update(needed for name in tuple(wanted) for needed in NEEDS.get(name, ()))
    return tuple(name for name in HELPERS if name in wanted)

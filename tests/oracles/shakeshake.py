"""Shake-Shake regularisation (Gastaldi, arXiv:1705.07485).

Peculiar: two branches are mixed with a random α forward and an unrelated β backward, ½ at test; branches begin with a
ReLU, nothing follows the addition, one ReLU closes the net, none follows the stem. The shortcut that changes width has
two 1×1 paths, the second on the map moved one pixel down and right (zeros enter, the last row and column leave).
The 29-layer 2×4×64d net has ResNeXt branches, an ordinary projection and ReLU after the addition.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .common import Chance, conv, conv_bn_relu, global_mean, network, three_stages
from .resnet import projection
from .resnext import branch as resnext_branch


class Mix(torch.autograd.Function):
    """α·a + (1−α)·b whose gradient pretends that the coefficient was β."""

    @staticmethod
    def forward(ctx, a: Tensor, b: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        ctx.save_for_backward(beta)
        return alpha * a + (1 - alpha) * b

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (beta,) = ctx.saved_tensors
        return beta * grad, (1 - beta) * grad, None, None


class Shake(Chance):
    """Mode is forward-backward-level, as in the paper's table; `fixed` is (α, β), numbers or one per image."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.forward_mode, self.backward_mode, self.level = (*mode.split("-"), "batch")[:3]  # even-even has no level

    def coefficient(self, kind: str, like: Tensor) -> Tensor:
        count = like.shape[0] if self.level == "image" else 1
        shape = (count, 1, 1, 1)
        return like.new_full(shape, 0.5) if kind == "even" else torch.rand(shape, dtype=like.dtype)

    def coefficients(self, like: Tensor) -> tuple[Tensor, Tensor]:
        if self.fixed is not None:
            alpha, beta = (torch.as_tensor(c, dtype=like.dtype).reshape(-1, 1, 1, 1) for c in self.fixed)
            return alpha, beta
        alpha = self.coefficient(self.forward_mode, like)
        return alpha, alpha if self.backward_mode == "keep" else self.coefficient(self.backward_mode, like)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        if not self.draws:
            return 0.5 * a + 0.5 * b
        return Mix.apply(a, b, *self.coefficients(a))


class ShiftedShortcut(nn.Module):
    def __init__(self, i: int, o: int, s: int, relu: bool = True) -> None:
        super().__init__()
        self.stride, self.relu = s, relu
        self.conv1, self.conv2, self.bn = conv(i, o // 2, 1), conv(i, o // 2, 1), nn.BatchNorm2d(o)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x) if self.relu else x
        shifted = F.pad(x, (1, -1, 1, -1))
        s = self.stride
        return self.bn(torch.cat([self.conv1(x[:, :, ::s, ::s]), self.conv2(shifted[:, :, ::s, ::s])], 1))


def shake_branch(i: int, o: int, s: int) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), *conv_bn_relu(i, o, 3, s), conv(o, o), nn.BatchNorm2d(o))


class Unit(nn.Module):
    def __init__(self, i: int, o: int, s: int, mode: str) -> None:
        super().__init__()
        self.branch1, self.branch2, self.mix = shake_branch(i, o, s), shake_branch(i, o, s), Shake(mode)
        self.shortcut = ShiftedShortcut(i, o, s) if i != o else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(self.branch1(x), self.branch2(x)) + self.shortcut(x)


class PostUnit(Unit):
    """A port's mistake, kept to be compared: ReLU after the addition, none before branches and shortcut."""

    def __init__(self, i: int, o: int, s: int, mode: str) -> None:
        super().__init__(i, o, s, mode)
        self.branch1, self.branch2 = self.branch1[1:], self.branch2[1:]
        self.shortcut = ShiftedShortcut(i, o, s, relu=False) if i != o else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(super().forward(x))


class NextUnit(nn.Module):
    def __init__(self, i: int, o: int, s: int, mode: str, cardinality: int, base: int) -> None:
        super().__init__()
        self.branch1 = resnext_branch(i, o, s, cardinality, base)
        self.branch2 = resnext_branch(i, o, s, cardinality, base)
        self.mix = Shake(mode)
        self.shortcut = projection(i, o, s) if i != o else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.mix(self.branch1(x), self.branch2(x)) + self.shortcut(x))


def shakeshake(depth: int, base: int, mode: str = "shake-shake-image", classes: int = 10) -> nn.Module:
    """Depth 6n+2, widths base, 2·base, 4·base."""
    n, rest = divmod(depth - 2, 6)
    assert rest == 0, depth
    units = three_stages(lambda i, o, s: Unit(i, o, s, mode), 16, (base, 2 * base, 4 * base), n)
    stem = nn.Sequential(conv(3, 16), nn.BatchNorm2d(16))
    return network(stem=stem, **units, post=nn.ReLU(), pool=global_mean(), fc=nn.Linear(4 * base, classes))


def shakeshake_post(depth: int, base: int, mode: str = "shake-shake-image", classes: int = 10) -> nn.Module:
    """The port's reading: same parameters, other function."""
    units = three_stages(lambda i, o, s: PostUnit(i, o, s, mode), 16, (base, 2 * base, 4 * base), (depth - 2) // 6)
    return network(stem=conv_bn_relu(3, 16), **units, pool=global_mean(), fc=nn.Linear(4 * base, classes))


def shakeshake_next(
    depth: int, cardinality: int, base: int, mode: str = "shake-even-image", classes: int = 100
) -> nn.Module:
    """The CIFAR-100 net: depth 9n+2, two ResNeXt branches a unit."""
    n, rest = divmod(depth - 2, 9)
    assert rest == 0, depth
    units = three_stages(lambda i, o, s: NextUnit(i, o, s, mode, cardinality, base), 64, (256, 512, 1024), n)
    return network(stem=conv_bn_relu(3, 64), **units, pool=global_mean(), fc=nn.Linear(1024, classes))

"""ShakeShakeNeXt (depth=29, cardinality=4, base=64, forward=shake, backward=even, level=image, classes=100):
Shake-Shake-29 2×4×64d, shake-even-image.

Made by archdsl 0.1.0 from shake-shake-29-2x4x64d.arch (sha256 522fb02a0fcb).
34,529,700 parameters; 5,387,358,208 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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


class Shortcut(nn.Module):
    """Options A, B and C of section 4.1; 'average' is option A with the mean of Stochastic Depth, arXiv:1603.09382."""

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 1, stride=stride, bias=False)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))  # 256×32×32, 512×16×16, 1024×8×8


class ShakeResnext(nn.Module):
    """Two aggregated branches, for CIFAR-100: projection where the shape changes, ReLU after the addition; the form for
    which `stride` is 1.
    """

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.branch1 = nn.Sequential(
            nn.Conv2d(width, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, inner, 3, padding=1, groups=4, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.branch2 = nn.Sequential(
            nn.Conv2d(width, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, inner, 3, padding=1, groups=4, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.shake_add = ShakeAdd(backward="even")

    def forward(self, x: Tensor) -> Tensor:
        main = self.shake_add(self.branch1(x), self.branch2(x))  # 256×32×32, 512×16×16, 1024×8×8
        return F.relu(main + x)  # 256×32×32, 512×16×16, 1024×8×8


class ShakeResnext2(nn.Module):
    """Two aggregated branches, for CIFAR-100: projection where the shape changes, ReLU after the addition; the form for
    which the inner block is `Shortcut`.
    """

    def __init__(self, in_channels: int, width: int, inner: int, stride: int = 1) -> None:
        super().__init__()
        self.branch1 = nn.Sequential(
            nn.Conv2d(in_channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, inner, 3, stride=stride, padding=1, groups=4, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.branch2 = nn.Sequential(
            nn.Conv2d(in_channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, inner, 3, stride=stride, padding=1, groups=4, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.shake_add = ShakeAdd(backward="even")
        self.skip = Shortcut(in_channels, width, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        main = self.shake_add(self.branch1(x), self.branch2(x))  # 256×32×32, 512×16×16, 1024×8×8
        skip = self.skip(x)  # 256×32×32, 512×16×16, 1024×8×8
        return F.relu(main + skip)  # 256×32×32, 512×16×16, 1024×8×8


class ShakeShakeNeXt(nn.Module):
    """Shake-Shake-29 2×4×64d, shake-even-image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(64)
        self.conv2 = nn.Sequential(ShakeResnext2(64, 256, 256), *[ShakeResnext(256, 256) for _ in range(2)])
        self.conv3 = nn.Sequential(ShakeResnext2(256, 512, 512, stride=2), *[ShakeResnext(512, 512) for _ in range(2)])
        self.conv4 = nn.Sequential(
            ShakeResnext2(512, 1024, 1024, stride=2),
            *[ShakeResnext(1024, 1024) for _ in range(2)],
        )
        self.linear = nn.Linear(1024, 100)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = F.relu(self.bn(self.conv1(image)))  # 64×32×32
        conv2 = self.conv2(conv1)  # 256×32×32
        conv3 = self.conv3(conv2)  # 512×16×16
        conv4 = self.conv4(conv3)  # 1024×8×8
        return self.linear(conv4.mean((2, 3)))  # 100


if __name__ == "__main__":
    network = ShakeShakeNeXt()
    count = sum(p.numel() for p in network.parameters())
    assert count == 34_529_700, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("ShakeShakeNeXt", f"{count:,} parameters, output", tuple(output.shape))

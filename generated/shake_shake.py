"""ShakeShake (base=32, forward=shake, backward=shake, level=image, classes=10): Shake-Shake networks.

Made by archdsl 0.1.0 from shake-shake.arch (sha256 28975f75c8d8).
2,923,162 parameters; 426,689,792 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Subsample(nn.Module):
    """Every `stride`-th pixel in both directions."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :: self.stride, :: self.stride]


class Shift(nn.Module):
    """The map moved down and right; zeros enter, and the last rows and columns are lost."""

    def __init__(self, down: int, right: int) -> None:
        super().__init__()
        self.padding = (right, -right, down, -down)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.padding)


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


class ShakeShortcut(nn.Module):
    """Two paths of half the width: every `stride`-th pixel, and the same of the map shifted down and right by one."""

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.subsample1 = Subsample(stride)
        self.conv1 = nn.Conv2d(in_channels, width // 2, 1, bias=False)
        self.shift = Shift(1, 1)
        self.subsample2 = Subsample(stride)
        self.conv2 = nn.Conv2d(in_channels, width // 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(2 * (width // 2))

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(x)  # 16×32×32, 32×32×32, 64×16×16
        path = self.conv1(self.subsample1(active))  # 16×32×32, 32×16×16, 64×8×8
        shifted = self.conv2(self.subsample2(self.shift(active)))  # 16×32×32, 32×16×16, 64×8×8
        return self.bn(torch.cat((path, shifted), dim=1))  # 32×32×32, 64×16×16, 128×8×8


class Shake(nn.Module):
    """x + α F1(x) + (1 − α) F2(x), each branch ReLU, 3×3, BN, ReLU, 3×3, BN; the backward pass has its own coefficient;
    the form for which `in.channels == width and stride == 1` holds.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch1 = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.branch2 = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.shake_add = ShakeAdd()

    def forward(self, x: Tensor) -> Tensor:
        main = self.shake_add(self.branch1(x), self.branch2(x))  # 32×32×32, 64×16×16, 128×8×8
        return main + x  # 32×32×32, 64×16×16, 128×8×8


class Shake2(nn.Module):
    """x + α F1(x) + (1 − α) F2(x), each branch ReLU, 3×3, BN, ReLU, 3×3, BN; the backward pass has its own coefficient;
    the form for which `in.channels == width and stride == 1` does not hold.
    """

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.branch1 = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.branch2 = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.shake_add = ShakeAdd()
        self.shake_shortcut = ShakeShortcut(in_channels, width, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        main = self.shake_add(self.branch1(x), self.branch2(x))  # 32×32×32, 64×16×16, 128×8×8
        return main + self.shake_shortcut(x)  # 32×32×32, 64×16×16, 128×8×8


class ShakeShake(nn.Module):
    """Shake-Shake networks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.conv2 = nn.Sequential(Shake2(16, 32), *[Shake(32) for _ in range(3)])
        self.conv3 = nn.Sequential(Shake2(32, 64, stride=2), *[Shake(64) for _ in range(3)])
        self.conv4 = nn.Sequential(Shake2(64, 128, stride=2), *[Shake(128) for _ in range(3)])
        self.linear = nn.Linear(128, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        conv1 = self.bn(self.conv1(image))  # 16×32×32
        conv2 = self.conv2(conv1)  # 32×32×32
        conv3 = self.conv3(conv2)  # 64×16×16
        conv4 = self.conv4(conv3)  # 128×8×8
        return self.linear(F.relu(conv4).mean((2, 3)))  # 10


if __name__ == "__main__":
    network = ShakeShake()
    count = sum(p.numel() for p in network.parameters())
    assert count == 2_923_162, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("ShakeShake", f"{count:,} parameters, output", tuple(output.shape))

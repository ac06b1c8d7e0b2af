"""Small networks as text, as the compiler would write them."""

TINY = """
import torch.nn.functional as F
from torch import nn


class Tiny(nn.Module):
    def __init__(self, classes=10, dropout=0.1):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(dropout)
        self.linear = nn.Linear(8, classes)

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x)))
        return self.linear(self.drop(F.adaptive_avg_pool2d(x, 1).flatten(1)))
"""

AUXILIARY = """
import torch.nn.functional as F
from torch import nn


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.side = nn.Linear(8, 10)
        self.linear = nn.Linear(8, 10)

    def forward(self, x):
        x = self.conv(x)
        aux = self.side(x.mean((2, 3)))
        out = self.linear(F.relu(x).mean((2, 3)))
        return (out, aux) if self.training else out
"""

SKIPPING = """
import torch
from torch import nn


class Skipping(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.extra = nn.Conv2d(8, 8, 3, padding=1)
        self.linear = nn.Linear(8, 10)

    def forward(self, x):
        x = self.conv(x)
        if not self.training or torch.rand(()) < 0.5:
            x = x + self.extra(x)
        return self.linear(x.relu().mean((2, 3)))
"""

READING = """
from torch import nn


class Reading(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.linear = nn.Linear(8, 10)

    def forward(self, x):
        x = self.conv(x)
        if float(x.detach().mean()) > 1e9:
            x = -x
        return self.linear(x.relu().mean((2, 3)))
"""

DIVIDING = """
from torch import nn


class Dividing(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.linear = nn.Linear(8, 10)

    def forward(self, x):
        x = self.conv(self.norm(x) / (x.amax((1, 2, 3), keepdim=True) < 0.99))
        return self.linear(x.relu().mean((2, 3)))
"""

RESNET20 = """
import torch.nn.functional as F
from torch import nn


class Basic(nn.Module):
    def __init__(self, in_channels, width, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.extra = width - in_channels
        self.stride = stride

    def forward(self, x):
        h = F.relu(self.norm(self.conv(x)))
        h = self.norm2(self.conv2(h))
        if self.extra:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))
        return F.relu(h + x)


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
        pairs = zip(widths, widths[1:])
        self.units = nn.Sequential(*[Basic(a, b, 1 if a == b else 2) for a, b in pairs])
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.units(F.relu(self.norm(self.conv(x))))
        return self.linear(x.mean((2, 3)))
"""

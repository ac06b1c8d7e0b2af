"""Static numbers held against torch, and the holding itself: a module that differs is found out."""

from __future__ import annotations

import pytest
from building import Body, basic, conv, resnet, wrn

from archdsl.verify import build, compare

RESNET = """
import torch
from torch import Tensor, nn
import torch.nn.functional as F


class Basic(nn.Module):
    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.width, self.stride = width, stride
        self.conv = nn.Conv2d(in_channels, width, 3, stride, 1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        main = self.bn2(self.conv2(F.relu(self.bn(self.conv(x)))))
        if self.stride > 1:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.width - x.shape[1]))
        return F.relu(main + x)


class ResNet(nn.Module):
    def __init__(self, n: int = N) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        units = [Basic(16, 16) for _ in range(n)]
        for width in (32, 64):
            units += [Basic(width // 2, width, 2), *[Basic(width, width) for _ in range(n - 1)]]
        self.units = nn.Sequential(*units)
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.units(F.relu(self.bn(self.conv(x))))
        return self.fc(x.mean((2, 3)))
"""

WRN = """
from torch import Tensor, nn
import torch.nn.functional as F


class Wide(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout(0.0)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.skip = None if channels == width and stride == 1 else nn.Conv2d(channels, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pre = F.relu(self.bn(x))
        main = self.conv2(self.dropout(F.relu(self.bn2(self.conv(pre)))))
        return main + (x if self.skip is None else self.skip(pre))


class WRN(nn.Sequential):
    def __init__(self) -> None:
        layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, padding=1, bias=False)]
        channels = 16
        for width, stride in ((16 * K, 1), (32 * K, 2), (64 * K, 2)):
            layers += [Wide(channels, width, stride), *[Wide(width, width, 1) for _ in range(N - 1)]]
            channels = width
        last = [nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        super().__init__(*layers, *last, nn.Linear(channels, 10))
"""


@pytest.mark.parametrize("n", [1, 3, 18])
def test_a_residual_network_equals_torch(n: int) -> None:
    report = compare(RESNET.replace("N)", f"{n})").replace("= N", f"= {n}"), resnet(n))
    assert report.ok, str(report)
    assert report.device == "meta"
    assert len(report.rows) == 9


@pytest.mark.parametrize(("n", "k"), [(2, 2), (4, 10)])
def test_a_wide_network_equals_torch(n: int, k: int) -> None:
    report = compare(WRN.replace("* K", f"* {k}").replace("N - 1", f"{n - 1}"), wrn(n, k))
    assert report.ok, str(report)


def test_torchinfo_differs_as_known() -> None:
    """40,552,426 where everybody else has 40,551,040: it adds one for each parameter of norms and biases."""
    report = compare(RESNET.replace("= N", "= 3"), resnet(3))
    row = next(row for row in report.rows if row.name == "torchinfo mult-adds")
    assert row.measured == 40_552_426


@pytest.mark.parametrize(
    ("right", "wrong", "found"),
    [
        ("bias=False)\n        self.bn2", "bias=True)\n        self.bn2", "parameters"),
        ("F.relu(main + x)", "F.relu(F.relu(main + x) * 2)", "kept bytes, batch of 2"),
        ("nn.Linear(64, 10)", "nn.Linear(64, 11)", "output shapes"),
        ("nn.Conv2d(in_channels, width, 3, stride, 1", "nn.Conv2d(in_channels, width, 3, stride, 1, 1", ""),
    ],
)
def test_a_module_that_differs_is_found_out(right: str, wrong: str, found: str) -> None:
    report = compare(RESNET.replace("= N", "= 1").replace(right, wrong), resnet(1))
    assert report.ok is (not found)
    assert not found or found in {row.name for row in report.rows if not row.equal}


def test_what_meta_cannot_do_runs_on_the_cpu() -> None:
    text = """
import torch
from torch import Tensor, nn


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) if float(x.sum()) > -1 else self.fc(-x)
"""
    body = Body("Net", (4,), kind="network")
    report = compare(text, body.graph(body.row(body.input, ("linear", {"width": 2}))))
    assert report.ok
    assert report.device == "cpu"


def test_build_takes_the_last_class() -> None:
    """A helper may have the name that the network had in the spec."""
    helper = (
        "\n\nclass Other(nn.Module):\n    def __init__(self, layer: nn.Module) -> None:\n        super().__init__()\n"
    )
    text = RESNET.replace("= N", "= 1").replace("\n\nclass Basic", f"{helper}\n\nclass Basic")
    assert type(build(text, "Other")).__name__ == "ResNet"
    with pytest.raises(ValueError, match="no class for Other"):
        build("", "Other")


def test_rows_of_a_wrong_graph() -> None:
    net = Body("ResNet", (3, 32, 32), kind="network")
    x = net.call(basic(16, 32, 16), net.row(net.input, conv(16), "bn", "relu"))
    x = net.row(x, "global_avg_pool", ("linear", {"width": 10}))
    report = compare(RESNET.replace("= N", "= 1"), net.graph(x))
    assert not report.ok
    assert "≠" in str(report)

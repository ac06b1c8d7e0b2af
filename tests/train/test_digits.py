"""Digits: scikit-learn's where it is installed, and a word where it is not."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from archdsl.train.data import Request, load
from archdsl.train.trouble import DataTrouble


def test_without_scikit_learn_it_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataTrouble, match="pip install scikit-learn"):
        load("digits", Request())


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (ModuleNotFoundError("No module named 'scipy'", name="scipy"), "ModuleNotFoundError: No module named 'scipy'"),
        (ValueError("numpy.dtype size changed\nmay be"), "ValueError: numpy.dtype size changed"),
    ],
)
def test_a_broken_scikit_learn_is_not_called_a_missing_one(
    monkeypatch: pytest.MonkeyPatch, trouble: Exception, said: str
):
    class Broken(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise trouble if name == "load_digits" else AttributeError(name)

    monkeypatch.setitem(sys.modules, "sklearn", ModuleType("sklearn"))
    monkeypatch.setitem(sys.modules, "sklearn.datasets", Broken("sklearn.datasets"))
    with pytest.raises(DataTrouble, match=f"scikit-learn, which is installed but does not work: {said}$"):
        load("digits", Request())


def test_pixels_are_enlarged_to_32(monkeypatch: pytest.MonkeyPatch):
    """Against a stand-in, since scikit-learn is no requirement."""
    grey = np.random.default_rng(0).integers(0, 17, (1797, 8, 8)).astype(float)
    module = ModuleType("sklearn.datasets")
    module.load_digits = lambda: SimpleNamespace(images=grey, target=np.arange(1797) % 10)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sklearn", ModuleType("sklearn"))
    monkeypatch.setitem(sys.modules, "sklearn.datasets", module)
    images = load("digits", Request())
    assert (len(images.train), len(images.test), images.shape) == (1437, 360, (1, 32, 32))
    first = images.train.pixels[0, :, :, 0]
    assert torch.equal(first[::4, ::4], torch.tensor((grey[0] * 255 / 16).round()).to(torch.uint8))
    assert torch.equal(first[::4, ::4], first[3::4, 3::4])
    assert images.test.labels[0] == 1437 % 10


def test_the_real_ones():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    images = load("digits", Request())
    assert images.train.labels.bincount(minlength=10).min() > 100

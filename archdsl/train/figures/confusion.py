"""The confusion matrix: what images of each class were taken for."""

# matplotlib annotates only part of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from numpy.typing import NDArray

from archdsl.train.figures.style import drawing, png

_WRITTEN = 20  # classes up to which each cell has its number
_NAMED = 50  # classes up to which each has its name
_DARK = 35  # percent from which letters on a cell are white


def confusion(counts: NDArray[np.int64], classes: Sequence[str], title: str) -> bytes:
    """counts [true, predicted] as shares of each row in percent; colours grow with the root, so that errors show."""
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = float(np.clip(2.2 + 0.52 * len(classes), 5.0, 9.0))
    with drawing(side + 0.9, side) as figure:
        axes = figure.subplots()
        image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 100), interpolation="nearest")
        bar = figure.colorbar(image, ax=axes, shrink=0.8, ticks=[0, 1, 5, 10, 25, 50, 100])
        bar.set_label("share of the true class (%)")
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
        _label(axes, classes)
        if len(classes) <= _WRITTEN:
            _write(axes, shares)
        axes.set_title(title)
        return png(figure)


def _label(axes: Axes, classes: Sequence[str]) -> None:
    every = -(-len(classes) // _NAMED)
    places = range(0, len(classes), every)
    names = [_short(classes[place]) for place in places]
    size = 9 if len(classes) <= _WRITTEN else 6
    axes.set_xticks(
        places, names, rotation=45 if size == 9 else 90, ha="right" if size == 9 else "center", fontsize=size
    )
    axes.set_yticks(places, names, fontsize=size)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")


def _write(axes: Axes, shares: NDArray[np.float64]) -> None:
    for (row, column), share in np.ndenumerate(shares):
        text = f"{share:.1f}" if share >= 0.05 else ""
        axes.text(column, row, text, ha="center", va="center", fontsize=7, color="white" if share > _DARK else "black")


def _short(name: str) -> str:
    return name if len(name) <= 16 else name[:15] + "…"

"""The sheet of the worst errors: the images about which the network was surest and wrong."""

# matplotlib annotates only part of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from archdsl.train.figures.style import COLOURS, drawing, png

COLUMNS, ROWS = 8, 4


@dataclass(frozen=True, eq=False)
class Mistake:
    """A test image [H, W, C] of bytes that was taken for another class, with the probability the network gave that."""

    pixels: NDArray[np.uint8]
    true: str
    predicted: str
    confidence: float
    number: int
    """Its place in the test set, from 0."""


def sheet(mistakes: Sequence[Mistake], title: str) -> bytes:
    """Up to `COLUMNS` × `ROWS` of them, in the order given; a sheet that says so where there are none."""
    rows = max(-(-len(mistakes) // COLUMNS), 1)
    with drawing(1.25 * COLUMNS, 1.75 * rows + 0.5) as figure:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        grid = figure.subplots(rows, COLUMNS, squeeze=False)
        for place, axes in enumerate(grid.flat):
            axes.axis("off")
            if place < len(mistakes):
                _show(axes, mistakes[place])
        return png(figure)


def _show(axes: Axes, mistake: Mistake) -> None:
    pixels = mistake.pixels[..., 0] if mistake.pixels.shape[2] == 1 else mistake.pixels
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    said = f"{_short(mistake.predicted)} {mistake.confidence:.1%}"
    axes.set_title(said, fontsize=7.5, color=COLOURS[1], loc="center", pad=2)
    axes.text(0.5, -0.03, f"is {_short(mistake.true)}", ha="center", va="top", fontsize=7.5, transform=axes.transAxes)
    axes.text(0.5, -0.16, f"no. {mistake.number:,}", ha="center", va="top", fontsize=5.5, transform=axes.transAxes)


def _short(name: str) -> str:
    return name if len(name) <= 13 else name[:12] + "…"

"""How all pictures look, and how a figure becomes a PNG. matplotlib is loaded here, without a display."""

# matplotlib annotates only part of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import io
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Told apart by colour-blind eyes, too: Okabe & Ito 2002, Color Universal Design."""
GREY = "#707070"
DPI = 150

_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters everywhere
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "text.parse_math": False,  # a class may be called `$x$`
    "figure.facecolor": "white",
}


def _default() -> dict[str, Any]:
    """matplotlib's own style, whatever a user's settings say; the backend stays as it is."""
    return {name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"}


@contextmanager
def drawing(width: float, height: float) -> Generator[Figure]:
    """A new figure of so many inches, to be drawn on and saved while this lasts."""
    with mpl.rc_context(cast("Any", {**_default(), **_STYLE})):
        figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def png(figure: Figure) -> bytes:
    """The picture, without a date or a version in it. Letters that the font has not become boxes."""
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(out, format="png", dpi=DPI, metadata={"Software": None})
    return out.getvalue()

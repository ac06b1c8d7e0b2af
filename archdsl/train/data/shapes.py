"""`shapes`: ten coloured shapes on noisy ground, drawn in memory, so that training works anywhere without a download.

Every image is a function of the seed. Shapes are tilted, scaled and shifted at random; colours tell nothing about
the class. A network must look at outlines: a linear classifier stays above half wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from archdsl.train.data.images import Images, InMemory, Request

TRAIN = 5000
TEST = 2000
SIDE = 32
TURN = 0.4  # radians: about 23 degrees to either side

Array = NDArray[np.floating[Any]]


def shapes(request: Request) -> Images:
    """The set for a seed: 5,000 training and 2,000 test images, classes in turn."""
    train = _split(np.random.default_rng([request.seed, 0]), TRAIN)
    test = _split(np.random.default_rng([request.seed, 1]), TEST)
    return Images("shapes", train, test, tuple(OUTLINES), epochs=10)


def _split(rng: np.random.Generator, count: int) -> InMemory:
    labels = np.arange(count) % len(OUTLINES)
    cover = _cover(rng, labels)[..., None]
    ground, ink = _colours(rng, count)
    picture = _noise(rng, count) * 0.3 + ground * (1 - cover) + ink * cover
    picture += rng.normal(0, 0.05, picture.shape).astype(np.float32)
    pixels = (picture.clip(0, 1) * 255).round().astype(np.uint8)
    return InMemory(torch.tensor(pixels), torch.tensor(labels))


def _cover(rng: np.random.Generator, labels: NDArray[np.int64]) -> Array:
    """How much of each pixel the shape covers, by the distance to its outline, which smooths the edge."""
    count = len(labels)
    radius = rng.uniform(7.5, 13, (count, 1, 1)).astype(np.float32)
    angle = rng.uniform(-TURN, TURN, (count, 1, 1)).astype(np.float32)
    centre = rng.uniform(-1, 1, (2, count, 1, 1)).astype(np.float32) * (15 - radius)
    axis = np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2
    x, y = axis[None, None, :] - centre[0], axis[None, :, None] - centre[1]
    u = (x * np.cos(angle) + y * np.sin(angle)) / radius
    v = (y * np.cos(angle) - x * np.sin(angle)) / radius
    cover = np.empty((count, SIDE, SIDE), np.float32)
    for label, outline in enumerate(OUTLINES.values()):
        of = labels == label
        cover[of] = (0.5 - outline(u[of], v[of]) * radius[of]).clip(0, 1)
    return cover


def _colours(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    """A ground and an ink that differ enough to be seen."""
    ground = rng.uniform(0.1, 0.9, (count, 1, 1, 3)).astype(np.float32)
    away = rng.uniform(0.35, 0.7, (count, 1, 1, 3)) * rng.choice([-1, 1], (count, 1, 1, 3))
    return ground, np.where((ground + away > 0) & (ground + away < 1), ground + away, ground - away).astype(np.float32)


def _noise(rng: np.random.Generator, count: int) -> Array:
    """Soft blotches: coarse noise, drawn up between its points."""
    coarse = rng.normal(0, 0.5, (count, 6, 6, 3)).astype(np.float32)
    place = np.linspace(0, 4.999, SIDE, dtype=np.float32)
    low, share = place.astype(int), place - place.astype(int)
    rows = coarse[:, low] * (1 - share)[:, None, None] + coarse[:, low + 1] * share[:, None, None]
    return rows[:, :, low] * (1 - share)[:, None] + rows[:, :, low + 1] * share[:, None]


# --- outlines: the distance to the edge, negative inside, for a shape of radius 1


def _disc(u: Array, v: Array) -> Array:
    return np.hypot(u, v) - 0.9


def _ring(u: Array, v: Array) -> Array:
    return np.abs(np.hypot(u, v) - 0.75) - 0.2


def _box(u: Array, v: Array, width: float, height: float) -> Array:
    return np.maximum(np.abs(u) - width, np.abs(v) - height)


def _square(u: Array, v: Array) -> Array:
    return _box(u, v, 0.72, 0.72)


def _frame(u: Array, v: Array) -> Array:
    return np.abs(_box(u, v, 0.6, 0.6)) - 0.17


def _bar(u: Array, v: Array) -> Array:
    return _box(u, v, 1.0, 0.26)


def _plus(u: Array, v: Array) -> Array:
    return np.minimum(_bar(u, v), _bar(v, u))


def _corner(u: Array, v: Array) -> Array:
    return np.minimum(_box(u + 0.6, v, 0.24, 0.85), _box(u, v + 0.6, 0.85, 0.24))


def _triangle(u: Array, v: Array) -> Array:
    half, height = np.float32(0.866), np.float32(0.5)
    return np.maximum(np.maximum(half * u - height * v, -half * u - height * v), v) - 0.5


def _star(u: Array, v: Array) -> Array:
    """Five points: every angle folded into the tenth between a tip (1, 0) and the notch beside it, then one edge."""
    tenth = np.pi / 5
    notch = 0.4 * np.array([np.cos(tenth), np.sin(tenth)], np.float32)
    fold = np.abs((np.arctan2(v, u) + tenth) % (2 * tenth) - tenth)
    far = np.hypot(u, v)
    along, across = notch - np.array([1, 0], np.float32)
    return ((far * np.cos(fold) - 1) * across - far * np.sin(fold) * along) / np.hypot(along, across)


def _crescent(u: Array, v: Array) -> Array:
    return np.maximum(np.hypot(u, v) - 0.95, 0.72 - np.hypot(u - 0.5, v))


OUTLINES = {
    "disc": _disc,
    "ring": _ring,
    "square": _square,
    "frame": _frame,
    "bar": _bar,
    "plus": _plus,
    "corner": _corner,
    "triangle": _triangle,
    "star": _star,
    "crescent": _crescent,
}

"""Writes MATLAB files of level 5, as far as tests of their reader need them."""

from __future__ import annotations

import struct
import zlib

import numpy as np

HEADER = b"MATLAB 5.0 MAT-file, written by a test".ljust(124) + b"\x00\x01IM"
UINT8, DOUBLE = 9, 6  # classes of arrays
TYPES = {"u1": 2, "f8": 9}


def element(kind: int, data: bytes) -> bytes:
    """A type, a size, the bytes, and zeros up to a multiple of eight."""
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def small(kind: int, data: bytes) -> bytes:
    """At most four bytes within the tag."""
    return struct.pack("<HH", kind, len(data)) + data.ljust(4, b"\0")


def matrix(name: str, array: np.ndarray, kind: int = UINT8, stored: str = "u1") -> bytes:
    """An array of class `kind`, its numbers stored as `stored`."""
    label = name.encode()
    parts = [
        element(6, struct.pack("<II", kind, 0)),
        element(5, struct.pack(f"<{array.ndim}i", *array.shape)),
        small(1, label) if len(label) <= 4 else element(1, label),
        element(TYPES[stored], array.astype(stored).tobytes(order="F")),
    ]
    return element(14, b"".join(parts))


def packed(data: bytes) -> bytes:
    """An element in the form that MATLAB writes since version 7."""
    data = zlib.compress(data)
    return struct.pack("<II", 15, len(data)) + data


def svhn(count: int, seed: int = 0, pack: bool = True) -> tuple[bytes, np.ndarray, np.ndarray]:
    """A file as SVHN's: its bytes, pixels [32, 32, 3, N] and labels [N, 1] from 1 to 10."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (32, 32, 3, count), np.uint8)
    labels = np.arange(count)[:, None] % 10 + 1
    parts = [matrix("X", pixels), matrix("y", labels, DOUBLE, "u1" if seed % 2 else "f8")]
    return HEADER + b"".join(packed(part) if pack else part for part in parts), pixels, labels

"""Reads arrays of numbers out of MATLAB files of level 5, which SVHN is published in, and nothing else that is in them.

The format (MathWorks, "MAT-File Format"): a header of 128 bytes, then elements of a type, a size and bytes, most packed
with zlib. An element of at most four bytes is written small: its size lies in the upper half of its type.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HEADER = 128
_PIECE = 1 << 20  # bytes unpacked at once: a megabyte of zlib can hold a gigabyte of zeros
_MATRIX, _PACKED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
_CLASSES = range(6, 16)  # double, single, the integers: what is no cell, structure, object, text or sparse matrix
_COMPLEX = 0x0800

Numbers = NDArray[Any]


class NotRead(Exception):
    """The file is damaged, or is not what was expected; the reason."""


def read_mat(data: bytes, limits: dict[str, int]) -> dict[str, Numbers]:
    """The arrays named in `limits`, each of at most so many numbers, with MATLAB's sides but the last one first.

    MATLAB stores by column: a [32, 32, 3, N] array is read as [N, 3, 32, 32]. Raises `NotRead`.
    """
    if data[124:128] != b"\x00\x01IM":
        raise NotRead("it is no MATLAB file of level 5 (little-endian)")
    found: dict[str, Numbers] = {}
    at, whole = _HEADER, memoryview(data)  # of which a slice is no copy
    while at < len(data):
        kind, size = _two(whole[at : at + 8])
        at += 8
        element = whole[at : at + size]
        if len(element) < size:
            raise NotRead("it ends too early")
        found |= _element(kind, element, limits)
        at += size
    missing = sorted(limits.keys() - found.keys())
    if missing:
        raise NotRead(f"it holds no array {missing[0]}")
    return found


def _element(kind: int, data: memoryview, limits: dict[str, int]) -> dict[str, Numbers]:
    if kind == _MATRIX:
        return _matrix(_Stream(iter([data])), limits)
    if kind != _PACKED:
        raise NotRead(f"it holds an element of type {kind}")
    stream = _Stream(_unpacked(data))
    kind, _ = _two(stream.take(8))
    if kind != _MATRIX:
        raise NotRead(f"it holds a packed element of type {kind}")
    found = _matrix(stream, limits)
    if found:
        stream.end()  # to the end of zlib's data, where its checksum is
    return found


def _matrix(stream: _Stream, limits: dict[str, int]) -> dict[str, Numbers]:
    """The array, under its name; nothing where the name is not asked for."""
    flags = np.frombuffer(_small(stream, 6, 8), "<u4")
    sides = np.frombuffer(_small(stream, 5, 32), "<i4")
    name = _small(stream, 1, 64).decode("latin-1")
    if name not in limits:
        return {}
    if len(flags) != 2 or int(flags[0]) & 0xFF not in _CLASSES or int(flags[0]) & _COMPLEX:
        raise NotRead(f"{name} is no array of real numbers")
    shape = [int(side) for side in reversed(sides)]
    if len(shape) < 2 or min(shape) < 1 or prod(shape) > limits[name]:
        raise NotRead(f"{name} has sides of {' × '.join(map(str, reversed(shape)))}")
    return {name: _real_part(stream, name, shape)}


def _real_part(stream: _Stream, name: str, shape: list[int]) -> Numbers:
    """The numbers, in whatever type they are stored: MATLAB writes doubles that fit as bytes."""
    kind, size, small = _tag(stream)
    if kind not in _NUMBERS:
        raise NotRead(f"{name} is stored in type {kind}")
    dtype = np.dtype(_NUMBERS[kind])
    if size != prod(shape) * dtype.itemsize:
        raise NotRead(f"{name} has {size:,} bytes, and not the {prod(shape) * dtype.itemsize:,} of its sides")
    data = small if small is not None else stream.take(size, room=7)
    return np.frombuffer(data, dtype, count=prod(shape)).reshape(shape)


def _small(stream: _Stream, expected: int, limit: int) -> bytearray:
    """A part of a matrix that describes it: of one type, and short."""
    kind, size, small = _tag(stream)
    if kind != expected or size > limit or (expected in (5, 6) and size % 4):
        raise NotRead(f"it describes an array by {size:,} bytes of type {kind}")
    return small if small is not None else stream.take(size, room=7)


def _tag(stream: _Stream) -> tuple[int, int, bytearray | None]:
    """Type and size of what comes next, and the bytes themselves where they lie within the tag."""
    tag = stream.take(8)
    kind, size = _two(tag)
    if not kind >> 16:
        return kind, size, None
    kind, size = kind & 0xFFFF, kind >> 16
    if size > 4:
        raise NotRead(f"it has a small element of {size} bytes")
    return kind, size, tag[4 : 4 + size]


def _two(tag: memoryview | bytearray) -> tuple[int, int]:
    if len(tag) < 8:
        raise NotRead("it ends too early")
    return int.from_bytes(tag[:4], "little"), int.from_bytes(tag[4:8], "little")


def _unpacked(data: memoryview) -> Iterator[bytes]:
    """What zlib packed, a piece at a time, checked to its end."""
    unpacker = zlib.decompressobj()
    try:
        for at in range(0, len(data), _PIECE):
            rest = bytes(data[at : at + _PIECE])
            while rest and not unpacker.eof:
                yield unpacker.decompress(rest, _PIECE)
                rest = unpacker.unconsumed_tail
        while piece := unpacker.decompress(b"", _PIECE):
            yield piece
    except zlib.error as error:
        raise NotRead(f"it is damaged ({error})") from None
    if not unpacker.eof or unpacker.unused_data:
        raise NotRead("its packed part ends too early or goes on too long")


class _Stream:
    """Bytes that are taken from the front and come in pieces."""

    def __init__(self, pieces: Iterator[bytes | memoryview]) -> None:
        self.pieces = pieces
        self.buffer = bytearray()

    def take(self, count: int, room: int = 0) -> bytearray:
        """The next `count` bytes; with `room` = 7 what fills them up to a multiple of eight is passed over."""
        padding = -count % (room + 1)
        while len(self.buffer) < count + padding:
            piece = next(self.pieces, None)
            if piece is None:
                raise NotRead("it ends too early")
            self.buffer += piece
        taken, self.buffer = self.buffer, self.buffer[count + padding :]
        del taken[count:]  # in place: it may be 1.6 GB
        return taken

    def end(self) -> None:
        """Whatever is left must be nothing."""
        if self.buffer or any(self.pieces):
            raise NotRead("its packed part goes on too long")

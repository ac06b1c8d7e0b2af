"""Reads the pickles in which CIFAR is published without running them.

A pickle is a program. This is a machine for the handful of instructions that build dicts, lists, texts and one kind of
array out of constants; everything else, every import above all, ends the reading. Nothing from the file is called.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_BUFFER_MODULES = ("numpy.core.numeric", "numpy._core.numeric")
_STANDINS = {
    **{f"{module} _reconstruct": "array" for module in _ARRAY_MODULES},
    **{f"{module} _frombuffer": "frombuffer" for module in _BUFFER_MODULES},
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    "_codecs encode": "encode",
}
_MOST_STEPS = 2_000_000
_LONGEST_KEY, _MOST_SIDES = 1000, 32
_LONGEST_SIDE = 10**9  # a number of a million digits would be written into the message
_MARK = object()


class NotAllowed(Exception):
    """The pickle asks for something that a data file has no need of, or is damaged."""


@dataclass(eq=False)
class Array:
    """A uint8 array as the pickle describes it: its sides, and its bytes in row order."""

    shape: tuple[int, ...] = ()
    data: bytes = b""


@dataclass(eq=False)
class _Dtype:
    code: object


@dataclass(frozen=True)
class _Name:
    """An importable thing, by what stands in for it."""

    standin: str


def read_pickle(data: bytes) -> object:
    """The value in `data`: dicts, lists, bytes, numbers and `Array`s.

    Whatever is not of that kind, or broken, raises `NotAllowed` with the reason.
    """
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if count > _MOST_STEPS:
                raise NotAllowed("it has too many instructions")
            if opcode.name == "STOP":
                return machine.result()
            machine.step(opcode.name, argument)
    except NotAllowed:
        raise
    except Exception as error:  # genops and a confused stack raise whatever comes: to us it is one thing
        raise NotAllowed(f"it is damaged ({type(error).__name__})") from None
    raise NotAllowed("it ends too early")


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def result(self) -> object:
        (value,) = self.stack
        return value

    def step(self, name: str, argument: Any) -> None:
        if name in _CONSTANTS:
            self.stack.append(_constant(argument))
        elif name in _FRESH:
            self.stack.append(_FRESH[name]())
        elif name in _ACTIONS:
            _ACTIONS[name](self, argument)
        elif name not in _IGNORED:
            raise NotAllowed(f"it holds the instruction {name}")

    def since_mark(self) -> list[Any]:
        """Take everything above the last mark, and the mark."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise IndexError
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values

    def name(self, argument: str) -> None:
        if argument not in _STANDINS:
            raise NotAllowed(f"it imports {ascii(argument.replace(' ', '.'))[:80]}")
        self.stack.append(_Name(_STANDINS[argument]))

    def name_on_stack(self) -> None:
        attribute, module = self.stack.pop(), self.stack.pop()
        self.name(f"{_text(module)} {_text(attribute)}")

    def reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, _Name) or function.standin not in _CALLS or not isinstance(arguments, tuple):
            raise NotAllowed("it calls something that is no function of ours")
        self.stack.append(_CALLS[function.standin](*cast("tuple[Any, ...]", arguments)))

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Array):
            _fill(target, state)
        elif not isinstance(target, _Dtype):
            raise NotAllowed("it sets the state of something other than an array")

    def set_items(self, pairs: list[Any]) -> None:
        self.stack[-1].update(_pairs(pairs))

    def extend(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise NotAllowed("it appends to something that is no list")
        cast("list[Any]", target).extend(values)

    def last(self, count: int) -> list[Any]:
        """Take the top `count` values."""
        if count > len(self.stack):
            raise IndexError
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return values

    def put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def get(self, place: int) -> None:
        self.stack.append(self.memo[place])


def _pairs(flat: list[Any]) -> dict[bytes | int, Any]:
    if not all(map(_is_key, flat[::2])):
        raise NotAllowed("it has a key that is no short text")
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _is_key(key: Any) -> bool:
    """A short text or a number.

    To hash a tuple that was nested a million times would overflow the C stack; to hash and compare what is long, a
    million times, would take days.
    """
    if isinstance(key, bytes):
        return len(key) <= _LONGEST_KEY
    return isinstance(key, int) and abs(key) <= _LONGEST_SIDE


def _constant(value: Any) -> Any:
    """Texts and arrays of bytes become bytes, once: what is made of them over and over shares them."""
    if isinstance(value, str):
        return value.encode("latin-1")
    return bytes(value) if isinstance(value, bytearray) else value


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else ""


def _fill(array: Array, state: Any) -> None:
    """An array's state: (version, sides, type, column order?, bytes)."""
    _, shape, dtype, by_columns, data = state
    if by_columns:
        raise NotAllowed("its array is not in row order")
    _set(array, shape, dtype, data)


def _set(array: Array, shape: Any, dtype: Any, data: Any) -> None:
    if not isinstance(dtype, _Dtype) or dtype.code not in (b"u1", b"|u1", b"uint8"):
        raise NotAllowed("its array is not of unsigned bytes")
    sides = cast("tuple[Any, ...]", shape)
    if not isinstance(shape, tuple) or len(sides) > _MOST_SIDES:
        raise NotAllowed("its array has no list of sides")
    if not all(type(side) is int and 0 <= side <= _LONGEST_SIDE for side in sides):
        raise NotAllowed("its array has sides that are no numbers")
    array.shape, array.data = sides, _bytes(data)


def _bytes(value: Any) -> bytes:
    """`bytes(10**10)` would be ten gigabytes of zeros."""
    if not isinstance(value, bytes):
        raise NotAllowed("it makes bytes out of something else")
    return value


# --- what stands in for the functions that CIFAR's files name


def _new_array(*_: Any) -> Array:
    return Array()


def _new_dtype(code: Any, *_: Any) -> _Dtype:
    return _Dtype(code)


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any) -> Array:
    if order != b"C":
        raise NotAllowed("its array is not in row order")
    array = Array()
    _set(array, shape, dtype, data)
    return array


def _encode(text: Any, _encoding: Any) -> bytes:
    """How protocols before 3 write bytes: as latin-1 text, of which `_constant` has made bytes already."""
    return _bytes(text)


_CALLS: dict[str, Callable[..., Any]] = {
    "array": _new_array,
    "dtype": _new_dtype,
    "frombuffer": _frombuffer,
    "encode": _encode,
}

# --- the instructions

_IGNORED = frozenset({"PROTO", "FRAME"})
_CONSTANTS = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"}
    | {"STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
    | {"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
)
_FRESH: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "MARK": lambda: _MARK,
}
_ACTIONS: dict[str, Callable[[_Machine, Any], object]] = {
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": lambda m, _: m.name_on_stack(),
    "REDUCE": lambda m, _: m.reduce(),
    "BUILD": lambda m, _: m.build(),
    "SETITEM": lambda m, _: m.set_items(m.last(2)),
    "SETITEMS": lambda m, _: m.set_items(m.since_mark()),
    "APPEND": lambda m, _: m.extend(m.last(1)),
    "APPENDS": lambda m, _: m.extend(m.since_mark()),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.since_mark())),
    "TUPLE1": lambda m, _: m.stack.append(tuple(m.last(1))),
    "TUPLE2": lambda m, _: m.stack.append(tuple(m.last(2))),
    "TUPLE3": lambda m, _: m.stack.append(tuple(m.last(3))),
    "LIST": lambda m, _: m.stack.append(m.since_mark()),
    "DICT": lambda m, _: m.stack.append(_pairs(m.since_mark())),
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": lambda m, _: m.put(len(m.memo)),
    "GET": _Machine.get,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
}

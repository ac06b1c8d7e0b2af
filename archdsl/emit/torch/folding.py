"""Layers in a row, written as loops wherever that says the same in less.

Units with equal text and equal numbers repeat; where the numbers grow by equal steps they become a range; otherwise,
if there are enough of them, a table. Fractions may only stand in a table or over a common denominator (a quotient of
two whole numbers has the same bits as the decimal), for adding floats would change their bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, pairwise
from math import lcm

from archdsl.emit.torch.code import Code, Holes, unused_mark
from archdsl.emit.torch.forms import Form, Inexact, Literal, Whole
from archdsl.emit.torch.polynomial import Polynomial, constant, symbol
from archdsl.emit.torch.printing import polynomial_expr

_FEWEST_EQUAL = 3  # equal layers written one by one read better below this
_FEWEST_STEPS = 3
_FEWEST_ROWS = 5


@dataclass(frozen=True, slots=True)
class Item:
    """A layer and how often it stands in a row; `hints` name its numbers, as far as they have names."""

    code: Code
    count: Form
    hints: tuple[str, ...] = ()
    counted: bool = False  # the text itself said how often: never written one by one


@dataclass(frozen=True, slots=True)
class Factor:
    """The units of one factor of a chain, and how many they are together, where an expression says so."""

    items: tuple[Item, ...]
    count: Form


def folded_row(factors: Sequence[Factor]) -> list[Code]:
    """The arguments of an `nn.Sequential` for layers in a row."""
    pieces: list[Code] = []
    for run in _runs(factors):
        pieces.extend(_folded_run(run))
    return pieces


def _runs(factors: Sequence[Factor]) -> Iterable[Factor]:
    """Longest stretches of layers with one text. A factor whose length is an expression stays by itself."""
    flat: list[Item] = []
    for factor in factors:
        if not _is_known(factor.count):
            yield from _plain_runs(flat)
            flat = []
            yield from _counted_runs(factor)
        else:
            flat.extend(factor.items)
    yield from _plain_runs(flat)


def _plain_runs(items: Sequence[Item]) -> Iterable[Factor]:
    for _, run in groupby(items, key=lambda item: item.code.text):
        listed = tuple(run)
        yield Factor(listed, Whole(_total(listed)))


def _counted_runs(factor: Factor) -> Iterable[Factor]:
    """The runs of a factor with an expression for its length; the last run gets what the others leave of it."""
    assert isinstance(factor.count, Whole)
    groups = [tuple(run) for _, run in groupby(factor.items, key=lambda item: item.code.text)]
    rest = factor.count
    for run in groups[:-1]:
        yield Factor(run, Whole(_total(run)))
        rest = Whole(rest.polynomial - _total(run))
    yield Factor(groups[-1], rest)


def _total(items: Sequence[Item]) -> Polynomial:
    total = constant(0)
    for item in items:
        assert isinstance(item.count, Whole)
        total = total + item.count.polynomial
    return total


def _folded_run(run: Factor) -> list[Code]:
    items = _merged(run.items)
    if len(items) == 1:
        return _repeated(items[0], items[0].count if _is_known(run.count) else run.count)
    fewest = _FEWEST_STEPS if _is_known(run.count) else 2
    if all(_once(item) for item in items) and len(items) >= fewest:
        stepped = _stepped(items, run.count)
        if stepped is not None:
            return [stepped]
    if len(items) >= _FEWEST_ROWS:
        return [_table(items)]
    return _with_rest(items, run.count)


def _with_rest(items: list[Item], count: Form) -> list[Code]:
    """Few layers one after the other; where their number is an expression the last one takes the rest of it."""
    pieces = [piece for item in items[:-1] for piece in _repeated(item, item.count)]
    last = items[-1].count
    if isinstance(count, Whole) and not _is_known(count):
        last = Whole(count.polynomial - _total(items[:-1]))
    return [*pieces, *_repeated(items[-1], last)]


def _merged(items: Sequence[Item]) -> list[Item]:
    """Neighbours that are equal made one."""
    merged: list[Item] = []
    for item in items:
        if merged and merged[-1].code == item.code:
            counted = merged[-1].counted or item.counted
            merged[-1] = Item(item.code, Whole(_total((merged[-1], item))), item.hints, counted)
        else:
            merged.append(item)
    return merged


def _is_known(count: Form) -> bool:
    return isinstance(count, Whole) and count.constant is not None


def _once(item: Item) -> bool:
    return isinstance(item.count, Whole) and item.count.constant == 1


def _repeated(item: Item, count: Form) -> list[Code]:
    number = count.constant if isinstance(count, Whole) else None
    if number == 1 or (number is not None and number < _FEWEST_EQUAL and not item.counted):
        return [item.code] * (number or 0)
    holes = Holes()
    return [holes.around(f"*[{holes.code(item.code)} for _ in range({holes.form(count)})]")]


def _stepped(items: list[Item], count: Form) -> Code | None:
    """A loop over a range, where every number grows by equal steps (or stays)."""
    columns = _columns(items)
    steps = [_step(column) for column in columns]
    if any(step is None for step in steps):
        return None
    known = [step for step in steps if step is not None]
    course = _driven(columns, known, items[0].hints) or _Course("i", constant(0), 1)
    mark = unused_mark(course.hint, items[0].code.text)
    pairs = zip(columns, known, strict=True)
    slots = tuple(_at(column[0], step, symbol(mark), course) for column, step in pairs)
    holes = Holes()
    body = holes.code(Code(items[0].code.text, slots))
    over = course.over or holes.form(count)
    return holes.around(f"*[{body} for {mark} in range({over})]")


def _columns(items: Sequence[Item]) -> list[tuple[Form, ...]]:
    return list(zip(*(item.code.slots for item in items), strict=True))


@dataclass(frozen=True, slots=True)
class _Step:
    """How a column grows: by `by`, in units of 1 / `over` for fractions."""

    start: Polynomial
    by: Polynomial
    over: int = 1


def _step(column: Sequence[Form]) -> _Step | None:
    if all(isinstance(form, Whole) for form in column):
        return _even([form.polynomial for form in column if isinstance(form, Whole)], 1)
    if len(set(column)) == 1:
        return _Step(constant(0), constant(0))
    values = [_number(form) for form in column]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    common = lcm(*(value.denominator for value in known))
    step = _even([constant(int(value * common)) for value in known], common)
    exact = all(int(value * common) / common == float(value) for value in known)
    return step if exact else None


def _number(form: Form) -> Fraction | None:
    if isinstance(form, Literal):
        return form.value
    value = form.constant if isinstance(form, Whole) else None
    return None if value is None else Fraction(value)


def _even(values: Sequence[Polynomial], over: int) -> _Step | None:
    steps = {b - a for a, b in pairwise(values)}
    return _Step(values[0], steps.pop(), over) if len(steps) == 1 else None


@dataclass(frozen=True, slots=True)
class _Course:
    """How a loop variable runs: from `first` in steps of `pace`; `over` are the arguments of its range, if special."""

    hint: str
    first: Polynomial
    pace: int
    over: str = ""


def _driven(columns: Sequence[tuple[Form, ...]], steps: Sequence[_Step], hints: tuple[str, ...]) -> _Course | None:
    """A loop over a column itself, where that column is plain numbers and the others that move follow it."""
    moving = [index for index, step in enumerate(steps) if step.by != constant(0)]
    for index in moving:
        start, pace = steps[index].start.constant, steps[index].by.constant
        if start is None or not pace or steps[index].over > 1 or not _follow(steps, moving, pace):
            continue
        stop = start + pace * len(columns[index])
        over = f"{start}, {stop}" + (f", {pace}" if pace != 1 else "")
        return _Course(_hint(hints, index, "n"), constant(start), pace, over)
    return None


def _hint(hints: tuple[str, ...], index: int, default: str) -> str:
    return (hints[index] if index < len(hints) else "") or default


def _follow(steps: Sequence[_Step], moving: Sequence[int], pace: int) -> bool:
    """Whether every moving column takes whole multiples of `pace`."""
    return all((by := steps[index].by.constant) is not None and by % pace == 0 for index in moving)


def _at(first: Form, step: _Step, variable: Polynomial, course: _Course) -> Form:
    """A column's number as an expression in the loop variable."""
    if step.by == constant(0):
        return first
    by = step.by if course.pace == 1 else constant((step.by.constant or 0) // course.pace)
    value = step.start + by * (variable - course.first)
    return Whole(value) if step.over == 1 else Inexact(("/", polynomial_expr(value), step.over))


def _table(items: list[Item]) -> Code:
    """A loop over rows that list what differs from layer to layer, and how often each layer comes."""
    text = items[0].code.text
    marks: dict[tuple[Form, ...], str] = {}
    slots: list[Form] = []
    for index, column in enumerate(_columns(items)):
        if len(set(column)) == 1:
            slots.append(column[0])
            continue
        if column not in marks:
            hint = _hint(items[0].hints, index, "abcdefgh"[len(marks) % 8])
            marks[column] = unused_mark(hint, " ".join((text, *marks.values())))
        slots.append(Whole(symbol(marks[column])))
    return _over_rows(Code(text, tuple(slots)), items, marks)


def _over_rows(body: Code, items: list[Item], marks: dict[tuple[Form, ...], str]) -> Code:
    again, columns, variables = "", list(marks), list(marks.values())
    if not all(_once(item) for item in items):
        variables.append(unused_mark("count", " ".join((body.text, *variables))))
        columns.append(tuple(item.count for item in items))
        again = f" for _ in range({variables[-1]})"
    holes = Holes()
    inner = holes.code(body)
    return holes.around(f"*[{inner} for {', '.join(variables)} in [{_rows(columns, holes)}]{again}]")


def _rows(columns: Sequence[tuple[Form, ...]], holes: Holes) -> str:
    rows = zip(*columns, strict=True)
    if len(columns) == 1:
        return ", ".join(holes.form(form) for (form,) in rows)
    return ", ".join(f"({', '.join(holes.form(form) for form in row)})" for row in rows)

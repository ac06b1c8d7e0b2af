"""R09: numbers are exact or refused: never inf, NaN or rounded; and no message fails over one.

Whole numbers up to 10^5000, decimals, exponents, suffixes, and forms of other languages; arithmetic held against
`fractions.Fraction`. Promised: 10,000 in CI, 1,000,000 in SOAK: the value is equal, or the text is refused.
"""

from __future__ import annotations

import random
import struct
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soak import Tally, shards

from archdsl import deep, render
from archdsl.config import parameters
from archdsl.diagnostic import Diagnostics
from archdsl.elaborate.evaluate import evaluate_alone
from archdsl.elaborate.frame import Assembly, Frame, Session
from archdsl.elaborate.load import Module
from archdsl.elaborate.resolve import resolve
from archdsl.elaborate.values import UNKNOWN
from archdsl.limits import DIGITS, NUMBER
from archdsl.scalar import Scalar
from archdsl.source import Source
from archdsl.syntax import ast
from archdsl.syntax.parser import parse

SCALES = {"": Fraction(1), "K": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9), "%": Fraction(1, 100)}


def value(text: str) -> Fraction | None:
    """The value of an expression; None where it is refused, with messages that could all be shown."""
    bag = Diagnostics()
    source = Source("a.arch", f"a = {text}\n")
    parsed = parse(source, bag)
    found: object = UNKNOWN
    declarations = parsed.file.declarations if parsed is not None else ()
    if not bag.has_errors and len(declarations) == 1 and isinstance(declarations[0], ast.Constant):
        assert parsed is not None
        module = Module(source, parsed.file)
        resolve(module, bag)
        frame = Frame(Session(bag), module, Assembly())
        found = evaluate_alone(declarations[0].value, frame)
    shown = render.text(bag) + render.as_json(bag) + render.github(bag)
    assert "inf" in text or "inf" not in shown
    if not isinstance(found, Scalar):
        assert bag.has_errors, f"{text} is neither a number nor refused"
        return None
    return Fraction(found.value)


def _literal(rng: random.Random) -> tuple[str, Fraction]:
    """A number as written, and what it is worth."""
    whole = str(rng.randrange(10 ** rng.choice((1, 2, 5, 9, 17, 18, 19, 30))))
    part = str(rng.randrange(10 ** rng.choice((1, 3, 8, 17)))) if rng.random() < 0.4 else ""
    power = str(rng.choice((0, 1, -1, 5, -7, 40, -40, 41, 99, -99))) if rng.random() < 0.3 else ""
    scale = rng.choice(list(SCALES)) if rng.random() < 0.4 else ""
    exact = Fraction(int(whole + part), 10 ** len(part)) * Fraction(10) ** int(power or 0) * SCALES[scale]
    mark = rng.choice("eE") + ("+" if power and power[0] != "-" and rng.random() < 0.3 else "")
    spread = "_".join(whole) if rng.random() < 0.1 else whole
    return spread + (f".{part}" if part else "") + (mark + power if power else "") + scale, exact


def _expression(rng: random.Random, room: int) -> tuple[str, Fraction | None]:
    """An expression in brackets, and its exact value; None where it has none."""
    if room == 0 or rng.random() < 0.2:
        return _literal(rng)
    (a, x), (b, y) = _expression(rng, room - 1), _expression(rng, room - 1)
    sign = rng.choice(("+", "-", "*", "/", "//", "%"))
    if x is None or y is None or (sign in "//%" and sign != "*" and y == 0):
        return f"({a} {sign} {b})", None
    exact = {
        "+": lambda: x + y,
        "-": lambda: x - y,
        "*": lambda: x * y,
        "/": lambda: x / y,
        "//": lambda: Fraction(x // y),
        "%": lambda: x % y,
    }[sign]()
    return f"({a} {sign} {b})", exact


def _is_small(exact: Fraction) -> bool:
    return max(abs(exact.numerator), exact.denominator).bit_length() <= NUMBER.value


def _run(seed: str, count: int, tally: Tally) -> int:
    """How many of the numbers were taken; each that was is exact."""
    tally.seed = "numbers/soak"
    print(f"seed {seed!r}")
    taken = 0
    for index in range(count):
        rng = random.Random(f"numbers/{seed}/{index}")
        text, exact = _literal(rng) if rng.random() < 0.5 else _expression(rng, 3)
        with tally.case():
            got = value(text)
        taken += got is not None
        assert got is None or got == exact, f"{text} is {exact}, not {got}"
        digits = sum(c.isdigit() for c in text.lower().partition("e")[0])
        if text.isdigit() and digits <= DIGITS.value:
            assert got == exact, f"{text} was refused"
        if got is not None:
            assert exact is not None
            assert _is_small(exact)
    return taken


@pytest.mark.parametrize("shard", range(2))
def test_numbers_are_exact_or_refused(shard: int) -> None:
    assert deep.run(lambda: _run(f"ci/{shard}", 5_000, Tally())) > 1_500


@pytest.mark.prove
@pytest.mark.promised("R09", of="numbers")
@pytest.mark.parametrize(("first", "count"), shards(1_000_000, 25_000))
def test_a_million_numbers_are_exact_or_refused(first: int, count: int, soak: Tally) -> None:
    assert deep.run(lambda: _run(f"soak/{first // 25_000}", count, soak)) > 0.3 * count


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(0, 10**5000))
def test_whole_numbers_of_any_size(number: int) -> None:
    import sys

    sys.set_int_max_str_digits(0)
    try:
        text = str(number)
    finally:
        sys.set_int_max_str_digits(4300)
    got = value(text)
    assert (got == number) if len(text) <= DIGITS.value else got is None


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(min_size=8, max_size=8))
def test_floats_of_any_bits(bits: bytes) -> None:
    """As Python writes a double: the decimal that is written is what counts, or it is refused."""
    number = struct.unpack("<d", bits)[0]
    text = repr(abs(number))
    got = value(text)
    if text[0].isdigit():
        assert got is None or got == Fraction(text)
    else:
        assert got is None


FOREIGN = (
    *(
        "1e400",
        "1e-400",
        "0x10",
        "0b1",
        "0o7",
        "1_",
        "1__0",
        "_1",
        ".5",
        "5.",
        "1e",
        "1e+",
        "1.2.3",
        "inf",
        "nan",
        "NaN",
    ),
    *(
        "Infinity",
        "-inf",
        "1j",
        "1L",
        "1f",
        "True",
        "False",
        "None",
        '"3"',
        "1 000",
        "1,000",
        "１２",
        "٣",
        "²",
        "1e1e1",
    ),
    *("1KK", "1k", "1%%", "1e5000", "9" * 5000, "1e999999999999", "0." + "1" * 5000, "1e-999999999999", "--", "+1"),
)


@pytest.mark.parametrize("text", FOREIGN, ids=lambda text: text[:12])
def test_forms_of_other_languages_are_refused(text: str) -> None:
    assert value(f"abs({text})") is None


@pytest.mark.parametrize("text", FOREIGN, ids=lambda text: text[:12])
def test_forms_of_other_languages_on_the_command_line(text: str) -> None:
    """`-p n=TEXT` for a whole number: refused, and said."""
    bag = Diagnostics()
    assert parameters({"n": text[:256]}, {"n": "int"}, bag) == {}
    assert render.text(bag)


ARITHMETIC = {
    "1_000": 1000,
    "1.50K": 1500,
    "36.5M": 36_500_000,
    "4.00%": Fraction(4, 100),
    "5e-4": Fraction(5, 10_000),
    "7 / 2": Fraction(7, 2),
    "-7 // 2": -4,
    "-7 % 3": 2,
    "2^-2": Fraction(1, 4),
    "-2^2": -4,
    "2^3^2": 512,
    "7.5 // 2": 3,
    "round(5 / 2)": 3,
    "round(-5 / 2)": -2,
    "floor(-1 / 2)": -1,
    "ceil(-1 / 2)": 0,
    "max(1/3, 1/4)": Fraction(1, 3),
    "sum(1/3 for i in 1..3)": 1,
    "mean(1, 2)": Fraction(3, 2),
    "abs(-1/3)": Fraction(1, 3),
    "0.1 + 0.2": Fraction(3, 10),
    "1/3 * 3": 1,
}


@pytest.mark.parametrize("text", ARITHMETIC)
def test_arithmetic_is_exact(text: str) -> None:
    assert deep.run(lambda: value(text)) == ARITHMETIC[text]


def test_a_number_that_is_rounded_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: a reader that goes through floating point."""
    from archdsl.syntax.build import Builder

    real = Builder._number

    def rounded(self: Builder, token: object) -> ast.Number:
        exact = real(self, token)  # type: ignore[arg-type]
        return ast.Number(Fraction(float(exact.value)), exact.unit, exact.span)

    monkeypatch.setattr(Builder, "_number", rounded)
    with pytest.raises(AssertionError):
        _run("ci/0", 300, Tally())

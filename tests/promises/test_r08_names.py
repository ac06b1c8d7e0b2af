"""R08: names are ASCII and never collide; what is invisible or reorders text is an error, and never shown raw.

Control code points in names, texts, comments, doc comments and paths: all are refused, and no output holds them raw.
Identifiers from all of Unicode: none is accepted (promised: 29 x 4 and 10,000 sampled; here 39 x 5 and 10,000).
"""

from __future__ import annotations

import html
import random
import sys
import unicodedata

import pytest

from archdsl import render
from archdsl.diagnostic import Diagnostic, Severity
from archdsl.pipeline import check, compile, module_name  # noqa: A004
from archdsl.source import Source
from archdsl.syntax.lexer import FORBIDDEN
from promises.feed import read_corpus

pytestmark = pytest.mark.promised("R08", of="tests of names")

CONTROLS = (
    *(0x00, 0x01, 0x07, 0x08, 0x0B, 0x0C, 0x1A, 0x1B, 0x1F, 0x7F, 0x80, 0x85, 0x9B, 0x9F, 0xAD),
    *(0x61C, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2028, 0x2029, 0x202A, 0x202B, 0x202C, 0x202D, 0x202E),
    *(0x2060, 0x2066, 0x2067, 0x2068, 0x2069, 0xFEFF, 0xFFF9, 0xD800, 0xDFFF, 0xE0001, 0xE0041),
)
SLOTS = {
    "name": "a{}b = 1\n",
    "text": 'block b() {{\n    require true, "x{}y"\n    out = in -> relu\n}}\n',
    "comment": "# x{}y\na = 1\n",
    "doc": '"""x{}y"""\na = 1\n',
    "path": 'import "x{}y.arch" {{ a }}\n',
}


def _errors(text: str, name: str = "a.arch") -> list[Diagnostic]:
    return [d for d in check(Source(name, text), reader=read_corpus).diagnostics if d.severity is Severity.ERROR]


@pytest.mark.parametrize("slot", SLOTS)
def test_control_characters_are_refused_and_not_shown(slot: str) -> None:
    assert len(CONTROLS) >= 29
    for point in CONTROLS:
        found = _errors(SLOTS[slot].format(chr(point)))
        assert found, f"U+{point:04X} in a {slot}"
        assert any(f"U+{point:04X}" in d.title for d in found), f"U+{point:04X}: {found[0].title}"
        for shown in (render.text(found), render.text(found, colour=False), render.github(found)):
            assert chr(point) not in shown, f"U+{point:04X} in a {slot}"
        assert chr(point) not in render.as_json(found)


def test_control_characters_in_the_name_of_a_file_are_not_shown() -> None:
    for point in CONTROLS:
        name = f"a{chr(point)}b.arch"
        found = _errors("a = $\n", name)
        assert chr(point) not in render.text(found) + render.github(found)
        assert module_name(Source(name, "")).isascii()


def test_control_characters_in_the_name_of_a_file_are_not_in_the_module() -> None:
    text = "network N() {\n    input x: [1, 4, 4]\n    output = x -> relu\n}\n"
    for point in CONTROLS:
        _, modules = compile(Source(f"a{chr(point)}b.arch", text))
        assert chr(point) not in next(iter(modules.values()))


def test_every_invisible_code_point_is_refused() -> None:
    """All of Unicode: format and control characters, and the letters that show nothing."""
    hidden = [
        c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    ]
    allowed = {"\t", "\n", "\r", *_VISIBLE}
    missed = [f"U+{ord(c):04X}" for c in hidden if not FORBIDDEN.match(c) and c not in allowed]
    assert not missed
    assert not [c for c in map(chr, range(0x20, 0x7F)) if FORBIDDEN.match(c)]


# Format characters that have a shape: signs of Arabic, Syriac, Kaithi and Egyptian writing.
_VISIBLE = {chr(p) for p in (*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD)}
_VISIBLE |= {chr(p) for p in (*range(0x13430, 0x13440), *range(0x1BCA0, 0x1BCA4))}


@pytest.mark.parametrize("shard", range(2))
def test_names_beyond_ascii_are_refused(shard: int) -> None:
    """Letters that Python takes in identifiers, compatibility forms above all: `ﬁlter` is `filter` to Python."""
    rng = random.Random(f"names/{shard}")
    letters = [c for c in map(chr, range(0x80, sys.maxunicode + 1)) if ("a" + c).isidentifier()]
    folded = [c for c in letters if unicodedata.normalize("NFKC", c) != c]
    for _ in range(5_000):
        letter = rng.choice(folded if rng.random() < 0.5 else letters)
        name = rng.choice(("{}", "a{}", "{}b", "re{}lu")).format(letter)
        assert _errors(f"{name} = 1\n"), f"{name!r} was taken for a name"


def test_names_that_python_folds_together_stay_apart() -> None:
    for name in ("ﬁlter", "ｓelf", "ſelf", "ｒelu", "𝐱", "ª", "x²", "ⅷ"):
        assert _errors(f"network N() {{\n    input {name}: [1, 4, 4]\n    output = {name} -> relu\n}}\n")


def test_names_that_differ_in_case_or_underscores_stay_apart() -> None:
    """Each gets a name of its own in the module, which runs."""
    text = """network N() {
    input x: [2, 4, 4]
    conv_a = conv(3, 1)
    Conv_a = conv(3, 1)
    y = x -> conv_a
    Y = y -> Conv_a
    _y = Y -> relu
    y_ = _y + y
    output = y_ + Y + _y
}
"""
    checked, modules = compile(Source("a.arch", text))
    assert not checked.diagnostics.has_errors
    import torch

    space: dict[str, object] = {"__name__": "made"}
    exec(next(iter(modules.values())), space)
    out = space["N"]()(torch.zeros(2, 2, 4, 4))  # type: ignore[operator]
    assert tuple(out.shape) == (2, 3, 4, 4)


def test_what_is_shown_survives_html_and_workflow_commands() -> None:
    found = _errors("a = <script>alert(1)</script> $ %0A::error::x\n")
    shown = render.github(found)
    assert all(line.startswith("::") for line in shown.splitlines())
    assert "<script>" not in html.escape(render.text(found))


def test_a_lexer_that_lets_them_pass_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""
    import re

    monkeypatch.setattr("archdsl.syntax.lexer.FORBIDDEN", re.compile("(?!)"))
    with pytest.raises(AssertionError):
        test_control_characters_are_refused_and_not_shown("comment")

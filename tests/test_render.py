"""What a person sees of a finding: the shape on the language page, whatever the text and the words are made of."""

from __future__ import annotations

import json
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archdsl import limits, render
from archdsl.diagnostic import Diagnostic, Diagnostics, Label, Severity
from archdsl.source import Source, Span
from archdsl.suggest import nearest

NET = Source(
    "specs/net.arch", "\n" * 11 + "    main = in -> conv(32, 3, stride=2) -> bn\n\n    out  = main + in -> relu\n"
)

HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def at(source: Source, text: str) -> Span:
    start = source.text.index(text)
    return Span(source, start, start + len(text))


def finding(primary: Label, *others: Label, severity: Severity = Severity.ERROR, title: str = "no") -> Diagnostic:
    return Diagnostic("T203", severity, title, primary, others)


MISMATCH = Diagnostic(
    "T203",
    Severity.ERROR,
    "`+` needs equal shapes",
    Label(at(NET, "main + in"), "[32, 16, 16] + [16, 32, 32]"),
    (Label(at(NET, "in -> conv(32, 3, stride=2) -> bn"), "this is [32, 16, 16]"),),
    ("in block `basic`, called from specs/net.arch:31 (conv2, unit 1 of 3)",),
    "give the skip a projection: `in -> shortcut(32, stride=2)`",
)


def test_the_example_of_the_language_page() -> None:
    assert render.text([MISMATCH]) == (
        "error[T203]: `+` needs equal shapes\n"
        "   ┌─ specs/net.arch:14:12\n"
        "12 │     main = in -> conv(32, 3, stride=2) -> bn\n"
        "   │            --------------------------------- this is [32, 16, 16]\n"
        "14 │     out  = main + in -> relu\n"
        "   │            ^^^^^^^^^ [32, 16, 16] + [16, 32, 32]\n"
        "   = in block `basic`, called from specs/net.arch:31 (conv2, unit 1 of 3)\n"
        "   = hint: give the skip a projection: `in -> shortcut(32, stride=2)`\n"
        "\n"
        "1 error in 1 file\n"
    )


def test_colour_only_on_request_and_only_around_the_same_text() -> None:
    coloured = render.text([MISMATCH], colour=True)
    assert "\x1b[1;31m^^^^^^^^^ " in coloured
    plain = coloured
    for code in ("1;31", "1", "34", "0"):
        plain = plain.replace(f"\x1b[{code}m", "")
    assert plain == render.text([MISMATCH])


def body(text: str, *labels: tuple[str, str]) -> list[str]:
    """The snippet lines for labels on pieces of `text`, the first of them primary."""
    source = Source("a.arch", text)
    primary, *others = (Label(at(source, piece), words) for piece, words in labels)
    return render.one(finding(primary, *others)).splitlines()[2:]


def test_several_labels_on_one_line() -> None:
    assert body("a + b -> c", ("+", "this"), ("a", "left"), ("c", "after")) == [
        "1 │ a + b -> c",
        "  │ - left",
        "  │   ^ this",
        "  │          - after",
    ]


def test_tabs_are_expanded() -> None:
    assert body("\ta\tb\n", ("b", "here")) == ["1 │     a   b", "  │         ^ here"]


def test_wide_and_combining_characters_keep_the_underline_in_place() -> None:
    assert body('"漢字" + x', ("x", "")) == ['1 │ "漢字" + x', "  │          ^"]
    assert body('"e\u0301" + x', ("x", "")) == ['1 │ "e\u0301" + x', "  │       ^"]


def test_hidden_characters_are_shown_as_numbers() -> None:
    assert body('"\u202e\x1b" + x', ("x", "\x07")) == [r'1 │ "\u{202e}\u{1b}" + x', "  │ " + " " * 19 + r"^ \u{7}"]


def test_a_label_over_several_lines() -> None:
    assert body("f(a,\n  b,\n  c)\n", ("f(a,\n  b,\n  c)\n", "all")) == [
        "1 │ f(a,",
        "  │ ^^^^",
        "3 │   c)",
        "  │   ^^ all",
    ]


@pytest.mark.parametrize("text", ["", "\n", "a\n", "a", "a\r\n"])
def test_the_end_of_the_text_can_be_blamed(text: str) -> None:
    source = Source("a.arch", text)
    shown = render.one(finding(Label(Span(source, len(text), len(text)), "more was expected")))
    assert shown.rstrip().endswith("^ more was expected")


def test_a_long_line_is_shown_around_its_labels() -> None:
    lines = body("x" * 300 + "BAD" + "y" * 300, ("BAD", "here"), ("yyy", "near"))
    assert lines == [
        "1 │ …" + "x" * 40 + "BAD" + "y" * 77 + "…",
        "  │ " + " " * 41 + "^^^ here",
        "  │ " + " " * 44 + "--- near",
    ]


def test_a_megabyte_on_one_line_costs_nothing() -> None:
    source = Source("a.arch", "a" * 250_000)
    found = [finding(Label(Span(source, i * 2000, 250_000), "here")) for i in range(100)]
    began = time.process_time()
    shown = render.text(found)
    assert time.process_time() - began < 0.5
    assert len(shown) < 50_000


def test_labels_elsewhere_have_their_own_snippet() -> None:
    library = Source("std.residual", "require a == b\n", library=True)
    shown = render.one(finding(Label(at(NET, "relu"), "here"), Label(at(library, "a == b"), "asked here")))
    assert shown.splitlines()[1:] == [
        "   ┌─ specs/net.arch:14:25",
        "14 │     out  = main + in -> relu",
        "   │                         ^^^^ here",
        "   ┌─ std.residual:1:9",
        " 1 │ require a == b",
        "   │         ------ asked here",
    ]


def test_notes_of_several_lines_stay_under_their_sign() -> None:
    diagnostic = Diagnostic("L101", Severity.NOTE, "t", Label(at(NET, "relu")), notes=("one\ntwo",), hint="do\nthis")
    assert render.one(diagnostic).splitlines()[-4:] == ["   = one", "     two", "   = hint: do", "           this"]


def test_a_hundred_are_shown_errors_first_and_the_rest_counted() -> None:
    warnings = [finding(Label(Span(NET, i, i)), severity=Severity.WARNING) for i in range(12)] * 15
    shown = render.text([*warnings, MISMATCH])
    assert shown.count("warning[") == limits.DIAGNOSTICS.value - 1
    assert shown.count("error[") == 1
    assert shown.endswith("\nand 81 more\n\n1 error, 180 warnings in 1 file\n")
    assert json.loads(render.as_json([*warnings, MISMATCH]))["omitted"] == 81


def test_messages_are_bounded() -> None:
    assert len(render.one(finding(Label(at(NET, "relu"), "x" * 10**6), title="y" * 10**6))) < 5000


def test_json_fields() -> None:
    record = json.loads(render.as_json([MISMATCH]))
    assert list(record) == ["version", "diagnostics", "omitted", "summary"]
    assert record["summary"] == {"errors": 1, "warnings": 0, "notes": 0}
    (one,) = record["diagnostics"]
    assert one["labels"][1] == {
        "file": "specs/net.arch",
        "line": 12,
        "column": 12,
        "end_line": 12,
        "end_column": 45,
        "text": "this is [32, 16, 16]",
    }
    assert (one["code"], one["severity"], one["line"], one["column"]) == ("T203", "error", 14, 12)
    assert one["hint"] == MISMATCH.hint


def test_github_commands_are_one_line_each_and_escaped() -> None:
    diagnostic = finding(Label(at(NET, "relu"), "50%\n::error::x"), title="a, b: c\n")
    assert render.github([diagnostic]) == (
        "::error file=specs/net.arch,line=14,endLine=14,col=25,endColumn=29,title=T203%3A a%2C b%3A c\\u{a}"
        "::a, b: c%0A50%25%0A::error::x\n"
    )


@given(st.text(max_size=200), st.text(max_size=50), st.data())
def test_nothing_misleading_leaves_the_renderer(text: str, words: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    label = Label(Span(Source(words, text), start, end), words)
    diagnostic = Diagnostic(words, Severity.ERROR, words, label, (label,), (words,), words)
    for shown in (render.text([diagnostic]), render.github([diagnostic]), render.as_json([diagnostic])):
        assert {unicodedata.category(char) for char in shown.replace("\n", "")} & {
            "Cc",
            "Cf",
            "Cs",
            "Zl",
            "Zp",
        } == set()
        shown.encode("utf-8")


def test_findings_come_in_reading_order_and_once() -> None:
    bag = Diagnostics()
    for piece in ("relu", "main", "relu"):
        bag.add(finding(Label(at(NET, piece))))
    assert [d.primary.span.text for d in bag] == ["main", "relu"]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("cnov", "conv"),
        ("Conv", "conv"),
        ("bm", "bn"),
        ("globl_avgpool", "global_avg_pool"),
        ("xyz", None),
        ("x", None),
    ],
)
def test_the_nearest_name(wrong: str, right: str | None) -> None:
    assert nearest(wrong, ["relu", "conv", "bn", "global_avg_pool", "linear"]) == right

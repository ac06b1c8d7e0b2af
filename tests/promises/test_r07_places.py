"""R07: every message has place, cause and fix, with the right line and column whatever the line ends and letters.

A marker error is put at a random place of a valid text in six encodings (LF, CRLF, CR, a byte order mark, tabs, letters
beyond the basic plane); where it must be found is computed here, by splitting lines, not by the compiler's own code.
Promised: 2,000 in CI, 50,000 in SOAK, all exact; and golden text for every code (`tests/cases` and `tests/lint_cases`).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from soak import Tally, shards

from archdsl import explain, render
from archdsl.diagnostic import Severity
from archdsl.inputs import read
from archdsl.pipeline import check
from archdsl.source import Source
from promises.corpus import LIBRARY, SMALL, SPECS, trimmed
from promises.feed import read_corpus

ROOT = Path(__file__).parents[2]
MARKER = "zzzmarker"


def _crlf(text: str) -> str:
    return text.replace("\n", "\r\n")


def _cr(text: str) -> str:
    return text.replace("\n", "\r")


def _tabs(text: str) -> str:
    return re.sub(r"(?m)^ +", lambda found: "\t" * (len(found[0]) // 2 + 1), text)


def _astral(text: str) -> str:
    """Comments of letters beyond the basic plane at line starts and, in block form, none; doc comments of them."""
    lines = [
        f"# \U0001d538\U0001f600é\n{line}" if n % 3 == 0 and not inside else line for n, line, inside in _lines(text)
    ]
    return "\n".join(lines)


def _lines(text: str) -> Iterator[tuple[int, str, bool]]:
    inside = False
    for number, line in enumerate(text.split("\n")):
        yield number, line, inside
        inside ^= line.count('"""') == 1


FORMS: dict[str, Callable[[str], str]] = {
    "LF": lambda text: text,
    "CRLF": _crlf,
    "CR": _cr,
    "mark": lambda text: "\ufeff" + text,
    "tabs": _tabs,
    "astral": _astral,
}
# Texts that are checked in a few milliseconds.
_QUICK = {name: trimmed(SPECS[name]) for name in ("lenet-5.arch", "resnet.arch", "wrn.arch", "preresnet.arch")}
TEXTS = {k: v for k, v in {**_QUICK, **LIBRARY, **SMALL}.items() if "\r" not in v and v.endswith("\n")}
# Where a marker can stand: an unknown character before a word, an unknown name in the place of one.
_NAME = re.compile(r"(?<![\w.\"#])(relu|bn)(?![\w\"=(:])")


def _places(text: str) -> list[tuple[int, int, str]]:
    """Start, end and text of the mistakes that can be put into a text, each found at its start."""
    plain = re.sub(r'"""(?s:.*?)"""|"[^"\n]*"|#[^\r\n]*', lambda m: re.sub(r"[^\r\n]", "\x01", m[0]), text)
    names = [(m.start(), m.end(), MARKER) for m in _NAME.finditer(plain)]
    characters = [(m.start(), m.start(), "$") for m in re.finditer(r"(?<![\w\x01])[A-Za-z_]", plain)]
    astral = [(m.start(), m.start(), "\U0001f600") for m in re.finditer(r"(?<![\w\x01])[A-Za-z_]", plain)]
    return [*names, *characters, *astral]


def _expected(text: str, at: int) -> tuple[int, int]:
    """Line and column of an offset, by splitting: independent of `Source`."""
    before = re.split(r"\r\n|\r|\n", text[:at])
    if text[:at].endswith("\r") and text[at : at + 1] == "\n":
        raise AssertionError("no marker stands between CR and LF")
    return len(before), len(before[-1]) + 1


def _check(rng: random.Random, folder: Path) -> None:
    name, form = rng.choice(list(TEXTS)), rng.choice(list(FORMS))
    text = FORMS[form](TEXTS[name])
    start, end, mistake = rng.choice(_places(text))
    wrong = text[:start] + mistake + text[end:]
    line, column = _expected(wrong.removeprefix("\ufeff"), start - wrong.startswith("\ufeff"))
    path = folder / "marked.arch"
    path.write_bytes(wrong.encode())
    source = read(str(path))
    errors = [d for d in check(source, reader=read_corpus).diagnostics if d.severity is Severity.ERROR]
    seen = [d for d in errors if mistake in d.title]
    where = f"{name} in {form}, {mistake!r} at {line}:{column}"
    assert seen, f"{where}: {[d.title for d in errors]}"
    assert [d.primary.span.position for d in seen[:1]] == [(line, column)], where
    record = json.loads(render.as_json(seen[:1]))["diagnostics"][0]
    assert (record["line"], record["column"]) == (line, column), where
    assert f":{line}:{column}\n" in render.one(seen[0]), where


@pytest.mark.parametrize("shard", range(4))
def test_a_mistake_is_found_where_it_stands(shard: int, tmp_path: Path) -> None:
    _run(f"ci/{shard}", 500, tmp_path, Tally())


@pytest.mark.prove
@pytest.mark.promised("R07", of="places")
@pytest.mark.parametrize(("first", "count"), shards(50_000, 2_500))
def test_fifty_thousand_mistakes_are_found_where_they_stand(
    first: int, count: int, tmp_path: Path, soak: Tally
) -> None:
    _run(f"soak/{first // 2_500}", count, tmp_path, soak)


def _run(seed: str, count: int, folder: Path, tally: Tally) -> None:
    tally.seed = "places/soak"
    print(f"seed {seed!r}")
    for index in range(count):
        with tally.case():
            _check(random.Random(f"places/{seed}/{index}"), folder)


# ---- place, cause and fix, for every code ------------------------------------------------------------------------


def _golden() -> str:
    folders = (ROOT / "tests" / "cases", ROOT / "tests" / "lint_cases")
    return "\n".join(
        path.read_text(encoding="utf-8") for f in folders for path in sorted(f.rglob("*.*")) if path.is_file()
    )


@pytest.mark.promised("R07", of="tests of codes")
def test_every_code_has_a_golden_message() -> None:
    shown = set(re.findall(r"(?:error|warning|note)\[([A-Z]\d{3})\]", _golden()))
    assert {page.code for page in explain.pages()} <= shown


def test_every_page_says_what_is_wrong_and_what_is_right() -> None:
    for page in explain.pages():
        assert page.text.strip(), page.code
        if page.code.startswith("L"):
            assert re.search(r"(?m)^    \S", page.text), f"{page.code} shows no example"
        else:
            assert re.search(r"Wrong[:,] ", page.text), page.code


def test_a_column_that_is_off_by_one_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The negative control."""
    real = Source.position
    monkeypatch.setattr(Source, "position", lambda self, offset: (real(self, offset)[0], real(self, offset)[1] - 1))
    with pytest.raises(AssertionError):
        _run("ci/0", 5, tmp_path, Tally())


def test_a_reader_that_takes_no_returns_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The negative control: lines that end with LF alone."""
    monkeypatch.setattr("archdsl.source._LINE_END", re.compile("\n"))
    with pytest.raises(AssertionError):
        _run("ci/0", 100, tmp_path, Tally())

"""The table of a zoo in all its forms, and the README's copy of it."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from archdsl import Request, check, commands
from archdsl.report import FORMS, Entry, entries
from archdsl.source import Source

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- archdsl report specs --format markdown -->\n\n", "\n<!-- end of the report -->"
FAMILY = """
network Net(width = 16) {
    input image: [3, 32, 32]
    output = image -> conv(width, 3) -> relu -> global_avg_pool -> linear(10)
    expect params = 602, macs = 442_528, depth = 2
    reported memory = 12.5M, error(cifar10) = 40.1%
}

variants {
    net_16 = Net, params = 602, error(cifar10) = 40.1%, error(svhn) = 20%, memory = 12.5M
    net_32 = Net(32), params ~ 1.2K, macs = 885_056
}
"""


def table(text: str = FAMILY) -> list[Entry]:
    return entries([check(Source("family.arch", text), Request())])


def test_a_row_has_everything_that_is_known_and_printed() -> None:
    one, two = table()
    assert (one.spec, one.network, one.depth, one.params, one.macs, one.features) == (
        *("family", "net_16", 2),
        *(602, 442_528, 16),
    )
    assert (one.printed_memory, two.printed_memory) == (12_500_000, None)
    assert (one.errors, two.errors) == ({"cifar10": 40.1, "svhn": 20.0}, {})
    assert (one.claimed, two.claimed) == ("", "1.2K")
    assert one.memory == 128 * 4 * (3 * 1024 + 16 * 1024 + 16) + 3 * 4 * 602
    assert (one.checked, two.checked) == (4, 2)  # its row and the network's own; its row


def test_text_has_a_column_for_what_any_row_has() -> None:
    head, one, two, *_ = FORMS["text"](table()).splitlines()
    for title in ("network", "depth", "parameters", "paper", "MACs", "features", "training MB", "printed MB", "svhn %"):
        assert title in head
    assert one.split() == ["net_16", "2", "602", "442,528", "16", "10", "12", "4", "40.10", "20.00"]
    assert two.split()[:5] == ["net_32", "2", "1,194", "1.2K", "885,056"]
    assert "printed MB" not in FORMS["text"](table(FAMILY.replace("memory = 12.5M", "loss = 1")))


def test_every_form_holds_the_same_cells() -> None:
    rows = table()
    lines = list(csv.reader(io.StringIO(FORMS["csv"](rows))))
    markdown = [[cell.strip() for cell in line.split("|")[1:-1]] for line in FORMS["markdown"](rows).splitlines()]
    assert [[cell.replace(",", "") for cell in line] for line in (markdown[0], *markdown[2:])] == lines
    latex = [line for line in FORMS["latex"](rows).splitlines() if line.endswith("\\\\")]
    assert [re.sub(r" \\\\$", "", line).replace("\\", "").replace(",", "").split(" & ") for line in latex] == lines
    assert [row["params"] for row in json.loads(FORMS["json"](rows))] == [602, 1194]
    assert set(json.loads(FORMS["json"](rows))[0]) == set(Entry.__dataclass_fields__)


def test_a_claim_that_does_not_hold_is_told_and_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wrong.arch"
    path.write_text(FAMILY.replace("params = 602, error", "params = 603, error"), encoding="utf-8")
    assert commands.report([str(path)], "text") == 1
    assert "C501" in capsys.readouterr().err


def test_the_readme_shows_the_report_as_it_is(update: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    files = [
        check(Source(str(path), path.read_text(encoding="utf-8"))) for path in sorted(Path("specs").glob("*.arch"))
    ]
    found, path = FORMS["markdown"](entries(files)), ROOT / "README.md"
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    shown, end, after = rest.partition(END)
    assert begin
    assert end
    if update and shown != found:
        path.write_text(before + begin + found + end + after, encoding="utf-8")
    else:
        assert shown == found, "write it again with `pytest tests/test_report.py --update`"

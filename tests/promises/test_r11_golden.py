"""R11: nothing changes silently between versions.

The graph, the diagnostics, the code and the summary of more than 200 programs are compared with what is kept: by digest
for all, in full for the small programs of `promises.corpus`. Changes are made with `pytest --update`, and read.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from promises.corpus import SMALL
from promises.golden import FOLDER, KINDS, corpus, digests, printed

pytestmark = pytest.mark.promised("R11", of="tests of programs")

TABLE = FOLDER / "digests.txt"
FULL = FOLDER / "full"


def _kept() -> dict[str, str]:
    lines = TABLE.read_text(encoding="utf-8").splitlines() if TABLE.exists() else []
    return dict(line.split("  ", 1) for line in lines)


def test_nothing_changed(update: bool) -> None:
    found = {name: printed(name, text) for name, text in corpus().items()}
    now = {name: digests(parts) for name, parts in found.items()}
    if update:
        TABLE.write_text("".join(f"{name}  {line}\n" for name, line in now.items()), encoding="utf-8")
    assert len(now) >= 200
    kept = _kept()
    changed = [
        f"{name}: {_difference(kept.get(name, ''), line)}" for name, line in now.items() if kept.get(name) != line
    ]
    changed += [f"{name} is gone" for name in kept.keys() - now.keys()]
    assert not changed, "\n".join(["what archdsl makes of these changed; `pytest --update`, and read it:", *changed])


def _difference(kept: str, now: str) -> str:
    before, after = kept.split(), now.split()
    return ", ".join(kind for kind, a, b in zip(KINDS, before, after, strict=False) if a != b) or "is new"


@pytest.mark.parametrize("name", SMALL)
def test_a_small_program_in_full(name: str, update: bool) -> None:
    parts = printed(f"small/{name}", SMALL[name])
    text = "".join(f"--- {kind}\n{parts[kind]}\n" for kind in ("diagnostics", "graph") if parts[kind])
    path: Path = FULL / f"{name}.txt"
    if update:
        FULL.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    assert path.read_text(encoding="utf-8") == text


def test_a_change_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: one word of one message."""
    from archdsl.elaborate import errors

    text = "network N() {\n    input x: [1, 4, 4]\n    output = x -> rleu\n}\n"
    before = digests(printed("a.arch", text))
    monkeypatch.setattr(errors, "_meant", lambda name, candidates: None)
    assert _difference(before, digests(printed("a.arch", text))) == "diagnostics"

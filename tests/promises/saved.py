"""Inputs that once broke a promise: kept in `tests/crashes`, fed again in every run."""

from __future__ import annotations

import hashlib
from pathlib import Path

CRASHES = Path(__file__).parents[1] / "crashes"


def keep(text: str) -> Path:
    """Keep a text that failed, under a name made from it."""
    CRASHES.mkdir(exist_ok=True)
    data = text.encode("utf-8", "surrogatepass")
    path = CRASHES / f"found-{hashlib.sha256(data).hexdigest()[:12]}.arch"
    path.write_bytes(data)
    return path


def kept() -> list[Path]:
    """All texts that were kept."""
    return sorted(CRASHES.glob("*.arch"))


def read(path: Path) -> str:
    """A kept text as it was, line ends and lone surrogates included."""
    return path.read_bytes().decode("utf-8", "surrogatepass")


def keep_input(target: str, data: bytes) -> Path:
    """Keep an input of the fuzzer's that failed; its ending is the target."""
    path = CRASHES / f"found-{hashlib.sha256(data).hexdigest()[:12]}.{target}"
    path.write_bytes(data)
    return path


def kept_inputs() -> list[Path]:
    """All inputs of the fuzzer's that were kept."""
    return sorted(path for path in CRASHES.iterdir() if path.suffix != ".arch")

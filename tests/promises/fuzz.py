"""Coverage-guided fuzzing with atheris (libFuzzer): `python -m promises.fuzz TARGET FOLDER [-libfuzzer=option]...`.

Inputs grow towards code that none has reached yet. FOLDER is for what the run writes: its corpus, and the input that
it stopped at. Runs until an input breaks a promise, or the time given by `-max_total_time` is over.
"""

from __future__ import annotations

import random
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import atheris

SECONDS = 1.0  # of CPU time for one input, as R02 has it; the bytes of one are too few to need more


class Choices(random.Random):
    """Random choices taken from bytes, so that the fuzzer steers a generator; past their end, from a fixed seed."""

    def __init__(self, data: bytes) -> None:
        super().__init__(0)
        self._data, self._at = data, 0

    def getrandbits(self, k: int) -> int:
        size = (k + 7) // 8
        piece = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(piece, "little") % (1 << k) if len(piece) == size else super().getrandbits(k)

    def random(self) -> float:
        return self.getrandbits(24) / (1 << 24)


def text_of(target: str, data: bytes) -> str:
    """The text that a target makes of an input."""
    if target == "generator":
        from networks.generator import Writer

        return Writer(Choices(data)).text()
    return data.decode("utf-8", "ignore")


def parser(text: str) -> None:
    """Tokens, tree, and the findings as text."""
    from archdsl import render
    from archdsl.diagnostic import Diagnostics
    from archdsl.source import Source
    from archdsl.syntax.parser import parse

    bag = Diagnostics()
    parse(Source("a.arch", text), bag)
    render.text(bag)


def validator(text: str) -> None:
    """Everything that a command does with a text."""
    from promises.feed import feed

    feed(text)


def generator(text: str) -> None:
    """A program that is valid: its module is made, and holds only what it may."""
    from archdsl import render
    from promises.feed import feed

    fed = feed(text)
    assert fed.modules, f"a valid program is refused: {render.text(fed.checked.diagnostics)}\n{text}"


TEXTS: dict[str, Callable[[str], None]] = {"parser": parser, "validator": validator, "generator": generator}
TARGETS = (*TEXTS, "data")
LARGEST = {"parser": 4096, "validator": 2048, "generator": 1024, "data": 8192}  # bytes of an input


def prepared(target: str, folder: Path) -> Callable[[bytes], None]:
    """What is done with each input of a target; an exception is a failure."""
    if target != "data":
        return lambda data: TEXTS[target](text_of(target, data))
    from promises import datasets

    datasets.prepare(folder)
    return lambda data: datasets.feed(data, folder)


def timed(once: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The same; what takes too long is a failure too."""

    def watched(data: bytes) -> None:
        began = time.process_time()
        once(data)
        took = time.process_time() - began
        assert took < SECONDS, f"R02: {took:.2f} CPU seconds"

    return watched


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Changes of bytes, and as often of tokens, so that what comes out is still nearly a program."""
    from promises.mutator import changed

    rng = random.Random(seed)
    if rng.random() < 0.5:
        return atheris.Mutate(data, most)
    return changed(data.decode("utf-8", "ignore"), rng).encode("utf-8", "ignore")[:most]


def seeds(target: str) -> list[bytes]:
    """What the search starts from."""
    from promises.corpus import SMALL

    if target == "data":
        from promises.datasets import seeds

        return seeds()
    if target == "generator":
        return [random.Random(i).randbytes(200) for i in range(20)]
    return [text.encode() for text in SMALL.values()]


def main(plant: Callable[[], None] = lambda: None) -> None:
    """The command described above. `plant` is called when all is loaded: negative controls put a mistake there."""
    target, folder, options = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    with atheris.instrument_imports(include=["archdsl"]):
        once = prepared(target, folder)
        for number, data in enumerate(seeds(target)):
            (corpus / f"seed-{number}").write_bytes(data)
            once(data)  # loads what is loaded only when it is needed
    plant()
    limits = ["-timeout=10", "-rss_limit_mb=1024", f"-max_len={LARGEST[target]}", "-print_final_stats=1"]
    arguments = [sys.argv[0], str(corpus), f"-artifact_prefix={folder}/", *limits, *options]
    own = {} if target in ("generator", "data") else {"custom_mutator": mutate}
    _deepen()
    atheris.Setup(arguments, timed(once), **own)
    atheris.Fuzz()


def _deepen() -> None:
    """The main thread as `deep.run` makes one: a thread for each input would take longer than the input."""
    from archdsl import deep

    _, most = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (deep._STACK, most))
    sys.setrecursionlimit(deep._FRAMES)
    threading.current_thread().name = deep._NAME


if __name__ == "__main__":
    main()

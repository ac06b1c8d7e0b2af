"""R16: no text from a spec can become code; the templates are the package's own.

Payloads in every place of a file that a name, a text, a comment or a path can stand in: the module that comes out is
Python, holds only what a list written for this test allows, and no payload in any other form than as part of a
constant or comment that cannot end. Texts that reach the module as values are equal to what was written.
Promised: 60 payloads x every slot, 20,000 fuzzed inputs in CI and 500,000 in SOAK. The fuzzed ones are payloads put
together at random in every slot (600 here, 100,000 in `make prove`) and the inputs of R01, in which every module is held
against the same list (12,000 here, 300,000 in `make prove`). No user templates exist.
"""

from __future__ import annotations

import ast
import io
import random
import re
import string
import tokenize
from collections.abc import Callable
from pathlib import Path

import pytest
from soak import SEED, Tally, shards

from archdsl.pipeline import compile, module_name  # noqa: A004
from archdsl.source import Source
from promises.feed import read_corpus
from promises.pycode import constants, escapes

ROOT = Path(__file__).parents[2]
CALL = "__import__('os').system('touch pwned')"
PAYLOADS = (
    CALL,
    f"x; {CALL}",
    f'x"; {CALL} #',
    f"x'; {CALL} #",
    f'x\\"; {CALL} #',
    f"x\\'; {CALL} #",
    f'""" ; {CALL} ; """',
    f"''' ; {CALL} ; '''",
    f'"""\n{CALL}\n"""',
    f"\n{CALL}\n",
    f"\r{CALL}\r",
    f"\r\n{CALL}\r\n",
    f"\x0b{CALL}",
    f"\x0c{CALL}",
    f"\x1c{CALL}",
    f"\x85{CALL}",
    f"\u2028{CALL}",
    f"\u2029{CALL}",
    f"\x00{CALL}",
    f"\ufeff{CALL}",
    f"\u202e{CALL}",
    "\\",
    "\\\\",
    '\\"',
    '"',
    '""',
    '"""',
    "'''",
    '""""',
    '\\"""',
    "#",
    "# type: ignore",
    "# -*- coding: utf-7 -*-",
    "+AGYAbwBv-",
    "{{ 7*7 }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{# comment #}",
    "{{ self._TemplateReference__context }}",
    "{%raw%}",
    "${7*7}",
    "%(x)s",
    "%s%n%x",
    "{0.__class__}",
    "{x!r:{y}}",
    f"{{{CALL}}}",
    "f'{__import__(\"os\")}'",
    "\\N{BULLET}",
    "\\x22; import os #",
    "\\u0022; import os #",
    "\\042; import os #",
    "\\\n",
    ")\nimport os\n(",
    "]]>",
    "<script>alert(1)</script>",
    "../../../etc/passwd",
    "$(touch pwned)",
    "`touch pwned`",
    "lambda: 0",
    "self.__class__",
    "ﬁlter",
    "é" * 500,
    "\U0001f600",
    "a" * 5000,
    "0); import os; (0",
    "None, x=__import__('os')",
    "@property",
    "if __name__ == '__main__':",
)
NETWORK = """{doc}
{comment}
import std.residual {{ basic }}

block unit(width = 4, mode = {text}) {{  {comment}
    {doc}
    require mode == {text}, {text}
    y = in -> conv(width, 3) {comment}
    out = y -> relu
}}

network Net(n = 2, label = {text}) {{
    {doc}
    input image: [4, 8, 8]
    {comment}
    a = image -> unit(4, {text}) * n
    b = a -> unit(4, label) {comment}
    output = b -> basic(4) -> flatten -> linear(2)
    reported error({text}) = 1%
}}

variants {{
    v = Net(2, {text}), error({text}) = 2%
}}
"""


def _quoted(payload: str) -> str:
    """The payload as a text of the language."""
    line = payload.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + line.replace("\n", "\\n").replace("\t", "\\t").replace("\r", " ") + '"'


def _raw(payload: str) -> str:
    """Between quotes as it is: may end the text early, which is then a mistake or a shorter text."""
    return f'"{payload}"'


def _doc(payload: str) -> str:
    return f'"""{payload}"""'


def _comment(payload: str) -> str:
    return f"# {payload}"


def _named(word: str) -> Callable[[str], str]:
    """The payload in the place of a word of the network."""
    return lambda payload: NETWORK.format(text='"a"', doc="", comment="").replace(word, payload)


SLOTS = {
    "text": lambda p: NETWORK.format(text=_quoted(p), doc="", comment=""),
    "raw text": lambda p: NETWORK.format(text=_raw(p), doc="", comment=""),
    "doc": lambda p: NETWORK.format(text='"a"', doc=_doc(p), comment=""),
    "comment": lambda p: NETWORK.format(text='"a"', doc="", comment=_comment(p)),
    "condition": lambda p: NETWORK.format(text='"a"', doc="", comment="").replace(
        "    out = y -> relu\n", f"    if mode == {_quoted(p)} {{\n        out = y\n    }} else {{\n        out = y -> relu\n    }}\n"
    ),
    "everywhere": lambda p: NETWORK.format(text=_quoted(p), doc=_doc(p), comment=_comment(p)),
    **{
        f"name of {what}": _named(word)
        for what, word in {
            "a block": "unit",
            "a network": "Net",
            "a parameter": "mode",
            "an input": "image",
            "a layer": "relu",
            "a variant": "v =",
            "a module": "std.residual",
            "an import": "basic",
        }.items()
    },
    "path": lambda p: f'import "{p}.arch" {{ unit }}\n' + NETWORK.format(text='"a"', doc="", comment=""),
    "extern": lambda p: NETWORK.format(text='"a"', doc="", comment="").replace(
        "block unit", f'extern odd(): [C, H, W] -> [C, H, W] = {_quoted(p)}, params = 0\nblock unit'
    ).replace("y = in ->", "y = in -> odd ->"),
    "number": lambda p: NETWORK.format(text='"a"', doc="", comment="").replace("n = 2", f"n = {p}"),
}  # fmt: skip


def _checked(text: str, name: str = "a.arch", externs: frozenset[str] = frozenset()) -> ast.Module | None:
    """The tree of the module of a text, held against the list; None where the text is refused.

    externs: the Python modules that the text asks for.
    """
    _, modules = compile(Source(name, text), reader=read_corpus)
    if not modules:
        return None
    (module,) = modules.values()
    tree = ast.parse(module)
    assert not escapes(tree, externs), escapes(tree, externs)
    assert not [t for t in _words(module) if t in ("pwned", "os", "system", "__import__", "import_module")], module
    assert all(c == "\n" or c >= " " for c in module)
    return tree


def _words(module: str) -> list[str]:
    """The names that Python sees in a module."""
    return [t.string for t in tokenize.generate_tokens(io.StringIO(module).readline) if t.type == tokenize.NAME]


@pytest.mark.promised("R16", of="payloads in slots")
@pytest.mark.parametrize("slot", SLOTS)
def test_a_payload_stays_text(slot: str, soak: Tally) -> None:
    assert len(PAYLOADS) >= 60
    _check_all(slot, soak)


def _check_all(slot: str, tally: Tally) -> None:
    for payload in PAYLOADS:
        with tally.case():
            _checked(SLOTS[slot](payload))


def test_texts_that_may_stand_anywhere_do_compile() -> None:
    """Else the test above would say nothing: most payloads are fine in texts, comments and docs, and give modules."""
    for slot, least in (("text", 45), ("comment", 38), ("doc", 35)):
        assert sum(_checked(SLOTS[slot](payload)) is not None for payload in PAYLOADS) >= least, slot


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_the_name_of_a_file_stays_text(payload: str) -> None:
    text = NETWORK.format(text='"a"', doc="", comment="")
    for name in (f"{payload}.arch", f"dir/{payload}", payload):
        assert _checked(text, name) is not None
        assert module_name(Source(name, "")).removesuffix(".py").isidentifier()
        assert module_name(Source(name, "")).isascii()


_CONSTANTS = """network Net() {{
    input image: [4, 8, 8]
    a = image -> dropout({p}) -> leaky_relu({slope}) -> affine({scale}, {shift})
    output = a -> flatten -> linear({width})
}}
"""


def test_numbers_reach_the_module_as_they_are() -> None:
    rng = random.Random("constants")
    for _ in range(150):
        p, slope, scale, shift = (round(rng.random(), rng.randint(1, 12)) for _ in range(4))
        width = rng.randrange(2, 900)
        text = _CONSTANTS.format(
            p=f"{p:.12f}", slope=f"{slope:.12f}", scale=f"{scale:.12f}", shift=f"{shift:.12f}", width=width
        )
        tree = _checked(text)
        assert tree is not None
        wanted = {slope, width} | ({p} if p else set()) | ({scale, shift} if (scale, shift) != (1, 0) else set())
        assert wanted - {1, 0} <= constants(tree), text


def test_fuzzed_texts_stay_text() -> None:
    _fuzz("injection/1", 600, Tally())


@pytest.mark.prove
@pytest.mark.promised("R16", of="payloads put together")
@pytest.mark.parametrize(("first", "count"), shards(100_000, 2_000))
def test_a_hundred_thousand_fuzzed_texts_stay_text(first: int, count: int, soak: Tally) -> None:
    _fuzz(f"injection/{SEED}/{first}", count, soak)


def _fuzz(seed: str, count: int, tally: Tally) -> None:
    """Payloads put together at random, in every slot."""
    tally.seed = SEED
    rng = random.Random(seed)
    letters = string.printable + "\\\\\"\"\"'''###{}%\r\n\x85\u2028é"
    for _ in range(count):
        parts = [
            rng.choice(PAYLOADS[:60]) if rng.random() < 0.3 else rng.choice(letters) for _ in range(rng.randint(1, 12))
        ]
        slot, payload = rng.choice(list(SLOTS)), "".join(parts)
        with tally.case():
            _checked(SLOTS[slot](payload), externs=_asked(slot, payload))


def _asked(slot: str, payload: str) -> frozenset[str]:
    """The module of an `extern` that happens to be a well-formed one, such as "Q:D": that is what it is for."""
    fits = slot == "extern" and re.fullmatch(r"[\w.]+:[\w.]+", payload, re.ASCII)
    return frozenset({payload.partition(":")[0]}) if fits else frozenset()


def test_there_are_no_templates_of_users() -> None:
    """The one template is a file of the package; nothing else is handed to jinja."""
    uses = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "archdsl").rglob("*.py")
        if re.search(r"(?m)^\s*(import|from) jinja2", path.read_text(encoding="utf-8"))
    ]
    assert uses == ["archdsl/emit/torch/emitter.py"]


def test_a_generator_that_does_not_quote_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative controls: docs printed as they are written; and the list of this test by itself."""
    from archdsl.emit.torch import docs, text

    for module in (docs, text):
        monkeypatch.setattr(module, "safe", lambda words: words)
    monkeypatch.setattr(docs, "first_sentence", lambda words: words)
    monkeypatch.setattr("archdsl.emit.torch.emitter.check", lambda *_: None)
    with pytest.raises((AssertionError, SyntaxError)):
        _check_all("doc", Tally())


@pytest.mark.parametrize(
    "code",
    ["import os", "from os import system", "exec('x')", "x = 1", "class A:\n    x = lambda: 0", "torch.load('x')",
     "class A(nn.Module):\n    def f(self):\n        self.__class__", "@a\nclass B: pass", "del x", "global x"],
)  # fmt: skip
def test_the_list_refuses(code: str) -> None:
    assert escapes(ast.parse(code))

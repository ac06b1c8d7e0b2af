"""The PyTorch back end: what comes out runs, counts right, reads well, and holds nothing a spec could smuggle in."""

from __future__ import annotations

import ast
import random
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from building import SPAN, Body, conv, primitive, resnet, wrn
from torch import Tensor, nn

from archdsl.analyses import macs, params
from archdsl.emit import BACKENDS
from archdsl.emit.errors import InternalError
from archdsl.emit.torch.emitter import emit
from archdsl.emit.torch.guard import check
from archdsl.emit.torch.inits import FUNCTIONS
from archdsl.emit.torch.names import NOT_FIELD, NOT_LOCAL, class_name
from archdsl.emit.torch.pretty import statement_lines
from archdsl.emit.torch.reserved import BUILTINS, KEYWORDS, MODULE
from archdsl.inits import INITS
from archdsl.ir.graph import Call, Chain, Graph, InitRule, Node, Parameter, Segment, Unit, Wire
from archdsl.pipeline import CheckedNetwork
from archdsl.pipeline import check as check_text
from archdsl.pipeline import emit as emit_checked
from archdsl.scalar import Scalar
from archdsl.source import Source

ROOT = Path(__file__).parents[1]
CASES = sorted((ROOT / "tests" / "emit_cases").glob("*.arch"))
LIBRARY = "import std.preact { wide }\nimport std.stage { group }\n"


def compiled(text: str, name: str = "spec.arch") -> tuple[CheckedNetwork, str]:
    checked = check_text(Source(name, text))
    assert not checked.diagnostics.has_errors, [d.title for d in checked.diagnostics]
    return checked.networks[0], emit_checked(checked, checked.networks[0])


def network_of(body: str, before: str = "") -> tuple[CheckedNetwork, str]:
    """A network on [4, 8, 8] whose statements end in `y`."""
    statements = f"input x: [4, 8, 8]\n{body}\noutput = y -> global_avg_pool -> linear(3)"
    return compiled(f"{before}\nnetwork Net() {{\n{statements}\n}}\n")


def emitted(graph: Graph, **more: str) -> str:
    source = {"source_name": "test.arch", "source_hash": "0123456789ab", **more}
    return emit(graph, variant=None, params=params(graph).total, macs=macs(graph).total, **source)


def loaded(text: str) -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "generated"}
    exec(compile(text, "generated", "exec"), space)
    return space


def made(graph: Graph, text: str) -> nn.Module:
    """The network's module, its parameters counted."""
    module = loaded(text)[class_name(graph.name)]()
    assert sum(p.numel() for p in module.parameters()) == params(graph).total
    return module


def run(graph: Graph, text: str) -> nn.Module:
    """Forward and backward in training, forward in evaluation, with the shapes that were promised."""
    module = made(graph, text)
    samples = [torch.randn(2, *wire.values) for wire in graph.inputs]
    wires = [*graph.outputs, *(auxiliary.wire for auxiliary in graph.auxiliaries)]
    given = as_tuple(module(*samples))
    assert [tuple(g.shape[1:]) for g in given] == [w.values for w in wires]
    torch.stack([g.sum() for g in given]).sum().backward()
    module.eval()
    assert [tuple(g.shape[1:]) for g in as_tuple(module(*samples))] == [w.values for w in graph.outputs]
    return module


def as_tuple(value: Any) -> tuple[Tensor, ...]:
    return value if isinstance(value, tuple) else (value,)


def ruff(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--config", str(ROOT / "pyproject.toml"), str(folder)],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def assert_tidy(folder: Path, *texts: str) -> None:
    """Formatted and linted as our own code is; class names may end in an underscore, a field may be `assert_`."""
    for number, text in enumerate(texts):
        (folder / f"module_{number}.py").write_text(text, encoding="utf-8")
    assert ruff(folder, "format", "--diff", "--no-cache") == ""
    assert ruff(folder, "check", "--no-cache", "--extend-ignore", "N801,UP005") == ""


# ---- whole modules -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path, tmp_path: Path, update: bool) -> None:
    network, text = compiled(path.read_text(encoding="utf-8"), path.name)
    golden = path.with_suffix(".py")
    if update:
        golden.write_text(text, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == text, "run `pytest --update` and read the difference"
    run(network.graph, text)
    assert_tidy(tmp_path, text)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case_checks_itself_without_us(path: Path) -> None:
    script = path.with_suffix(".py")
    done = subprocess.run([sys.executable, "-I", str(script)], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("graph", [resnet(3), resnet(18), wrn(2, 4)], ids=["resnet20", "resnet110", "wrn16"])
def test_hand_built_graphs(graph: Graph, tmp_path: Path) -> None:
    text = emitted(graph)
    run(graph, text)
    assert_tidy(tmp_path, text)


def test_the_table_of_back_ends_loads_lazily() -> None:
    code = "import sys, archdsl.emit; assert 'jinja2' not in sys.modules and 'archdsl.emit.torch.emitter' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
    assert BACKENDS["torch"]() is emit


def test_wide_residual_network() -> None:
    n = "network WRN() {\n input x: [3, 32, 32]\n a = x -> conv(16, 3)\n b = a -> group(wide, 4, 160)"
    text = compiled(f"{LIBRARY}{n}\n c = b -> group(wide, 4, 320, stride=2)\n output = c -> global_avg_pool\n}}\n")[1]
    assert "self.b = nn.Sequential(Wide2(16, 160), *[Wide(160) for _ in range(3)])" in text
    assert "self.c = nn.Sequential(Wide2(160, 320, stride=2), *[Wide(320) for _ in range(3)])" in text
    assert "def __init__(self, width: int) -> None:" in text
    assert "def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:" in text
    assert "nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False)" in text
    assert "the\n    form for which `in.channels == width and stride == 1` holds." in text


def test_time_and_text_do_not_grow_with_depth() -> None:
    texts = {n: emitted(resnet(n)) for n in (3, 200, 1_000_000)}
    assert len({len(text.splitlines()) for text in texts.values()}) == 1
    graph = resnet(1_000_000)
    start = time.process_time()
    emitted(graph)
    assert time.process_time() - start < 0.1


# ---- expressions -------------------------------------------------------------------------------------------------


def test_expressions_are_those_of_the_block() -> None:
    block = "block b(width, ratio = 4) { out = in -> conv(ratio * width, 1) -> conv(width + 1, 1) -> conv(width, 1) }"
    network, text = network_of("y = x -> b(4) -> b(8, 2) -> b(6, 3)", block)
    assert "nn.Conv2d(in_channels, ratio * width, 1, bias=False)" in text
    assert "nn.Conv2d(ratio * width, width + 1, 1, bias=False)" in text
    assert "B(8, 6, ratio=3)" in text
    assert "B(4, 4)" in text
    run(network.graph, text)


def test_exact_division_and_constants() -> None:
    block = "block b(width) { out = in -> conv(width / 2, 1) -> dropout(1/3) -> conv(width, 1) -> dropout(0.05) }"
    network, text = network_of("y = x -> b(4) -> b(8)", block)
    assert "width // 2" in text
    assert "nn.Dropout(1 / 3)" in text
    assert "nn.Dropout(0.05)" in text
    run(network.graph, text)


def test_an_expression_that_floats_would_change_is_a_constant() -> None:
    """0.1 * 3 is not 0.3 in floats, so the product is not left to Python."""
    _, text = network_of("y = x -> b(0.1) -> b(0.2)", "block b(p) { out = in -> dropout(3 * p) }")
    assert "nn.Dropout(0.3)" in text
    assert "nn.Dropout(0.6)" in text
    assert "3 * p" not in text


def test_fractions_over_a_denominator_keep_their_bits() -> None:
    block = "block deep(keep) { out = in -> stochastic_depth(conv(in.channels, 3), keep) }"
    network, text = network_of("y = x -> chain(deep(1 - i / 54 / 2) for i in 1..54)", block)
    assert "*[Deep(4, (107 - i) / 108) for i in range(54)]" in text
    module = made(network.graph, text)
    keeps = [layer.keep for layer in module.modules() if type(layer).__name__ == "StochasticDepth"]
    assert keeps == [float(1 - Fraction(i, 108)) for i in range(1, 55)]


def test_one_form_where_a_parameter_is_whole_in_one_place_and_a_fraction_in_another() -> None:
    block = "block b(p = 0) { out = in -> conv(4, 3) -> dropout(1 - p) }"
    _, text = network_of("y = x -> b -> b(1/2) -> b(1/4)", block)
    assert text.count("class B(") == 1
    assert "B2" not in text
    assert "nn.Dropout(1 - p)" in text


# ---- statements --------------------------------------------------------------------------------------------------


def test_auxiliary_heads_are_not_computed_in_evaluation() -> None:
    network, text = compiled((ROOT / "tests/emit_cases/outputs.arch").read_text(encoding="utf-8"))
    module = run(network.graph, text)

    def refuse(*_: object) -> None:
        raise AssertionError("an auxiliary head ran")

    module.early.register_forward_pre_hook(refuse)
    module(torch.randn(2, 3, 16, 16), torch.randn(2, 1, 16, 16))


@pytest.mark.parametrize(
    "body",
    [
        "y = x " + "-> conv(4, 3) -> bn -> relu " * 60,
        "y = " + " + ".join(["x"] * 400),
        "y = " + " * ".join(["x"] * 200),
        "y = concat(x -> conv(4, 3) -> bn -> relu -> conv(4, 3) -> bn -> relu, x -> bn -> relu -> conv(4, 3) -> relu, x)",
        "a = x -> relu -> bn\ny = a + (a -> relu) * (a -> sigmoid) - a",
        f"{'a' * 60} = x -> conv(4, 3) -> bn -> relu\ny = {'a' * 60} -> conv(4, 3) -> bn -> relu -> conv(4, 3)",
        "a, b = x -> split(2)\nc, d = x -> split(2)\ny = concat(a, d)",
    ],
    ids=["row", "sum", "product", "branches", "precedence", "names", "parts"],
)
def test_statements_read_well_whatever_their_length(body: str, tmp_path: Path) -> None:
    network, text = network_of(body)
    run(network.graph, text)
    assert_tidy(tmp_path, text)


def test_a_join_left_open_is_closed_by_its_caller() -> None:
    before = "import std.fractal { fractal }"
    network, text = network_of("y = x -> fractal(3, 4) -> fractal(2, 4)", before)
    assert "-> tuple[Tensor, Tensor]:" in text
    assert "self.join = Join(3" in text
    run(network.graph, text)


def test_an_open_join_as_a_unit_of_a_row_is_closed_inside() -> None:
    inner = Body("fork", (4, 8, 8))
    left, right = inner.op("conv", inner.input, width=4, kernel=3), inner.op("conv", inner.input, width=4, kernel=1)
    fork = inner.graph(left, right)
    fork.open_join = primitive("join", left, right).what  # type: ignore[assignment]
    net = Body("Net", (4, 8, 8), kind="network")
    middle, out = Wire((4, 8, 8)), Wire((4, 8, 8))
    units = tuple(Unit(Node(Call(fork, {}), (a,), (b,), SPAN)) for a, b in ((net.input, middle), (middle, out)))
    net.nodes.append(Node(Chain((Segment(units, Scalar(2)),)), net.inputs, (out,), SPAN))
    graph = net.graph(out)
    text = emitted(graph)
    assert "nn.Sequential(*[Fork() for _ in range(2)])" in text
    loaded(text)["Net"]()(torch.randn(2, 4, 8, 8)).sum().backward()


# ---- initialisation ----------------------------------------------------------------------------------------------


def test_every_rule_is_known_to_both_sides() -> None:
    assert set(FUNCTIONS) == set(INITS)


@pytest.mark.parametrize("name", INITS)
def test_rule(name: str, tmp_path: Path) -> None:
    values = {"std": "0.5", "low": "-1/3", "high": "0.1", "value": "2", "gain": "1.5", "mean": "0.25", "fan": '"out"'}
    arguments = ", ".join(f"{p.name}={values[p.name]}" for p in INITS[name].params)
    network, text = network_of(f"y = x -> conv(4, 3, bias=true)\ninit conv.weight = {name}({arguments})")
    run(network.graph, text)
    assert_tidy(tmp_path, text)


def test_rules_reach_what_they_name_and_nothing_else() -> None:
    body = "a = x -> depthwise(3) -> conv(4, 3) -> conv(4, 3, bias=true) -> bn(affine=false) -> bn\ny = a -> conv(4, 1)"
    rules = "init conv.weight = ones\ninit conv.bias = constant(3)\ninit bn.bias = constant(4)\ninit y.weight = zeros"
    network, text = network_of(f"{body}\n{rules}")
    module = made(network.graph, text)
    assert {float(p.detach().mean()) for p in (module.conv1.weight, module.conv2.weight)} == {1.0}
    assert float(module.depthwise.weight.detach().mean()) != 1.0
    assert float(module.conv2.bias.detach().mean()) == 3.0
    assert float(module.bn2.bias.detach().mean()) == 4.0
    assert float(module.y.weight.detach().abs().max()) == 0.0


def test_rules_of_a_block_come_after_those_of_the_network() -> None:
    block = (
        "block b(width) {\n gate = in -> conv(width, 1)\n out = gate -> conv(width, 1)\n init gate.weight = zeros\n}"
    )
    network, text = network_of("y = x -> b(4) -> b(8)\ninit conv.weight = ones", block)
    module = made(network.graph, text)
    assert [float(m.gate.weight.detach().mean()) for m in (module.b1, module.b2)] == [0.0, 0.0]
    assert [float(m.conv.weight.detach().mean()) for m in (module.b1, module.b2)] == [1.0, 1.0]


def test_rules_for_layers_in_a_row() -> None:
    block = "block b(width) {\n f = conv(width, 1) -> bn -> conv(width, 1)\n out = in -> f\n init conv.weight = ones\n}"
    network, text = network_of("y = x -> b(4)", block)
    module = made(network.graph, text)
    assert float(module.y.f[0].weight.detach().mean()) == 1.0
    assert float(module.y.f[2].weight.detach().mean()) == 1.0


# ---- names -------------------------------------------------------------------------------------------------------

PLAUSIBLE = frozenset(
    "l O I x h out self torch nn F Tensor network branch f e n i Net net super __class__ _ __ a_".split()
)
TAKEN = sorted(KEYWORDS | BUILTINS | MODULE | PLAUSIBLE | {n for n in dir(nn.Module()) if n.startswith("__")})


def test_the_lists_of_names_are_those_that_are_installed() -> None:
    import builtins
    import keyword

    assert {name for name in dir(nn.Module()) if not name.startswith("__")} <= MODULE
    assert {*keyword.kwlist, *keyword.softkwlist} <= KEYWORDS
    assert {name for name in dir(builtins) if not name.startswith("_")} <= BUILTINS
    assert len(TAKEN) > 300
    assert {"forward", "train", "type", "training"} <= NOT_FIELD
    assert {"max", "in", "self"} <= NOT_LOCAL


def every_slot(name: str) -> Graph:
    """A network in which one name is that of the block, a parameter, an input, a statement, a layer and the network."""
    inner = Body(name, (4, 8, 8))
    inner.inputs[0].name = name
    wide = Scalar(4, name)
    x = inner.op("conv", inner.input, to=name, width=wide, kernel=1)
    x = inner.op("conv", x, width=wide, kernel=1)
    inner.nodes[-1].label = name
    block = inner.graph(x, parameters=(Parameter(name, wide, "required"),))
    net = Body(name, (4, 8, 8), kind="network")
    net.inputs[0].name = name
    y = net.row(net.input, conv(4, 1), "relu", to=name)
    z = net.call(block, y, to=name + "2")
    net.nodes[-1].label = name
    return net.graph(net.op("add", net.op("mul", z, y), y))


@pytest.mark.parametrize("name", TAKEN)
def test_any_name_may_be_used_for_anything(name: str) -> None:
    graph = every_slot(name)
    text = emitted(graph)
    tree = ast.parse(text)
    module = loaded(text)[[node.name for node in tree.body if isinstance(node, ast.ClassDef)][-1]]()
    assert sum(p.numel() for p in module.parameters()) == params(graph).total
    module(torch.randn(2, 4, 8, 8)).sum().backward()
    module.eval().train().to("cpu").half().float().state_dict()


def test_taken_names_are_tidy_too(tmp_path: Path) -> None:
    assert_tidy(tmp_path, *(emitted(every_slot(name)) for name in TAKEN))


def test_a_name_that_two_things_want() -> None:
    network, text = network_of("conv1 = x -> conv(4, 1)\ny = conv1 -> conv(4, 1) -> conv(4, 1) -> relu\nx_ = y -> relu")
    assert [name for name in ("conv1", "conv2", "conv3") if f"self.{name} = " in text] == ["conv1", "conv2", "conv3"]
    run(network.graph, text)


# ---- text from outside -------------------------------------------------------------------------------------------

HOSTILE = [
    'x"; import os #',
    "a\rimport os",
    '"""\nimport os\n"""',
    '""" + __import__("os").system("false") + """',
    "'''\nimport os",
    "\\",
    'ends in a quote"',
    "ends in a backslash\\",
    '\\"""\nimport os\n"""',
    "\N{LINE SEPARATOR}import os",
    "\x0cimport os",
    "\x85import os",
    "\x00",
    "\ud800",
    "\u202eimport os\u202c",
    "\u200b\ufeff",
    "{{ 7 * 7 }}",
    "{% for x in y %}",
    "{# #}",
    "{file.doc}",
    "%s %(x)s {0}",
    "\N{FULLWIDTH LATIN SMALL LETTER S}elf",
    "# noqa\n# type: ignore\n",
    "\t\v tabs",
    "__class0__ __0__ __in0__ __each_x__ __field__",
    "a" * 100_000,
    "word " * 20_000,
    "../../etc/passwd",
    "C:\\Users\\me\\spec.arch",
    "",
    ".",
    " ",
]


def skeleton(text: str) -> str:
    """The syntax of a module without its docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if (
            isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:]
    return ast.dump(tree)


def documented(doc: str, **more: str) -> str:
    """A module with hostile text in every place for text."""
    forms = []
    for outcome in (True, False):
        inner = Body("unit", (4, 8, 8))
        x = inner.op("conv", inner.input, width=4, kernel=3 if outcome else 1)
        block = inner.graph(x)
        block.doc, block.decisions = doc, ((doc, outcome),)
        forms.append(block)
    net = Body("Net", (4, 8, 8), kind="network")
    graph = net.graph(net.call(forms[1], net.call(forms[0], net.input)))
    graph.doc, graph.parameters = doc, (Parameter("p", doc, "optional"),)
    return emit(graph, doc, doc, doc, params(graph).total, macs(graph).total)


@pytest.mark.parametrize("doc", HOSTILE, ids=range(len(HOSTILE)))
def test_text_stays_text(doc: str, tmp_path: Path) -> None:
    text = documented(doc)
    assert skeleton(text) == skeleton(documented("A plain sentence."))
    assert len(text.splitlines()) == text.count("\n")
    assert max(map(len, text.splitlines())) <= 120
    loaded(text)
    assert_tidy(tmp_path, text)


@pytest.mark.parametrize("name", [h for h in HOSTILE if h], ids=range(len(HOSTILE) - 1))
def test_names_stay_names(name: str) -> None:
    text = emitted(every_slot(name[:64]))
    assert text.isascii() or set(text) - set(map(chr, range(128))) <= set("×…")
    loaded(text)


@pytest.mark.parametrize("path", ["os:system('x')", "os\nimport x:Y", "a.b", "a:b c", ":", "a..b:C", "a:ﬁlter"])
def test_a_class_from_elsewhere_is_named_plainly(path: str) -> None:
    from archdsl.ir.graph import Extern

    net = Body("Net", (4, 8, 8), kind="network")
    out = Wire((4, 8, 8))
    net.nodes.append(Node(Extern("Thing", path, {}, 0), net.inputs, (out,), SPAN))
    with pytest.raises(InternalError):
        emitted(net.graph(out))


def test_nothing_of_the_place_or_the_day_is_told() -> None:
    text = emitted(resnet(3), source_name="/home/somebody/specs/resnet.arch")
    assert "from resnet.arch " in text
    assert "/home" not in text
    assert emitted(resnet(3), source_name="C:\\specs\\resnet.arch").count("from resnet.arch ") == 1


# ---- the guard ---------------------------------------------------------------------------------------------------

GOOD = "class A(nn.Module):\n    def forward(self, x):\n        return {}\n"


@pytest.mark.parametrize("expression", ["self.conv(x)", "F.relu(x)", "torch.cat((x, x), dim=1)", "sum(x for x in y)"])
def test_the_guard_lets_through(expression: str) -> None:
    check(GOOD.format(expression), (), ())


@pytest.mark.parametrize(
    "text",
    [
        "import os\n",
        "from os import path\n",
        "from torch import *\n",
        "x = 1\n",
        "print(1)\n",
        "def f(): ...\n",
        "class A(B): ...\n",
        "class A(nn.Module):\n    exec('1')\n",
        "x =\n",
        "# a\rb\n",
        "# \x0c\n",
        *(
            GOOD.format(expression)
            for expression in (
                "eval('x')",
                "__import__('os')",
                "x.__class__",
                "torch.load('x')",
                "open('x')",
                "getattr(x, 'y')",
                "x.system('y')",
                "(lambda: 1)()",
                "self.a.b(x)",
                "torch.hub.load('x')",
                "F.__dict__",
                "{1: 2}",
                "(yield)",
                "x if (y := 1) else 2",
            )
        ),
    ],
)
def test_the_guard_refuses(text: str) -> None:
    with pytest.raises(InternalError):
        check(text, (), ())


# ---- layout ------------------------------------------------------------------------------------------------------


def some_expression(draw: random.Random, depth: int) -> str:
    def name() -> str:
        return draw.choice("abcdefgh") * draw.choice([1, 1, 2, 5, 8, 13, 21])

    def inner(least: int, most: int) -> str:
        return ", ".join(some_expression(draw, depth - 1) for _ in range(draw.randint(least, most)))

    if depth <= 0:
        return draw.choice([name(), str(draw.randint(0, 999)), "-1", "0.3", '"reflect"', "None", "1 / 3"])
    rows = ", ".join(f"({draw.randint(0, 99)}, {draw.randint(0, 99)})" for _ in range(draw.randint(2, 20)))
    forms = [
        f"nn.Sequential({inner(1, 4)})",
        f"nn.{name()}({inner(1, 3)}, {name()}1={some_expression(draw, depth - 1)})",
        f"[{some_expression(draw, depth - 1)} for {name()} in range({name()})]",
        f"{name()} {draw.choice('+-*/%')} {draw.choice([name(), '12', '(a + b)'])}",
        f"({inner(2, 4)})",
        f"[{inner(1, 8)}]",
        f"nn.{name()}(*[{some_expression(draw, depth - 1)} for i, w in [{rows}]])",
        f"self.{name()}({inner(1, 1)})",
        f"torch.cat([{name()}({name()}) for {name()} in self.{name()}], dim=1)",
        f"{name()}[:, {name()}:{name()}]",
    ]
    return draw.choice(forms)


@pytest.mark.parametrize("seed", range(4))
def test_layout_is_that_of_ruff(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    lines: list[str] = []
    for _ in range(60):
        head = draw.choice(["return ", "x = ", f"self.{'y' * draw.randint(1, 30)} = "])
        tree = ast.parse(some_expression(draw, 4), mode="eval").body
        lines += ["class A:", "    def f(self):", *statement_lines(head, tree, 8), "", ""]
    (tmp_path / "layout.py").write_text("\n".join(lines).rstrip("\n") + "\n", encoding="utf-8")
    assert ruff(tmp_path, "format", "--diff", "--no-cache") == ""


# ---- the same every time -----------------------------------------------------------------------------------------


def test_the_same_bytes_whatever_the_hash_seed() -> None:
    code = (
        "import sys, hashlib; from pathlib import Path; sys.path.insert(0, 'tests')\n"
        "from archdsl.source import Source; from archdsl.pipeline import check, emit\n"
        "for path in sorted(Path('tests/emit_cases').glob('*.arch')):\n"
        "    found = check(Source(path.name, path.read_text(encoding='utf-8')))\n"
        "    print(hashlib.sha256(emit(found, found.networks[0]).encode()).hexdigest())\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "LC_ALL": locale, "TZ": zone, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, locale, zone in (("0", "C", "UTC"), ("1", "C.UTF-8", "Asia/Tokyo"), ("77", "POSIX", "America/Lima"))
    }
    assert len(outputs) == 1
    assert next(iter(outputs)).count("\n") == len(CASES)


def test_a_rule_with_an_unknown_target_does_nothing() -> None:
    body = Body("Net", (4, 8, 8), kind="network")
    graph = body.graph(body.op("conv", body.input, width=4, kernel=1))
    graph.inits = (InitRule("linear", "weight", "zeros", {}, SPAN),)
    assert "nn.init" not in emitted(graph)

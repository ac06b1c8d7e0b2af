"""R17: reserved and shadowing names are renamed or refused.

Every keyword and soft keyword, every attribute of an `nn.Module`, every builtin, and the names that generated modules
use themselves, as the name of a layer, a value, a parameter, a block and a network: the module is made and goes forward,
or the spec gets a message. Promised: about 350 names; 32 of 40 plausible ones break a module that does not care.
"""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Sequence

import pytest
import torch
from soak import Tally, share
from torch import nn

from archdsl.emit.torch.helpers import HELPERS
from archdsl.pipeline import compile  # noqa: A004
from archdsl.source import Source
from archdsl.syntax.lexer import keywords

OWN = {
    "torch",
    "nn",
    "F",
    "Tensor",
    "self",
    "x",
    "h",
    "network",
    "sample",
    "output",
    "outputs",
    "count",
    "p",
    "functional",
}
OWN |= {"super", "in_channels", "in_height", "in_width", "in_features", "i", "j", "k", "n", "m", "b", "branch", "layer"}
OWN |= {"weight", "bias", "training", "annotations", "ctx", "Parameter", "Module", "Sequential", "ModuleList", "init"}
PLAUSIBLE = {
    *(
        "forward",
        "train",
        "eval",
        "type",
        "half",
        "double",
        "float",
        "to",
        "training",
        "compile",
        "apply",
        "cpu",
        "cuda",
    ),
    *("children", "modules", "parameters", "buffers", "state_dict", "register_buffer", "add_module", "share_memory"),
    *("zero_grad", "requires_grad_", "extra_repr", "named_modules", "dump_patches", "T_destination", "call_super_init"),
    *("conv", "bn", "relu", "linear", "pool", "block", "stage", "head", "stem", "features", "classifier", "Conv2d"),
    *(
        "l",
        "O",
        "I",
        "_",
        "__",
        "___",
        "__init__",
        "__call__",
        "__class__",
        "__dict__",
        "__name__",
        "_modules",
        "_x",
        "x_",
    ),
}
NAMES = sorted(
    {*keyword.kwlist, *keyword.softkwlist, *dir(nn.Module()), *dir(builtins), *HELPERS, *OWN, *PLAUSIBLE, *keywords()}
)
# `$` is the name in its turn.
AS = {
    "a layer": """network Net() {
    input image: [2, 4, 4]
    $ = conv(3, 3)
    y = image -> $ -> bn
    output = y -> relu -> $
}
""",
    "a shared layer": """network Net() {
    input image: [2, 4, 4]
    shared $ = conv(2, 3)
    output = image -> $ -> relu -> $
}
""",
    "a value": """network Net() {
    input image: [2, 4, 4]
    $ = image -> conv(3, 3)
    z = $ -> relu
    output = $ + z -> conv(2, 1) -> relu
}
""",
    "an input": """network Net() {
    input $: [2, 4, 4]
    output = ($ -> conv(2, 3)) + $ -> relu
}
""",
    "an output": """network Net() {
    input image: [2, 4, 4]
    y = image -> conv(2, 3)
    output $ = y -> relu
    output other = y -> flatten -> linear(2)
}
""",
    "a number": """network Net($ = 3) {
    input image: [2, 4, 4]
    output = image -> conv($, 1) -> conv(2 * $, 1)
}
""",
    "a parameter": """block unit($, stride = 1) {
    out = in -> conv($, 1, stride=stride) -> conv(2 * $, 1)
}

network Net() {
    input image: [2, 4, 4]
    output = image -> unit(3) -> unit(5, 2)
}
""",
    "an inner input": """block unit() {
    in $
    y = $ -> conv(2, 1)
    out = y + $
}

network Net() {
    input image: [2, 4, 4]
    output = image -> unit -> unit
}
""",
    "a layer parameter": """block unit($, n) {
    out = in -> $ -> conv(n, 1) -> $
}

network Net() {
    input image: [2, 4, 4]
    output = image -> unit(relu, 3) -> unit(bn, 4)
}
""",
    "a block": """block $(width) {
    out = in -> conv(width, 1) -> relu
}

network Net() {
    input image: [2, 4, 4]
    output = image -> $(3) -> $(4) * 2
}
""",
    "a network": """network $() {
    input image: [2, 4, 4]
    output = image -> conv(2, 3) -> relu
}
""",
    "a function": """fn $(width) = conv(width, 3) -> relu

network Net() {
    input image: [2, 4, 4]
    output = image -> $(3) -> $(4)
}
""",
    "a loop variable": """network Net() {
    input image: [2, 4, 4]
    output = image -> chain(conv($ + 1, 1) -> relu for $ in 1..3)
}
""",
    "an auxiliary output": """network Net() {
    input image: [2, 4, 4]
    y = image -> conv(2, 3)
    auxiliary $ = y -> flatten -> linear(2), weight = 0.3
    output = y -> relu
}
""",
}


PROMISED = ("a layer", "a block", "a network")


@pytest.mark.promised("R17", of="names as layer, block, network")
@pytest.mark.parametrize("kind", PROMISED)
def test_every_reserved_name_works_or_is_refused(kind: str, soak: Tally) -> None:
    assert len(NAMES) >= 350
    _all(kind, NAMES, soak)


@pytest.mark.parametrize("kind", [kind for kind in AS if kind not in PROMISED])
def test_some_reserved_names_in_other_places(kind: str) -> None:
    """A tenth of the names, in places that the promise does not speak of; all of them in `make prove`."""
    _all(kind, NAMES[list(AS).index(kind) % 10 :: 10], Tally())


@pytest.mark.prove
@pytest.mark.promised("R17", of="names in other places")
@pytest.mark.parametrize("kind", [kind for kind in AS if kind not in PROMISED])
def test_every_reserved_name_in_other_places(kind: str, soak: Tally) -> None:
    _all(kind, share(NAMES), soak)


def _all(kind: str, names: Sequence[str], tally: Tally) -> None:
    works = 0
    for name in names:
        with tally.case():
            works += _runs(AS[kind].replace("$", name), f"{name!r} as {kind}")
    assert works >= 0.6 * len(names), f"only {works} of {len(names)} names can be {kind}"


def _runs(text: str, what: str) -> bool:
    """Whether a text compiles; the module then goes forward and backward, else something is said."""
    checked, modules = compile(Source("a.arch", text))
    if checked.diagnostics.has_errors:
        return False
    (module,) = modules.values()
    space: dict[str, object] = {"__name__": "made"}
    try:
        exec(module, space)
        network = _network(space)
        _into(network)
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}\n{module}") from error
    return True


def _network(space: dict[str, object]) -> nn.Module:
    """The last class of a module, made with its defaults."""
    classes = [v for v in space.values() if isinstance(v, type) and issubclass(v, nn.Module) and v.__module__ == "made"]
    return classes[-1]()


def _into(network: nn.Module) -> None:
    """What training does with a module: modes, copies, weights out and in, forward, backward."""
    network.train()
    result = network(torch.randn(2, 2, 4, 4))
    results = result if isinstance(result, tuple) else (result,)
    sum(part.sum() for part in results).backward()
    assert all(p.grad is not None for p in network.parameters())
    network.eval()
    network.to("cpu").float()
    network.load_state_dict(network.state_dict())
    assert str(network)
    network.zero_grad()


def test_a_generator_without_the_list_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""
    from archdsl.emit.torch import names

    monkeypatch.setattr(names.Names, "claim", lambda self, wanted: wanted)
    broken = 0
    for name in ("forward", "train", "type", "half", "to"):
        try:
            _runs(AS["a shared layer"].replace("$", name), name)
        except AssertionError:
            broken += 1
    assert broken >= 3

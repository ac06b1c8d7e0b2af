"""What generated modules say about themselves: where they come from, and which form of a block a class is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from archdsl.emit.torch.blocks import BlockClass, number_of
from archdsl.emit.torch.printing import number_text
from archdsl.emit.torch.text import docstring, first_sentence, safe
from archdsl.ir.graph import Graph
from archdsl.ops.op import Value

VERSION = "0.1.0"


@dataclass(frozen=True, slots=True)
class Origin:
    """What a module was made from."""

    source_name: str
    source_hash: str
    variant: str | None = None


def file_doc(network: Graph, origin: Origin, params: int, macs: int, externs: Sequence[str]) -> tuple[str, ...]:
    """The docstring of a module."""
    title, sentence = f"{safe(network.name)}{_values(network)}", first_sentence(network.doc)
    facts = [_made(origin), _counted(network, params, macs)]
    if externs:
        facts.append(f"Needs {', '.join(safe(path) for path in externs)}.")
    return docstring((f"{title}: {sentence}" if sentence else f"{title}.",), 0, facts)


def _values(network: Graph) -> str:
    shown = [f"{safe(p.name)}={_value(p.value)}" for p in network.parameters if p.kind != "dimension"]
    return f" ({', '.join(shown)})" if shown else ""


def _value(value: Value) -> str:
    number = number_of(value)
    return number_text(number) if number is not None else safe(str(value)).lower()


def _made(origin: Origin) -> str:
    form = f", variant {safe(origin.variant)}" if origin.variant else ""
    digest = safe(origin.source_hash)[:12]
    return f"Made by archdsl {VERSION} from {_file_name(origin.source_name)}{form} (sha256 {digest})."


def _file_name(path: str) -> str:
    """The last part of a path, whichever system it is from: a generated module tells nobody's directories."""
    return safe(re.split(r"[/\\]", path)[-1]) or "a spec"


def _counted(network: Graph, params: int, macs: int) -> str:
    sizes = " and ".join("×".join(map(str, wire.values)) for wire in network.inputs)
    return f"{params:,} parameters; {macs:,} multiply-accumulates for one {sizes} sample."


def class_doc(block: BlockClass, forms: Sequence[BlockClass], names: Mapping[int, str]) -> tuple[str, ...]:
    """The docstring of a class; `forms` are all classes of its block, `names` what classes are called."""
    sentence = first_sentence(block.first.doc).rstrip(".")
    form = _which_form(block, forms, names)
    parts = [part for part in (sentence, form if sentence else form[:1].upper() + form[1:]) if part]
    return docstring((f"{'; '.join(parts)}.",), 4) if parts else ()


def network_doc(network: Graph) -> tuple[str, ...]:
    """The docstring of the network's class."""
    sentence = first_sentence(network.doc)
    return docstring((sentence,), 4) if sentence else ()


def _which_form(block: BlockClass, forms: Sequence[BlockClass], names: Mapping[int, str]) -> str:
    """What sets a class apart from the other forms of its block, in as few words as that takes."""
    others = [set(_said(other, names)) for other in forms if other is not block]
    if not others:
        return ""
    told: list[str] = []
    for said in _said(block, names):
        if any(said not in other for other in _like(told, others)):
            told.append(said)
    for said in tuple(told):
        fewer = [other for other in told if other != said]
        if len(_like(fewer, others)) == len(_like(told, others)):
            told = fewer
    number = [other.number for other in forms].index(block.number) + 1
    return f"the form for which {' and '.join(told)}" if told else f"form {number} of {len(forms)}"


def _like(told: Sequence[str], others: Sequence[set[str]]) -> list[set[str]]:
    """The forms of which all that was told holds too."""
    return [other for other in others if all(said in other for said in told)]


def _said(block: BlockClass, names: Mapping[int, str]) -> list[str]:
    """What holds in every instance of a class, the most telling first."""
    found = [list(_facts(graph)) for graph in block.graphs]
    common = [said for said in found[0] if all(said in other for other in found)]
    return [*common, *(f"the inner block is `{names[number]}`" for number in block.applies)]


def _facts(graph: Graph) -> Iterator[str]:
    """The decisions taken in a block, the values of its parameters, what it gives out."""
    for text, outcome in graph.decisions:
        yield f"`{safe(text)}` {'holds' if outcome else 'does not hold'}"
    for kind in ("optional", "required", "dimension"):
        for parameter in graph.parameters:
            if parameter.kind == kind:
                yield f"`{safe(parameter.name)}` is {_value(parameter.value)}"
    count = len(graph.outputs)
    yield "its result is one tensor" if count == 1 else f"its {count} columns are not yet joined"

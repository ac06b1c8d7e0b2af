"""What the fields of a class are called.

A statement that makes exactly one layer lends it its name (`conv1 = in -> conv(16, 3)` is `self.conv1`). Norms and
dropout beside it do not count (`fc6 = in -> dropout(0.5) -> linear(4096)` is `self.fc6`), unless the name is a single
letter, or that of a sum. Other layers are called after the name they were given (`branch`), their block or their
primitive, numbered where there are several.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from archdsl.emit.torch.code import Code
from archdsl.emit.torch.codes import FieldCode, GraphCode, NodeCode
from archdsl.emit.torch.names import Names, numbered
from archdsl.emit.torch.steps import is_heavy

# What a block gives out is not what its last layer is.
_NAMELESS = frozenset({"", "out", "output"})
Place = tuple[int, str]  # the number of a node, and the mark of the field in it


@dataclass(frozen=True, slots=True)
class Field:
    """A field to be written: its name and what makes it."""

    name: str
    code: Code
    op: str
    statement: str


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a class in order, and how each node's marks are spelled."""

    listed: tuple[Field, ...]
    spelled: dict[Place, str]
    shared: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Wish:
    place: Place
    field: FieldCode
    node: NodeCode | None
    exact: str


def name_fields(code: GraphCode, names: Names) -> Fields:
    """Names for all fields of a class, none twice, none that a module has already."""
    wishes = _wishes(code)
    given = {w.place: names.field(w.exact) for w in wishes if w.exact}
    groups = Counter(w.field.base for w in wishes if not w.exact)
    for base, size in groups.items():
        members = [w.place for w in wishes if not w.exact and w.field.base == base]
        given.update(zip(members, _group(base, size, names), strict=True))
    listed = tuple(Field(given[w.place], w.field.code, w.field.op, w.node.statement if w.node else "") for w in wishes)
    return Fields(listed, *_spelling(code, given))


def _wishes(code: GraphCode) -> list[_Wish]:
    lent = [_Wish((-1, field.mark), field, None, "") for field in code.lent]
    makers = [(index, node) for index, node in enumerate(code.nodes) if node.starts and node.fields]
    counts = _counted(code)
    own = [
        _Wish((index, field.mark), field, node, _exact(node, counts[node.statement]))
        for index, node in makers
        for field in node.fields
    ]
    return [*lent, *own]


@dataclass(slots=True)
class _Count:
    """What one statement makes: its steps, those of several tensors, its fields, and those that do the work."""

    steps: int = 0
    merges: int = 0
    fields: int = 0
    heavy: int = 0


def _counted(code: GraphCode) -> dict[str, _Count]:
    counts: dict[str, _Count] = {}
    for node in code.nodes:
        count = counts.setdefault(node.statement, _Count())
        count.steps += 1
        count.merges += len(node.inputs) > 1
        if node.starts:
            count.fields += len(node.fields)
            count.heavy += len(node.fields) * is_heavy(node)
    return counts


def _exact(node: NodeCode, count: _Count) -> str:
    """The statement's name, where it is this layer's too: `pre = in -> bn -> relu` is not the name of a norm."""
    if node.statement in _NAMELESS or node.shared:
        return ""
    if not is_heavy(node):
        return node.statement if count.fields == count.steps == 1 else ""
    chief = count.heavy == 1 and not count.merges and len(node.statement) > 1
    return node.statement if chief or count.fields == 1 else ""


def _group(base: str, size: int, names: Names) -> list[str]:
    """Names for all layers with one base: the base itself, or numbered from 1, past numbers that are taken."""
    if size == 1:
        return [names.field(base)]
    given: list[str] = []
    number = 0
    while len(given) < size:
        number += 1
        if numbered(base, number) not in names:
            given.append(names.field(numbered(base, number)))
    return given


def _spelling(code: GraphCode, given: dict[Place, str]) -> tuple[dict[Place, str], dict[str, str]]:
    """How each node spells its marks; the later nodes of a shared layer spell the first one's."""
    shared = {field.mark: given[-1, field.mark] for field in code.lent}
    spelled: dict[Place, str] = dict(given)
    for index, node in enumerate(code.nodes):
        for field in node.fields:
            if node.starts and node.shared:
                shared[node.shared] = given[index, field.mark]
            if not node.starts:
                spelled[index, field.mark] = shared[node.shared]
    return spelled, shared

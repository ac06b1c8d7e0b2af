"""A checked network as a table: what each statement puts out, learns, computes and keeps.

One row a statement, as in the text; blocks open below the row that applies them, each form of a block once; repeats
stay folded. `rows` is the table, `summary` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from archdsl.analyses import Bytes, Cost, Field, Macs, Params
from archdsl.analyses.kept import Tape, Way
from archdsl.analyses.macs import macs_at
from archdsl.analyses.params import params_at
from archdsl.analyses.paths import Reach, through, through_unit
from archdsl.analyses.receptive_field import FIELDS, widest
from archdsl.analyses.walk import opened
from archdsl.elaborate.values import shown
from archdsl.ir.graph import Branches, Call, Chain, Extern, Graph, Node, Parameter, Prim, Unit
from archdsl.ops.op import Value
from archdsl.visible import clipped, visible

LINES = 60
_LAYER = 50
_FEW = 3  # so many different units of one block are listed, more are folded


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a statement, or one unit of a chain.

    layer: what is applied, as the text would say it; block: the block's name where it is one; count: how often in a
    row. The counts are for all copies together, `shape` and `field` for the last; the rows below are for one copy.
    """

    name: str
    layer: str
    block: str
    count: int
    shape: tuple[int, ...]
    params: int
    macs: int
    kept: Bytes
    field: Field
    below: tuple[Row, ...] = ()


def rows(graph: Graph) -> tuple[Row, ...]:
    """The rows of an analysed network, every form of a block opened once."""
    start: list[Reach[Field]] = [{0: Field()} for _ in graph.inputs]
    tape = Tape().run(graph, (Way(grad=False),) * len(graph.inputs))
    return _Table(graph, tape, set()).rows(start)


@dataclass(eq=False, slots=True)
class _Table:
    """The rows of one graph as applied in one place: its tape, and the blocks that were opened before."""

    graph: Graph
    tape: Tape
    opened: set[int]
    shared: set[str] = field(default_factory=set[str])

    def rows(self, start: Sequence[Reach[Field]]) -> tuple[Row, ...]:
        known = {id(wire): came for wire, came in zip(self.graph.inputs, start, strict=True)}
        found: list[Row] = []
        for name, group in groupby(self.graph.nodes, key=lambda node: node.statement):
            found.append(self.statement(name, list(group), known))
        return tuple(found)

    def statement(self, name: str, nodes: list[Node], known: dict[int, Reach[Field]]) -> Row:
        below: list[Row] = []
        for node in nodes:
            came = [known.get(id(wire), {}) for wire in node.inputs]
            below += self.below(node, came)
            outs = through(node, came, FIELDS)
            known.update((id(wire), out) for wire, out in zip(node.outputs, outs, strict=False))
        layer = " → ".join(spelled(node) for node in nodes)
        reached = widest(known.get(id(nodes[-1].outputs[0]), {}))
        return self.row(name, layer, nodes, 1, reached, tuple(below))

    def row(self, name: str, layer: str, nodes: list[Node], count: int, seen: Field, below: tuple[Row, ...]) -> Row:
        params, macs, kept = Params(), Macs(), Bytes()
        for node in nodes:
            for application in opened(node, count, count, self.shared):
                params += params_at(application) * application.copies
                macs += macs_at(application) * application.count
            kept += self.tape.kept_at(node)
        shape = nodes[-1].outputs[0].values if nodes[-1].outputs else ()
        return Row(name, layer, _block(nodes), count, shape, params.total, macs.total, kept, seen, below)

    def below(self, node: Node, came: list[Reach[Field]]) -> list[Row]:
        what = node.what
        if isinstance(what, Call):
            return list(self.inside(node, what.graph, came))
        if isinstance(what, Chain):
            return self.units(what, came)
        if isinstance(what, Branches):
            return [row for branch in _distinct(what.branches) for row in self.units(branch, came)]
        if isinstance(what, Prim) and what.body is not None:
            return self.units(what.body, came)
        return []

    def units(self, chain: Chain, came: list[Reach[Field]]) -> list[Row]:
        """A row for each run of equal units; a lone block needs none beside its statement."""
        units = list(chain.units())
        if not any(isinstance(unit.node.what, (Call, Branches)) for unit in units):
            return []
        found: list[Row] = []
        for layer, same in groupby(units, key=lambda unit: spelled(unit.node)):
            run = list(same)
            below = tuple(self.below(run[0].node, came))
            for unit in run:
                came = through_unit(unit, came, FIELDS)
            found.append(self.run(layer, run, widest(came[0]), below))
        return list(found[0].below) if len(found) == 1 else found

    def run(self, layer: str, run: list[Unit], reached: Field, below: tuple[Row, ...]) -> Row:
        """One row for units that read the same; below them the first one's body."""
        parts = [self.row("", layer, [unit.node], unit.count, reached, below) for unit in run]
        count = sum(unit.count for unit in run)
        return _added(parts, layer + _times(count), count)

    def inside(self, node: Node, graph: Graph, came: list[Reach[Field]]) -> tuple[Row, ...]:
        if id(graph) in self.opened:
            return ()
        self.opened.add(id(graph))
        ways, saved = self.tape.state_at(node)
        tape = Tape().run(graph, ways)
        tape.keep_outputs(saved)
        return _Table(graph, tape, self.opened).rows(came)


def _distinct(branches: tuple[Chain, ...]) -> list[Chain]:
    """One of each form."""
    return list({_chain(branch): branch for branch in branches}.values())


def _block(nodes: list[Node]) -> str:
    what = nodes[0].what
    return what.graph.name if len(nodes) == 1 and isinstance(what, Call) else ""


def spelled(node: Node) -> str:
    """What a node applies, as the text would say it."""
    what = node.what
    if isinstance(what, Prim):
        return _prim(what)
    if isinstance(what, Call):
        return what.graph.name + _arguments(what.graph.parameters)
    if isinstance(what, Extern):
        return f"{what.name}({', '.join(shown(v) for v in what.args.values())})"
    if isinstance(what, Chain):
        return _chain(what)
    inner = ", ".join(f"{len(list(same))} × ({text})" for text, same in groupby(map(_chain, what.branches)))
    return f"{what.merge.op.name}({inner})"


def _prim(prim: Prim) -> str:
    given = [_given(p.name, prim.attrs[p.name], p.required) for p in prim.op.params if _differs(prim, p.name)]
    body = [] if prim.body is None else [_chain(prim.body)]
    listed = ", ".join([*body, *given])
    return f"{prim.op.name}({listed})" if listed else prim.op.name


def _differs(prim: Prim, name: str) -> bool:
    param = prim.op.param(name)
    return param is not None and name in prim.attrs and (param.required or prim.attrs[name] != param.default)


def _given(name: str, value: Value, positional: bool) -> str:
    return shown(value) if positional else f"{name}={shown(value)}"


def _arguments(parameters: tuple[Parameter, ...]) -> str:
    given = [
        _given(p.name, p.value, p.kind == "required")
        for p in parameters
        if p.kind == "required" or (p.kind == "optional" and p.value != p.default)
    ]
    return f"({', '.join(given)})"


def _chain(chain: Chain) -> str:
    """The units in a row; a long run of one block by its first, its last and its number."""
    parts: list[str] = []
    for name, same in groupby(chain.units(), key=lambda unit: _block([unit.node])):
        run = [(spelled(unit.node), unit.count) for unit in same]
        if name and len({text for text, _ in run}) > _FEW:
            parts.append(_range(run[0][0], run[-1][0], name) + _times(sum(count for _, count in run)))
        else:
            for text, equal in groupby(run, key=lambda pair: pair[0]):
                parts.append(text + _times(sum(count for _, count in equal)))
    return " → ".join(parts)


def _range(first: str, last: str, name: str) -> str:
    return f"{first} … {last.removeprefix(name)}"


def _times(count: int) -> str:
    return f" × {count:,}" if count > 1 else ""


# --- folding ---------------------------------------------------------------------------------------------------


def folded(table: tuple[Row, ...], limit: int) -> tuple[Row, ...]:
    """The table in at most about `limit` lines: runs of one block in one row first, then fewer levels."""
    if _lines(table) <= limit:
        return table
    table = _runs(table)
    depth = _depth(table)
    while _lines(table) > limit and depth > 1:
        depth -= 1
        table = _cut(table, depth)
    return table


def _lines(table: tuple[Row, ...]) -> int:
    return sum(1 + _lines(row.below) for row in table)


def _depth(table: tuple[Row, ...]) -> int:
    return max((1 + _depth(row.below) for row in table), default=0)


def _cut(table: tuple[Row, ...], depth: int) -> tuple[Row, ...]:
    return tuple(replace(row, below=_cut(row.below, depth - 1) if depth > 1 else ()) for row in table)


def _runs(table: tuple[Row, ...]) -> tuple[Row, ...]:
    """Long runs of one block as one row each; a row that says what its parent says gives way to what is below it."""
    result: list[Row] = []
    for (name, block), same in groupby(table, key=lambda row: (row.name, row.block)):
        run = [replace(row, below=_hoisted(_runs(row.below))) for row in same]
        result += [_together(run)] if not name and block and len(run) > _FEW else run
    return tuple(result)


def _hoisted(below: tuple[Row, ...]) -> tuple[Row, ...]:
    return below[0].below if len(below) == 1 and not below[0].name else below


def _together(run: list[Row]) -> Row:
    first, last = run[0], run[-1]
    count = sum(row.count for row in run)
    return replace(_added(run, _range(first.layer, last.layer, first.block) + _times(count), count), below=first.below)


def _added(run: list[Row], layer: str, count: int) -> Row:
    """One row for several: their counts added up, shape and field of the last."""
    kept = Bytes()
    for row in run:
        kept += row.kept
    params, macs = sum(row.params for row in run), sum(row.macs for row in run)
    return replace(run[-1], layer=layer, count=count, params=params, macs=macs, kept=kept)


# --- text ------------------------------------------------------------------------------------------------------


def summary(graph: Graph, cost: Cost, *, batch: int = 128, optimizer: str = "sgd", lines: int = LINES) -> str:
    """The table and the totals, conventions named; at most `lines` lines where folding can do it."""
    inputs = ", ".join(f"{wire.name or 'input'} {_shape(wire.values)}" for wire in graph.inputs)
    head = [f"{graph.name}{_arguments(graph.parameters)}: {inputs}", ""]
    totals = ["", *_totals(cost, batch, optimizer)]
    table = folded(rows(graph), lines - len(head) - len(totals) - 1)
    body = [_HEADER, *_printed(table, 0)]
    return "\n".join(visible(line.rstrip()) for line in (*head, *body, *totals)) + "\n"


_HEADER = f"{'':{_LAYER}} {'output':>13} {'parameters':>12} {'MACs':>15} {'kept':>10} {'field':>7}"


def _printed(table: tuple[Row, ...], level: int) -> Iterator[str]:
    width = max((len(row.name) for row in table), default=0)
    before: tuple[int, ...] = ()
    for row in table:
        yield _line(row, level, width, _shrunk(before, row.shape) if level == 0 else "")
        before = row.shape
        yield from _printed(row.below, level + 1)


def _line(row: Row, level: int, width: int, mark: str) -> str:
    name = f"{row.name:{width}}  " if width else ""
    label = clipped("  " * level + name + row.layer, _LAYER)
    shape = f"{mark}{_shape(row.shape)}"
    numbers = f"{row.params or '·':>12,}" if row.params else f"{'·':>12}"
    macs = f"{row.macs:>15,}" if row.macs else f"{'·':>15}"
    return f"{label:{_LAYER}} {shape:>13} {numbers} {macs} {readable(row.kept.per_sample):>10} {row.field!s:>7}"


def _shrunk(before: tuple[int, ...], after: tuple[int, ...]) -> str:
    """The stage's mark: by what the map shrank since the row before."""
    if len(before) != 3 or len(after) != 3 or 2 * before[1] < 3 * after[1]:
        return ""
    return f"↓{round(before[1] / after[1])} "


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "1"


def readable(amount: int) -> str:
    """Bytes in the unit that leaves one to four digits before the point."""
    if amount == 0:
        return "·"
    size, units = float(amount), ["B", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.0f} {units[0]}" if size >= 100 or units[0] == "B" else f"{size:.1f} {units[0]}"


def _totals(cost: Cost, batch: int, optimizer: str) -> list[str]:
    memory, training = cost.memory, cost.memory.training(batch, optimizer)
    kept, state = readable(memory.kept.at(batch)), readable(memory.state(optimizer))
    found = [
        ("parameters", f"{cost.params.total:,}", _kinds(cost.params)),
        ("MACs", f"{cost.macs.total:,}", "a sample: convolutions, linear maps, matrix products"),
        ("FLOPs", f"{cost.macs.flops:,}", "2 × MACs"),
        ("depth", f"{cost.depth:,}", "convolutions and linear maps on the longest path"),
        ("activations", readable(memory.activations.per_sample), "outputs of all layers for a sample, float32"),
        ("inference", readable(memory.peak.at(1)), "held at once for a sample, beside the parameters"),
        (
            "training",
            readable(training),
            f"batch {batch}: {kept} kept by autograd, {readable(memory.weights)} parameters,",
        ),
        ("", "", f"{readable(memory.gradients)} gradients, {state} state of {optimizer}"),
    ]
    lines = [f"{name:12} {value:>16}   {note}".rstrip() for name, value, note in found]
    return lines + [f"not counted beyond its parameters: extern {name}" for name in cost.unknown]


def _kinds(params: Params) -> str:
    listed = [f"{kind.replace('_', ' ')} {n:,}" for kind, n in params.by_kind().items() if n]
    frozen = f"; {params.frozen:,} of them not trained" if params.frozen else ""
    return ", ".join(listed) + frozen

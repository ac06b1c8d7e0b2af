"""The body of a forward: one line for each statement of the spec, with the shape of its result beside it."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from archdsl.emit.torch.construct import GraphCode, NodeCode
from archdsl.emit.torch.layout import STEP, WIDTH
from archdsl.emit.torch.names import Names, numbered
from archdsl.emit.torch.pretty import flat, statement_lines
from archdsl.emit.torch.spelling import Speller
from archdsl.emit.torch.steps import DEEPEST, Operand, Tree, deepest, pieces, tree
from archdsl.emit.torch.view import PyStatement

INDENT = 2 * STEP
# These repeat a tensor without a batch over the others by themselves; other merges need it spelled out.
_BROADCASTING = frozenset({"add", "sub", "mul", "sum", "mean", "max", "min", "matmul"})


@dataclass(frozen=True, slots=True)
class Scene:
    """What a forward is written from, besides its text: spelling, field names, and what is known of the wires."""

    speller: Speller
    marks: Sequence[Mapping[str, str]]  # for each node, its fields
    input_names: Sequence[str]
    output_names: Sequence[str]
    batched: Sequence[bool]  # of the inputs
    ranks: Sequence[int]  # of all wires
    shape_of: Callable[[Sequence[int]], str]  # the comment for some wires


class Forward:
    """Writes the statements of one forward."""

    def __init__(self, code: GraphCode, scene: Scene, names: Names) -> None:
        self._code = code
        self._scene = scene
        self._names = names
        self._uses = _uses(code)
        self._users = _users(code)
        self._local: dict[int, str] = {}
        self._pending: dict[int, Tree] = {}
        self._batched = dict(enumerate(scene.batched))
        self._statements: list[PyStatement] = []
        self.inputs = self._name_inputs()

    def write(self) -> tuple[PyStatement, ...]:
        """All statements, the return included."""
        late = _only_for(self._code) if self._code.auxiliaries else frozenset[int]()
        self._run(index for index in range(len(self._code.nodes)) if index not in late)
        if self._code.auxiliaries:
            self._leave_early()
            self._run(iter(sorted(late)))
        self._return((*self._code.outputs, *self._code.auxiliaries))
        return tuple(self._statements)

    # --- names ----------------------------------------------------------------------------------------------------

    def _name_inputs(self) -> tuple[str, ...]:
        wanted = [name if name not in ("", "in") else "x" for name in self._scene.input_names]
        given = tuple(self._names.local(name) for name in wanted)
        self._local.update(enumerate(given))
        return given

    def _named(self, wire: int, node: NodeCode, place: int) -> str:
        """The local name of a node's result."""
        if wire not in self._local:
            self._local[wire] = self._names.local(node.names[place] or node.statement or node.label or "h")
        return self._local[wire]

    # --- nodes ----------------------------------------------------------------------------------------------------

    def _run(self, indices: Iterator[int]) -> None:
        for index in indices:
            node = self._code.nodes[index]
            step = tree(index, node, node.first, self._operands(node))
            if len(node.names) != 1:
                self._unpack(step)
            elif node.again is not None:
                self._loop(step)
            elif self._stands_alone(step.wire, node):
                self._assign(step)
            else:
                self._pending[step.wire] = step

    def _stands_alone(self, wire: int, node: NodeCode) -> bool:
        """Whether a result gets a line of its own."""
        used = self._uses[wire]
        returned = wire in self._code.outputs and len(self._code.outputs) == 1
        if returned and used == 1:
            return bool(self._code.auxiliaries)
        return used != 1 or (bool(node.names[0]) and not self._stays_inside(wire, node))

    def _stays_inside(self, wire: int, node: NodeCode) -> bool:
        """Whether only the same statement uses a result: then its name is that of the statement's end."""
        users = [user for user in self._users[wire] if wire not in self._code.outputs]
        return bool(users) and all(user.statement == node.statement != "" for user in users)

    def _operands(self, node: NodeCode) -> list[Operand]:
        operands = [self._operand(wire) for wire in node.inputs]
        for place, operand in enumerate(operands):
            if isinstance(operand, Tree) and _wants_name(node, place):
                operands[place] = self._assigned(operand)
        return self._expanded(node, operands)

    def _operand(self, wire: int) -> Operand:
        if wire in self._pending:
            return self._pending.pop(wire)
        return ast.Name(self._local[wire])

    def _expanded(self, node: NodeCode, operands: list[Operand]) -> list[Operand]:
        """Operands without a batch repeated for each sample, where the operation does not do that itself."""
        bare = [place for place, wire in enumerate(node.inputs) if not self._batched[wire]]
        whole = len(bare) < len(operands) or len(operands) > 1
        if not bare or not whole or node.op in _BROADCASTING:
            self._mark_batched(node, len(bare) < len(operands))
            return operands
        like = self._batch_of(node)
        for place in bare:
            operand = operands[place]
            value = self._rendered(operand)
            operands[place] = _expand(value, like, self._scene.ranks[node.inputs[place]])
        self._mark_batched(node, True)
        return operands

    def _mark_batched(self, node: NodeCode, batched: bool) -> None:
        self._batched.update((node.first + place, batched) for place in range(len(node.names)))

    def _batch_of(self, node: NodeCode) -> ast.expr:
        """A value with as many samples as there are."""
        named = [self._local[wire] for wire in node.inputs if self._batched[wire] and wire in self._local]
        return ast.Name(named[0] if named else self.inputs[0])

    # --- statements -----------------------------------------------------------------------------------------------

    def _assigned(self, step: Tree) -> ast.expr:
        """The name of a step's result, after the lines that compute it."""
        self._assign(step)
        return ast.Name(self._local[step.wire])

    def _assign(self, step: Tree) -> None:
        if not self._uses[step.wire]:
            self._emit("_", step)
            return
        self._emit(self._named(step.wire, step.node, 0), step)

    def _emit(self, target: str, step: Tree) -> None:
        """The lines that give `target` the value of a tree."""
        self._line(f"{target} = ", self._shortened(step, target, f"{target} = "), (step.wire,))

    def _shortened(self, root: Tree, target: str, head: str) -> ast.expr:
        """The value of a tree as one line's worth; what does not fit is computed in lines before, into `target`."""
        if root.depth <= DEEPEST and self._fits(head, self._rendered(root)):
            return self._rendered(root)
        target = self._names.local("h") if target == "_" else target
        inner: Tree | None = None
        for end in pieces(root, lambda first, last: self._between_fits(first, last, target)):
            self._settle(end, inner, target)
            if end is not root:
                self._line(f"{target} = ", self._rendered(end), (end.wire,))
            inner = end
        return self._rendered(root)

    def _between_fits(self, first: Tree, last: Tree, target: str) -> bool:
        """Whether the calls from `first` to `last` fit on a line, with the name of the line before in `first`."""
        cut = deepest(first)
        operands = first.operands
        if cut is not None:
            first.operands = [ast.Name(target) if operand is cut else operand for operand in operands]
        fits = self._fits(f"{target} = ", self._rendered(last))
        first.operands = operands
        return fits

    def _settle(self, end: Tree, inner: Tree | None, target: str) -> None:
        """Put `target` where the line before ended, and give names to other operands that are too long to stay."""
        step = end
        while True:
            following = deepest(step)
            for place, operand in enumerate(step.operands):
                if operand is inner:
                    step.operands[place] = ast.Name(target)
                elif isinstance(operand, Tree) and operand is not following and operand.depth >= DEEPEST - 1:
                    step.operands[place] = self._aside(operand)
            if following is None or following is inner:
                return
            step = following

    def _aside(self, step: Tree) -> ast.expr:
        target = self._names.local(step.node.label or step.node.statement or "h")
        self._emit(target, step)
        return ast.Name(target)

    def _unpack(self, step: Tree) -> None:
        """A node with several results."""
        wires = range(step.wire, step.wire + len(step.node.names))
        targets = [self._part(w, step.node, i) if self._uses[w] else "_" for i, w in enumerate(wires)]
        self._line(f"{', '.join(targets)} = ", self._shortened(step, "_", ", ".join(targets)), wires)

    def _part(self, wire: int, node: NodeCode, place: int) -> str:
        """The name of one of several results; numbered after the statement where the spec has no name for it."""
        if wire not in self._local and not node.names[place]:
            self._local[wire] = self._names.local(numbered(node.statement or node.label or "part", place + 1))
        return self._named(wire, node, place)

    def _loop(self, step: Tree) -> None:
        """One layer applied several times in a row."""
        target = self._named(step.wire, step.node, 0)
        operand = step.operands[0]
        if isinstance(operand, Tree):
            self._emit(target, operand)
        elif flat(operand) != target:
            self._line(f"{target} = ", operand, step.node.inputs)
        step.operands = [ast.Name(target)]
        assert step.node.again is not None
        count = flat(self._scene.speller.form(step.node.again))
        inner = statement_lines(f"{target} = ", self._rendered(step), INDENT + STEP)
        lines = [" " * INDENT + f"for _ in range({count}):", *inner]
        self._statements.append(PyStatement(_commented(lines, self._scene.shape_of((step.wire,)))))

    def _leave_early(self) -> None:
        """Outside training the auxiliary outputs are not computed."""
        values = [self._value(wire) for wire in self._code.outputs]
        result = values[0] if len(values) == 1 else ast.Tuple(values)
        pad = " " * INDENT
        lines = statement_lines("return ", result, INDENT + STEP)
        self._statements.append(PyStatement((f"{pad}if not self.training:", *lines)))

    def _value(self, wire: int) -> ast.expr:
        operand = self._operand(wire)
        return self._assigned(operand) if isinstance(operand, Tree) else operand

    def _return(self, wires: Sequence[int]) -> None:
        if len(wires) == 1:
            operand = self._operand(wires[0])
            value = self._returned(operand) if isinstance(operand, Tree) else operand
        else:
            value = ast.Tuple([self._value_for_tuple(wire) for wire in wires])
        self._line("return ", value, wires)

    def _returned(self, step: Tree) -> ast.expr:
        if step.depth <= DEEPEST and self._fits("return ", self._rendered(step)):
            return self._rendered(step)
        return self._shortened(step, self._named(step.wire, step.node, 0), "return ")

    def _value_for_tuple(self, wire: int) -> ast.expr:
        operand = self._operand(wire)
        if isinstance(operand, Tree) and operand.depth > 1:
            return self._assigned(operand)
        return self._rendered(operand) if isinstance(operand, Tree) else operand

    # --- text -----------------------------------------------------------------------------------------------------

    def _rendered(self, step: Operand) -> ast.expr:
        if not isinstance(step, Tree):
            return step
        operands = [self._rendered(operand) for operand in step.operands]
        return self._scene.speller.expression(step.node.call, operands, self._scene.marks[step.index])

    def _fits(self, head: str, value: ast.expr) -> bool:
        return INDENT + len(head) + len(flat(value)) <= WIDTH

    def _line(self, head: str, value: ast.expr, wires: Sequence[int]) -> None:
        lines = statement_lines(head, value, INDENT)
        self._statements.append(PyStatement(_commented(lines, self._scene.shape_of(wires))))


def _uses(code: GraphCode) -> Counter[int]:
    uses = Counter(wire for node in code.nodes for wire in node.inputs)
    uses.update(code.outputs)
    uses.update(code.auxiliaries)
    return uses


def _users(code: GraphCode) -> dict[int, list[NodeCode]]:
    users: dict[int, list[NodeCode]] = defaultdict(list)
    for node in code.nodes:
        for wire in node.inputs:
            users[wire].append(node)
    return users


def _only_for(code: GraphCode) -> frozenset[int]:
    """The nodes that nothing but the auxiliary outputs needs."""
    makers = {node.first + place: i for i, node in enumerate(code.nodes) for place in range(len(node.names))}
    return frozenset(_needed(code, code.auxiliaries, makers) - _needed(code, code.outputs, makers))


def _needed(code: GraphCode, wires: Sequence[int], makers: Mapping[int, int]) -> set[int]:
    found: set[int] = set()
    todo = list(wires)
    while todo:
        maker = makers.get(todo.pop())
        if maker is not None and maker not in found:
            found.add(maker)
            todo.extend(code.nodes[maker].inputs)
    return found


def _wants_name(node: NodeCode, place: int) -> bool:
    """Whether an operand would be computed more than once if it were nested."""
    text = node.call.text
    return " for " in text or text.count(f"__in{place}__") > 1


def _expand(value: ast.expr, like: ast.expr, rank: int) -> ast.expr:
    samples = ast.Call(ast.Name("len"), [like], [])
    keep: list[ast.expr] = [ast.UnaryOp(ast.USub(), ast.Constant(1)) for _ in range(rank)]
    return ast.Call(ast.Attribute(value, "expand"), [samples, *keep], [])


def _commented(lines: Sequence[str], comment: str) -> tuple[str, ...]:
    """Lines with a comment behind the only one, or above where it would not fit."""
    if not comment:
        return tuple(lines)
    if len(lines) == 1 and len(lines[0]) + len(comment) + 4 <= WIDTH:
        return (f"{lines[0]}  # {comment}",)
    indent = len(lines[0]) - len(lines[0].lstrip())
    return (f"{' ' * indent}# {comment}", *lines)

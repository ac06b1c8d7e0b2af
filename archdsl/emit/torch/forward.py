"""The body of a forward: one line for each statement of the spec, with the shape of its result beside it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from archdsl.emit.torch.code import operand_mark
from archdsl.emit.torch.codes import GraphCode, NodeCode
from archdsl.emit.torch.lines import Lines, Scene
from archdsl.emit.torch.names import NOT_LOCAL, Names, numbered
from archdsl.emit.torch.pretty import flat
from archdsl.emit.torch.steps import Operand, Tree, tree
from archdsl.emit.torch.view import PyStatement
from archdsl.emit.torch.wiring import Wiring

# These repeat a tensor without a batch over the others by themselves; other merges need it spelled out.
_BROADCASTING = frozenset({"add", "sub", "mul", "sum", "mean", "max", "min", "matmul"})


class Forward:
    """Writes the statements of one forward."""

    def __init__(self, code: GraphCode, scene: Scene) -> None:
        self._code = code
        self._scene = scene
        self._wiring = Wiring(code)
        self._names = Names(NOT_LOCAL)
        self._pending: dict[int, Tree] = {}
        self._learned: dict[int, ast.expr] = {}  # learned tensors are named by their fields
        self._batched = dict(enumerate(scene.batched))
        self._local: dict[int, str] = {}
        self._lines = Lines(scene, self._names)
        self.inputs = self._name_values()

    def write(self) -> tuple[PyStatement, ...]:
        """All statements, the return included."""
        late = self._wiring.late() if self._code.auxiliaries else frozenset[int]()
        self._run(index for index in range(len(self._code.nodes)) if index not in late)
        if self._code.auxiliaries:
            self._leave_early()
            self._run(sorted(late))
        self._return((*self._code.outputs, *self._code.auxiliaries))
        return tuple(self._lines.statements)

    # --- names ----------------------------------------------------------------------------------------------------

    def _name_values(self) -> tuple[str, ...]:
        """Names for all that the spec names, before any value gets a name of ours."""
        for wire, name in enumerate(self._scene.input_names):
            self._local[wire] = self._names.local("x" if name in ("", "in") else name)
        for node in self._code.nodes:
            for place, name in enumerate(node.names):
                if name and not (len(node.names) == 1 and self._is_nested(node)):
                    self._local[node.first + place] = self._names.local(name)
        return tuple(self._local[wire] for wire in range(self._code.inputs))

    def _is_nested(self, node: NodeCode) -> bool:
        given = node.first in (*self._code.outputs, *self._code.auxiliaries)
        return not given and not self._wiring.needs_line(node)

    def _named(self, wire: int, wish: str) -> str:
        """The local name of a result."""
        if wire not in self._local:
            self._local[wire] = self._lines.spare(wish)
        return self._local[wire]

    # --- nodes ----------------------------------------------------------------------------------------------------

    def _run(self, indices: Iterable[int]) -> None:
        for index in indices:
            node = self._code.nodes[index]
            self._step(tree(index, node, node.first, self._operands(node)))

    def _step(self, step: Tree) -> None:
        node = step.node
        if node.op == "learned":
            self._learned[step.wire] = self._lines.rendered(step)
        elif len(node.names) != 1:
            self._unpack(step)
        elif node.again is not None:
            self._loop(step)
        elif self._wiring.needs_line(node):
            self._assign(step)
        else:
            self._pending[step.wire] = step

    def _operands(self, node: NodeCode) -> list[Operand]:
        operands = [self._operand(wire) for wire in node.inputs]
        for place, operand in enumerate(operands):
            if isinstance(operand, Tree) and _wants_name(node, place):
                operands[place] = self._assigned(operand)
        return self._with_batch(node, operands)

    def _operand(self, wire: int) -> Operand:
        if wire in self._pending:
            return self._pending.pop(wire)
        return self._learned[wire] if wire in self._learned else ast.Name(self._local[wire])

    def _with_batch(self, node: NodeCode, operands: list[Operand]) -> list[Operand]:
        """Operands without a batch repeated for each sample, where the operation does not do that itself."""
        bare = [place for place, wire in enumerate(node.inputs) if not self._batched[wire]]
        spelled = bool(bare) and len(operands) > 1 and node.op not in _BROADCASTING
        batched = spelled or len(bare) < len(operands)
        self._batched.update((node.first + place, batched) for place in range(len(node.names)))
        if not spelled:
            return operands
        like = self._batch_of(node)
        for place in bare:
            rank = self._scene.ranks[node.inputs[place]]
            operands[place] = _expanded(self._lines.rendered(operands[place]), like, rank)
        return operands

    def _batch_of(self, node: NodeCode) -> ast.expr:
        """A value with as many samples as there are."""
        named = [self._local[wire] for wire in node.inputs if self._batched[wire] and wire in self._local]
        return ast.Name(named[0] if named else self.inputs[0])

    # --- statements -----------------------------------------------------------------------------------------------

    def _assign(self, step: Tree) -> None:
        used = self._wiring.uses(step.wire)
        self._lines.assign(self._named(step.wire, _wish(step.node)) if used else "_", step)

    def _assigned(self, step: Tree) -> ast.expr:
        """The name of a step's result, after the lines that compute it."""
        self._assign(step)
        return ast.Name(self._local[step.wire])

    def _unpack(self, step: Tree) -> None:
        """A node with several results."""
        wires = range(step.wire, step.wire + len(step.node.names))
        wishes = [numbered(_wish(step.node), place) for place in range(1, len(wires) + 1)]
        names = [self._named(w, wish) if self._wiring.uses(w) else "_" for w, wish in zip(wires, wishes, strict=True)]
        head = f"{', '.join(names)} = "
        self._lines.line(head, self._lines.shortened(step, "_", head), wires)

    def _loop(self, step: Tree) -> None:
        """One layer applied several times in a row."""
        target = self._named(step.wire, _wish(step.node))
        (operand,) = step.operands
        if isinstance(operand, Tree):
            self._lines.assign(target, operand)
        else:
            self._lines.plain(f"{target} = ", operand)
        step.operands = [ast.Name(target)]
        assert step.node.again is not None
        count = flat(self._scene.speller.form(step.node.again))
        self._lines.under(f"for _ in range({count})", f"{target} = ", self._lines.rendered(step), (step.wire,))

    def _leave_early(self) -> None:
        """Outside training the auxiliary outputs are not computed."""
        values = [self._value(wire) for wire in self._code.outputs]
        self._lines.under("if not self.training", "return ", values[0] if len(values) == 1 else ast.Tuple(values), ())

    def _return(self, wires: Sequence[int]) -> None:
        if len(wires) > 1:
            self._lines.line("return ", ast.Tuple([self._value(wire) for wire in wires]), wires)
            return
        operand = self._operand(wires[0])
        if not isinstance(operand, Tree):
            self._lines.line("return ", operand, wires)
        elif self._lines.reads_well("return ", operand):
            self._lines.line("return ", self._lines.rendered(operand), wires)
        else:
            target = self._named(operand.wire, _wish(operand.node))
            self._lines.line("return ", self._lines.shortened(operand, target, "return "), wires)

    def _value(self, wire: int) -> ast.expr:
        """A result in a tuple: a name, or one call on names."""
        operand = self._operand(wire)
        if isinstance(operand, Tree) and (operand.depth > 1 or self._code.auxiliaries):
            return self._assigned(operand)
        return self._lines.rendered(operand)


def _wish(node: NodeCode) -> str:
    """What a result that has no name would like to be called."""
    return node.statement or node.label or "h"


def _wants_name(node: NodeCode, place: int) -> bool:
    """Whether an operand would be computed more than once if it were nested."""
    text = node.call.text
    return " for " in text or text.count(operand_mark(place)) > 1


def _expanded(value: ast.expr, like: ast.expr, rank: int) -> ast.expr:
    samples = ast.Subscript(ast.Attribute(like, "shape"), ast.Constant(0))  # `len` would pin it for torch.export
    keep: list[ast.expr] = [ast.UnaryOp(ast.USub(), ast.Constant(1)) for _ in range(rank)]
    return ast.Call(ast.Attribute(value, "expand"), [samples, *keep], [])

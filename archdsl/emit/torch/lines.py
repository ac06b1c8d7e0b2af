"""Trees of nested calls as statements: on one line where that reads well, otherwise cut in pieces, one line each."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from archdsl.emit.torch.codes import NodeCode
from archdsl.emit.torch.layout import STEP, WIDTH
from archdsl.emit.torch.names import Names, numbered
from archdsl.emit.torch.pretty import flat, statement_lines
from archdsl.emit.torch.spelling import Speller
from archdsl.emit.torch.steps import DEEPEST, MOST_TERMS, Operand, Tree, deepest, pieces, spine
from archdsl.emit.torch.view import PyStatement

INDENT = 2 * STEP


@dataclass(frozen=True, slots=True)
class Scene:
    """What a forward is written from, besides its text: spelling, field names, and what is known of the wires."""

    speller: Speller
    marks: Sequence[Mapping[str, str]]  # for each node, its fields
    input_names: Sequence[str]
    batched: Sequence[bool]  # of the inputs
    ranks: Sequence[int]  # of all wires
    shape_of: Callable[[Sequence[int]], str]  # the comment for some wires


class Lines:
    """Collects the statements of a forward. `names` has all names that values have or will have."""

    def __init__(self, scene: Scene, names: Names) -> None:
        self._scene = scene
        self.names = names
        self.statements: list[PyStatement] = []

    def assign(self, target: str, root: Tree) -> None:
        """The lines that give `target` the value of a tree."""
        head = f"{target} = "
        self.line(head, self.shortened(root, target, head), (root.wire,))

    def shortened(self, root: Tree, target: str, head: str) -> ast.expr:
        """The value of a tree as one line's worth; what does not fit is computed in lines before, into `target`."""
        if self.reads_well(head, root):
            return self.rendered(root)
        target = self.spare("h") if target == "_" else target
        self._set_aside(root)
        ends = pieces(root, lambda first, last: self._between_fits(first, last, target))
        outer = {id(inner): step for inner, step in pairwise(spine(root))}
        for end in ends[:-1]:
            self.line(f"{target} = ", self.rendered(end), (end.wire,))
            _replace(outer[id(end)], end, ast.Name(target))
        return self.rendered(root)

    def reads_well(self, head: str, root: Tree) -> bool:
        """Whether a tree is neither too deep nor too wide for a line that begins with `head`."""
        return root.depth <= DEEPEST and root.terms <= MOST_TERMS and self._fits(head, self.rendered(root))

    def spare(self, base: str) -> str:
        """A name for a value that the spec does not name: the base, or numbered where that is in use."""
        wanted, number = base, 0
        while wanted.lower() in self.names:
            number += 1
            wanted = numbered(base, number)
        return self.names.local(wanted)

    def rendered(self, step: Operand) -> ast.expr:
        """The expression of a tree."""
        if not isinstance(step, Tree):
            return step
        operands = [self.rendered(operand) for operand in step.operands]
        return self._scene.speller.expression(step.node.call, operands, self._scene.marks[step.index])

    def line(self, head: str, value: ast.expr, wires: Sequence[int]) -> None:
        """One statement with the shape of its result beside it."""
        lines = statement_lines(head, value, INDENT)
        self.statements.append(PyStatement(commented(lines, self._scene.shape_of(wires))))

    def plain(self, head: str, value: ast.expr) -> None:
        """One statement without a comment."""
        self.statements.append(PyStatement(tuple(statement_lines(head, value, INDENT))))

    def under(self, head: str, line: str, value: ast.expr, wires: Sequence[int]) -> None:
        """A compound statement with one statement in it."""
        lines = statement_lines(line, value, INDENT + STEP)
        comment = self._scene.shape_of(wires) if wires else ""
        self.statements.append(PyStatement((f"{' ' * INDENT}{head}:", *commented(lines, comment))))

    def _fits(self, head: str, value: ast.expr) -> bool:
        return INDENT + len(head) + len(flat(value)) <= WIDTH

    def _between_fits(self, first: Tree, last: Tree, target: str) -> bool:
        """Whether the calls from `first` to `last` fit on a line, with the name of the line before in `first`."""
        cut = deepest(first)
        operands = first.operands
        first.operands = [ast.Name(target) if operand is cut and cut is not None else operand for operand in operands]
        fits = self._fits(f"{target} = ", self.rendered(last))
        first.operands = operands
        return fits

    def _set_aside(self, root: Tree) -> None:
        """Give names of their own to operands beside the longest path that are too long to stay where they are."""
        path = spine(root)
        on_path = set(map(id, path))
        for step in path:
            for place, operand in enumerate(step.operands):
                if isinstance(operand, Tree) and id(operand) not in on_path and operand.depth >= DEEPEST - 1:
                    target = self.spare(_wish(operand.node))
                    self.assign(target, operand)
                    step.operands[place] = ast.Name(target)


def _wish(node: NodeCode) -> str:
    return node.label or node.statement or "h"


def _replace(step: Tree, end: Tree, value: ast.expr) -> None:
    """Put a value in the place of an operand of a step."""
    step.operands = [value if operand is end else operand for operand in step.operands]


def commented(lines: Sequence[str], comment: str) -> tuple[str, ...]:
    """Lines with a comment behind the only one, or above where it would not fit."""
    if not comment:
        return tuple(lines)
    if len(lines) == 1 and len(lines[0]) + len(comment) + 4 <= WIDTH:
        return (f"{lines[0]}  # {comment}",)
    indent = len(lines[0]) - len(lines[0].lstrip())
    return (f"{' ' * indent}# {comment}", *lines)

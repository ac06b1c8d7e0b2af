"""From open text to Python: holes get their numbers and marks their names."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from archdsl.emit.errors import InternalError
from archdsl.emit.torch.code import LOOP, Code, hole_number, loop_hint, operand_mark
from archdsl.emit.torch.forms import Form
from archdsl.emit.torch.names import NOT_LOCAL, Names
from archdsl.emit.torch.printing import form_node


@dataclass(frozen=True, slots=True)
class Speller:
    """How one class spells what its texts leave open.

    symbols: the expression of a symbol (`width`, or `self.width` in a forward); marks: the names of classes and fields;
    taken: names that loop variables must not hide.
    """

    symbols: Callable[[str], ast.expr]
    marks: Mapping[str, str]
    taken: frozenset[str]

    def expression(
        self, code: Code, operands: Sequence[ast.expr] = (), marks: Mapping[str, str] | None = None
    ) -> ast.expr:
        """The expression of a text; `operands` are put where it names its operands, `marks` add to the class's own."""
        try:
            tree = ast.parse(code.text, mode="eval").body
        except SyntaxError as error:
            raise InternalError(f"no expression: {code.text[:200]}") from error
        filler = _Filler(self, code.slots, operands, {**self.marks, **(marks or {})}, self._loops(code.text))
        return filler.visit(tree)

    def form(self, form: Form) -> ast.expr:
        """The expression of a number."""
        return form_node(form, self.symbols)

    def _loops(self, text: str) -> dict[str, str]:
        """Names for the loop variables of a text, short ones where the wanted name is in use."""
        names = Names(NOT_LOCAL | self.taken)
        marks = dict.fromkeys(match[0] for match in LOOP.finditer(text))
        return {mark: _variable(mark, names) for mark in marks}


def _variable(mark: str, names: Names) -> str:
    hint = (loop_hint(mark) or "n").lower()
    for wanted in (hint, hint.lstrip("_")[:1] or "n", *"nijkm"):
        if wanted not in names:
            return names.local(wanted)
    return names.local(hint)


class _Filler(ast.NodeTransformer):
    """Replaces every hole and mark in an expression."""

    def __init__(
        self,
        speller: Speller,
        slots: Sequence[Form],
        operands: Sequence[ast.expr],
        marks: Mapping[str, str],
        loops: Mapping[str, str],
    ) -> None:
        self._speller = speller
        self._slots = slots
        self._operands = {operand_mark(index): operand for index, operand in enumerate(operands)}
        self._marks = marks
        self._loops = loops

    def visit_Name(self, node: ast.Name) -> ast.expr:
        number = hole_number(node.id)
        if number is not None:
            return form_node(self._slots[number], self._symbol)
        if node.id in self._operands:
            return self._operands[node.id]
        return ast.Name(self._loops.get(node.id) or self._marks.get(node.id, node.id))

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return ast.Attribute(self.visit(node.value), self._marks.get(node.attr, node.attr))

    def _symbol(self, name: str) -> ast.expr:
        return ast.Name(self._loops[name]) if name in self._loops else self._speller.symbols(name)

"""Shape annotations and contracts: sizes checked against what they say, dimension variables bound on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.elaborate import errors
from archdsl.elaborate.derivation import derivation, report_not_whole
from archdsl.elaborate.evaluate import evaluate
from archdsl.elaborate.values import UNKNOWN, Value, shape_text, shown
from archdsl.ir.graph import Wire
from archdsl.limits import RANK, SIZE
from archdsl.scalar import Scalar
from archdsl.source import Span
from archdsl.syntax import ast

if TYPE_CHECKING:
    from archdsl.elaborate.frame import Frame


@dataclass
class Shapes:
    """The shapes of one body; the dimension variables of its contract become names of its frame."""

    frame: Frame
    owner: str

    def check_inputs(self, contract: ast.Contract, wires: tuple[Wire, ...], span: Span, caller: Frame) -> bool:
        """Whether tensors meet a contract's left side; its variables are bound to their sizes."""
        if len(contract.inputs) != len(wires):
            wanted = f"{len(contract.inputs)} tensors by its contract"
            caller.report(errors.wrong_inputs(span, self.owner, wanted, len(wires)))
            return False
        return all(self._bind_input(s, w, contract, span, caller) for s, w in zip(contract.inputs, wires, strict=True))

    def _bind_input(self, shape: ast.ListOf, wire: Wire, contract: ast.Contract, span: Span, caller: Frame) -> bool:
        wrong = self._mismatch(shape, wire, binding=True)
        if wrong is None:
            return True
        caller.report(errors.contract_input(span, contract.span, shape.span.text, shape_text(wire), self.owner, wrong))
        return False

    def bind(self, shape: ast.ListOf, wire: Wire, span: Span) -> bool:
        """Check an input's annotation; names in it that have no value yet become dimension variables."""
        return self._report(self._mismatch(shape, wire, binding=True), shape, wire, span)

    def check(self, shape: ast.ListOf, wire: Wire, value: Span) -> bool:
        """Whether a tensor has the shape of an annotation."""
        return self._report(self._mismatch(shape, wire, binding=False), shape, wire, value)

    def _report(self, wrong: str | None, shape: ast.ListOf, wire: Wire, value: Span) -> bool:
        if wrong is None:
            return True
        if wrong:
            self.frame.report(errors.annotation_differs(shape.span, shape.span.text, shape_text(wire), value, wrong))
        return False

    def check_outputs(self, contract: ast.Contract, wires: tuple[Wire, ...], value: Span) -> bool:
        """Whether results meet a contract's right side."""
        if len(contract.outputs) != len(wires):
            wanted = f"{len(contract.outputs)} results by its contract"
            self.frame.report(errors.wrong_inputs(contract.span, self.owner, wanted, len(wires)))
            return False
        for shape, wire in zip(contract.outputs, wires, strict=True):
            wrong = self._mismatch(shape, wire, binding=False)
            if wrong is not None:
                text, found = shape.span.text, shape_text(wire)
                self.frame.report(errors.contract_output(value, contract.span, text, found, self.owner, wrong))
                return False
        return True

    def made(self, shape: ast.ListOf, span: Span) -> Wire | None:
        """A tensor of an annotated shape (a network's input); None where it is not one (reported)."""
        sizes: list[int] = []
        for item in shape.items:
            value = evaluate(item, self.frame)
            if value is UNKNOWN:
                return None
            whole = isinstance(value, Scalar) and value.is_whole and value.value >= 1
            if not whole or not isinstance(value, Scalar):
                report_not_whole("a size", item, value, self.frame)
                return None
            if value.value > SIZE.value:
                self.frame.give_up(SIZE, item.span)
            sizes.append(int(value))
        if not sizes:
            hint = "give each of its dimensions a size"
            self.frame.report(errors.wrong_place(shape.span, "[]", "the shape of a tensor", hint))
            return None
        if len(sizes) > RANK.value:
            self.frame.give_up(RANK, shape.span)
        return Wire(tuple(sizes), span=span)

    def _mismatch(self, shape: ast.ListOf, wire: Wire, binding: bool) -> str | None:
        """Why a tensor does not have a shape, with the arithmetic; None where it has, "" where an error was said."""
        if len(shape.items) != len(wire.shape):
            return f"{_dimensions(len(shape.items))}, not {len(wire.shape)}"
        differences: list[str] = []
        for item, size in zip(shape.items, wire.shape, strict=True):
            if isinstance(item, ast.Wildcard):
                continue
            if binding and isinstance(item, ast.Name) and not self._known(item):
                self._define(item, size)
                continue
            value = evaluate(item, self.frame)
            if value is UNKNOWN:
                return ""
            if value != size:
                differences.append(self._difference(item, value, int(size)))
        return "; ".join(dict.fromkeys(differences)) if differences else None

    def _difference(self, item: ast.Expr, value: Value, size: int) -> str:
        text = derivation(item, value, self.frame)
        return f"{text}, but here it is {size}" if text != shown(value) else f"{text} is not {size}"

    def _known(self, name: ast.Name) -> bool:
        return self.frame.look_up(name.text) is not None or name.text in self.frame.module.names

    def _define(self, name: ast.Name, size: int | Scalar) -> None:
        self.frame.bind(name.text, size if isinstance(size, Scalar) else Scalar(size), name.span)


def _dimensions(count: int) -> str:
    return f"{count} dimension" + ("s" if count != 1 else "")

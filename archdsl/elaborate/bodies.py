"""The bodies of blocks and networks, statement by statement, to graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from archdsl.elaborate import errors
from archdsl.elaborate.derivation import derivation
from archdsl.elaborate.evaluate import condition, dimension_names, evaluate
from archdsl.elaborate.frame import Frame
from archdsl.elaborate.inits import init_rule
from archdsl.elaborate.merges import settled
from archdsl.elaborate.shapes import Shapes
from archdsl.elaborate.values import UNKNOWN, Function, Join, Named, Shared, Tensor, Value, is_layer, is_tensor
from archdsl.ir.graph import Auxiliary, Graph, Parameter, Prim, Wire
from archdsl.ops.op import Value as Attr
from archdsl.scalar import Scalar
from archdsl.source import Span
from archdsl.syntax import ast

Symbolic = (Scalar, bool, str)


@dataclass
class Body:
    """One run through the statements of a block or network."""

    block: ast.Block
    frame: Frame
    closed: bool = True
    inputs: list[Wire] = field(default_factory=list[Wire])
    outputs: list[tuple[str, Tensor | None, Span]] = field(default_factory=list["tuple[str, Tensor | None, Span]"])
    waiting: list[Wire] = field(default_factory=list[Wire])
    failed: bool = False
    refused: bool = False
    shapes: Shapes = field(init=False)

    def __post_init__(self) -> None:
        self.shapes = Shapes(self.frame, self.block.name.text)

    @property
    def is_network(self) -> bool:
        return self.block.keyword.text == "network"

    # ---- the run

    def run(self, wires: tuple[Wire, ...], caller: Frame | None, span: Span) -> Graph | None:
        """The graph, or None after an error in it."""
        if not self._take_inputs(wires, caller, span):
            return None
        self.statements(self.block.body)
        if self.failed or not self._has_output():
            return None
        return self._finish()

    def _take_inputs(self, wires: tuple[Wire, ...], caller: Frame | None, span: Span) -> bool:
        """The block's own input wires: same sizes, own symbols."""
        names = self._input_names()
        if self.is_network:
            return True
        if len(names) != len(wires):
            wanted = "one tensor" if len(names) == 1 else f"{len(names)} tensors ({', '.join(names)})"
            (caller or self.frame).report(errors.wrong_inputs(span, self.block.name.text, wanted, len(wires)))
            return False
        self.inputs = [_own(wire, name, self._taken_names()) for wire, name in zip(wires, names, strict=True)]
        self.waiting = list(self.inputs)
        if names == ["in"]:
            self.frame.bind("in", self.inputs[0], self.block.name.span)
        if self.block.contract is None:
            return True
        return self.shapes.check_inputs(self.block.contract, tuple(self.inputs), span, caller or self.frame)

    def _input_names(self) -> list[str]:
        declared = [t.name.text for s in self.block.body if isinstance(s, ast.Input) for t in s.targets]
        return declared or ["in"]

    def _taken_names(self) -> frozenset[str]:
        return frozenset(param.name.text for param in self.block.params)

    def _has_output(self) -> bool:
        if self.outputs:
            return True
        if not (self.frame.session.damaged or self.frame.module.damaged):
            keyword = "output" if self.is_network else "out"
            what = f"{self.block.keyword.text} `{self.block.name.text}`"
            self.frame.report(errors.no_output(self.block.name.span, what, keyword))
        return False

    def _finish(self) -> Graph | None:
        open_join, wires = self._results()
        if self.frame.assembly.broken:
            return None
        if self.block.contract is not None and not self._keeps_contract(open_join, wires):
            return None
        names = tuple(name for name, _, _ in self.outputs)
        assembly = self.frame.assembly
        doc = self.block.doc.value if self.block.doc is not None else ""
        return Graph(
            name=self.block.name.text,
            kind=self.block.keyword.text,
            parameters=self._parameters(),
            inputs=tuple(self.inputs),
            nodes=tuple(assembly.nodes),
            outputs=wires,
            output_names=names,
            auxiliaries=tuple(assembly.auxiliaries),
            open_join=open_join,
            inits=tuple(assembly.inits),
            decisions=tuple(dict.fromkeys(assembly.decisions)),
            doc=doc,
            span=self.block.name.span,
        )

    def _results(self) -> tuple[Prim | None, tuple[Wire, ...]]:
        """The output wires; for a block that ends in a join, the columns and the join, unless it must be closed."""
        tensors = [cast(Tensor, value) for _, value, _ in self.outputs]
        only = tensors[0]
        if (
            len(tensors) == 1
            and isinstance(only, Join)
            and only.result is None
            and not self.closed
            and not self.is_network
        ):
            only.call = None
            return only.merge, only.columns
        return None, tuple(settled(tensor, self.frame) for tensor in tensors)

    def _keeps_contract(self, open_join: Prim | None, wires: tuple[Wire, ...]) -> bool:
        assert self.block.contract is not None
        results = wires[:1] if open_join is not None else wires
        return self.shapes.check_outputs(self.block.contract, results, self.outputs[0][2])

    def _parameters(self) -> tuple[Parameter, ...]:
        found: list[Parameter] = []
        for param in self.block.params:
            value = self.frame.names[param.name.text].value
            derived = isinstance(value, Scalar) and value.expr != param.name.text and not self.is_network
            if isinstance(value, Symbolic) and not derived:
                kind = "required" if param.default is None else "optional"
                found.append(Parameter(param.name.text, value, kind, self._default(param)))
        for wire in self.inputs if not self.is_network else ():
            for size in wire.shape:
                if isinstance(size, Scalar) and isinstance(size.expr, str):
                    found.append(Parameter(size.expr, size, "dimension"))
        return tuple(found)

    def _default(self, param: ast.Param) -> Attr:
        """A default that is a plain number or text; None for one that depends on other parameters."""
        default = param.default
        if isinstance(default, ast.Number):
            return Scalar(default.value)
        return default.value if isinstance(default, (ast.Text, ast.Literal)) else None

    # ---- statements

    def statements(self, statements: tuple[ast.Statement, ...]) -> None:
        """Run through statements, each as far as it can be understood; none after a `require` that fails."""
        for statement in statements:
            if self.refused:
                return
            _STATEMENTS[type(statement)](self, statement)

    def assign(self, statement: ast.Assign) -> None:
        value = self._value(statement.targets[0].name.text, statement.value)
        if statement.shared and is_layer(value):
            name = statement.targets[0].name
            value = Shared(value, name.text, self.frame, name.span)
        if len(statement.targets) == 1:
            self._give(statement.targets[0], value, statement.value)
            return
        parts = self._parts(value, statement)
        for target, part in zip(statement.targets, parts, strict=True):
            self._give(target, part, statement.value)

    def _parts(self, value: Value, statement: ast.Assign) -> tuple[Value, ...]:
        count = len(statement.targets)
        span = statement.targets[0].span.to(statement.targets[-1].span)
        if isinstance(value, tuple) and len(value) == count:
            return value
        if isinstance(value, tuple):
            self.frame.report(errors.wrong_count(span, count, len(value)))
        elif value is not UNKNOWN:
            self.frame.report(errors.not_a_list(statement.value.span, value))
        return (UNKNOWN,) * count

    def _value(self, name: str, expr: ast.Expr) -> Value:
        """Evaluate the right side of a statement; its nodes remember the statement's name."""
        self.frame.assembly.statement = name
        value = evaluate(expr, self.frame)
        self.frame.assembly.statement = ""
        if value is UNKNOWN:
            self.failed = True
        return value

    def _give(self, target: ast.Target, value: Value, expr: ast.Expr) -> None:
        name = target.name.text
        if is_layer(value) and not isinstance(value, (Shared, Named)):
            value = Named(value, name, target.name.span)
        if target.shape is not None and is_tensor(value):
            wire = settled(value, self.frame)
            self.failed |= not self.shapes.check(target.shape, wire, expr.span)
            value = wire
        elif target.shape is not None and value is not UNKNOWN:
            self.frame.report(errors.not_a_tensor(target.span, value, "a shape annotation"))
        if isinstance(value, Wire):
            self._name_wire(value, name, expr)
        first = self.frame.names.get(name)
        if first is not None:
            self.frame.report(errors.given_twice(target.name.span, name, first.span))
            self.failed = True
        else:
            self.frame.bind(name, value, target.name.span, expr)

    def _name_wire(self, wire: Wire, name: str, expr: ast.Expr) -> None:
        """A tensor gets the name of the first statement that gives it one."""
        if not wire.name and wire not in self.inputs:
            wire.name, wire.span = name, expr.span

    def input(self, statement: ast.Input) -> None:
        keyword = "input" if self.is_network else "in"
        if statement.keyword.text != keyword:
            what = f"a {self.block.keyword.text}"
            self.frame.report(
                errors.wrong_place(statement.keyword.span, statement.keyword.text, what, f"write `{keyword}`")
            )
            self.failed = True
            return
        for target in statement.targets:
            wire = self._network_input(target) if self.is_network else self._next_input(target)
            if wire is None:
                self.failed = True
            self.frame.bind(target.name.text, UNKNOWN if wire is None else wire, target.name.span)

    def _network_input(self, target: ast.Target) -> Wire | None:
        if target.shape is None:
            self.frame.report(errors.missing_shape(target.span, target.name.text))
            return None
        wire = self.shapes.made(target.shape, target.span)
        if wire is not None:
            wire.name = target.name.text
            self.inputs.append(wire)
        return wire

    def _next_input(self, target: ast.Target) -> Wire | None:
        wire = self.waiting.pop(0)
        if target.shape is not None and not self.shapes.bind(target.shape, wire, target.span):
            return None
        return wire

    def output(self, statement: ast.Output) -> None:
        keyword = "output" if self.is_network else "out"
        if statement.keyword.text != keyword:
            what = f"a {self.block.keyword.text}"
            self.frame.report(
                errors.wrong_place(statement.keyword.span, statement.keyword.text, what, f"write `{keyword}`")
            )
            self.failed = True
            return
        name = statement.target.name.text
        value = self._value(name, statement.value)
        if value is UNKNOWN:
            self.outputs.append((name, None, statement.span))
            return
        if not is_tensor(value):
            self.frame.report(errors.not_a_tensor(statement.value.span, value, f"`{name}`"))
            self.failed = True
            value = UNKNOWN
        self._check_output_once(name, statement)
        if statement.target.shape is not None and is_tensor(value):
            value = settled(value, self.frame)
            self.failed |= not self.shapes.check(statement.target.shape, value, statement.value.span)
        if isinstance(value, Wire):
            self._name_wire(value, name, statement.value)
        self.outputs.append((name, cast(Any, value), statement.span))

    def _check_output_once(self, name: str, statement: ast.Output) -> None:
        for other, _, span in self.outputs:
            if other == name:
                self.frame.report(errors.given_twice(statement.target.span, name, span))
                self.failed = True

    def auxiliary(self, statement: ast.Aux) -> None:
        if not self.is_network:
            hint = "give the tensor out, and make the head in the network"
            self.frame.report(errors.wrong_place(statement.span, "auxiliary", "a block", hint))
            self.failed = True
            return
        value = self._value(statement.target.name.text, statement.value)
        weight = evaluate(statement.weight, self.frame)
        self._give(statement.target, value, statement.value)
        if value is UNKNOWN or not is_tensor(value) or not isinstance(weight, Scalar):
            self.failed = True
            return
        wire = settled(value, self.frame)
        self.frame.assembly.auxiliaries.append(Auxiliary(statement.target.name.text, wire, weight))

    def branch(self, statement: ast.If) -> None:
        outcome = condition(statement.condition, self.frame)
        if outcome is None:
            self.failed = True
            return
        self.frame.enter(statement.span)
        self.statements(statement.then if outcome else statement.otherwise)
        self.frame.session.level -= 1

    def require(self, statement: ast.Require) -> None:
        value = evaluate(statement.condition, self.frame)
        if value is UNKNOWN or value is True:
            self.failed |= value is UNKNOWN
            return
        self.failed = self.refused = True
        if not isinstance(value, bool):
            self.frame.report(errors.not_a_condition(statement.condition.span, value))
            return
        message = statement.message.value if statement.message is not None else None
        facts = derivation(statement.condition, value, self.frame).partition(", where ")[2]
        self.frame.report(errors.requirement_fails(statement.condition.span, message, facts))

    def init(self, statement: ast.Init) -> None:
        rule = init_rule(statement, self.frame, self.block)
        if rule is not None:
            self.frame.assembly.inits.append(rule)

    def function(self, statement: ast.Function) -> None:
        self.frame.bind(statement.name.text, Function(statement, self.frame), statement.name.span)

    def claims(self, statement: ast.Claims) -> None:
        """Claims are checked when the network is whole."""


def _own(wire: Wire, name: str, taken: frozenset[str]) -> Wire:
    """An input as the block sees it: the same sizes as symbols of its own."""
    prefix = "in" if name == "in" else name
    shape: list[Scalar] = []
    for size, dimension in zip(wire.shape, dimension_names(len(wire.shape)), strict=True):
        symbol = f"{prefix}_{dimension}"
        while symbol in taken:
            symbol += "_"
        shape.append(Scalar(int(size), symbol))
    return Wire(tuple(shape), name=name, span=wire.span)


_STATEMENTS: dict[type, Callable[[Body, Any], None]] = {
    ast.Assign: Body.assign,
    ast.Input: Body.input,
    ast.Output: Body.output,
    ast.Aux: Body.auxiliary,
    ast.If: Body.branch,
    ast.Require: Body.require,
    ast.Claims: Body.claims,
    ast.Init: Body.init,
    ast.Function: Body.function,
}

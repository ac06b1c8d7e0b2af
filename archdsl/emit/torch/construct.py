"""The text of one graph with its numbers still open: what its fields are made of, and what its forward calls."""

from __future__ import annotations

import re
from collections.abc import Mapping

from archdsl.emit.torch.blocks import number_of
from archdsl.emit.torch.code import FIELD_MARK, MERGE_MARK, Code, enclosed, loop_mark, operand_mark
from archdsl.emit.torch.codes import FieldCode, GraphCode, Module, NodeCode, Rule, is_nothing, unwrapped, wires_of
from archdsl.emit.torch.folding import Factor, Item, folded_row
from archdsl.emit.torch.forms import constant_form
from archdsl.emit.torch.layers import LayerWriter, base_name, last_unit, shapes_of
from archdsl.ir.graph import Branches, Graph, InitRule, Node, Prim
from archdsl.scalar import Expr

_BRANCH = loop_mark("branch")


class GraphWriter:
    """Writes the text of one graph. `names` says what a class calls the block's symbols; None: what the block does."""

    def __init__(self, module: Module, graph: Graph, names: Mapping[str, Expr] | None = None) -> None:
        self._graph = graph
        self._layers = LayerWriter(module, graph, names)
        self._indices = {id(wire): index for index, wire in enumerate(wires_of(graph))}

    def write(self) -> GraphCode:
        """The text of the graph."""
        graph = self._graph
        nodes = tuple(self._node(node) for node in graph.nodes if not self._passes(node))
        auxiliaries = tuple(self._indices[id(a.wire)] for a in graph.auxiliaries)
        outputs = tuple(self._indices[id(wire)] for wire in graph.outputs)
        lent = tuple(self._layers.lent.values())
        return GraphCode(len(graph.inputs), nodes, outputs, auxiliaries, lent, tuple(map(_rule, graph.inits)))

    def _passes(self, node: Node) -> bool:
        """Whether a node does nothing; then its result is its operand, under that one's number."""
        if not is_nothing(unwrapped(node)[0]):
            return False
        self._indices[id(node.outputs[0])] = self._indices[id(node.inputs[0])]
        return True

    # --- nodes ----------------------------------------------------------------------------------------------------

    def _node(self, outer: Node) -> NodeCode:
        node, again = unwrapped(outer)
        fields, call = self._parts(node)
        return NodeCode(
            first=self._indices[id(node.outputs[0])],
            inputs=tuple(self._indices[id(wire)] for wire in node.inputs),
            names=tuple(wire.name for wire in node.outputs),
            fields=fields,
            call=call,
            statement=node.statement,
            label=node.label,
            shared=self._layers.shared_key(node.shared) if node.shared else "",
            starts=self._layers.starts(node.shared),
            op=node.what.op.name if isinstance(node.what, Prim) else "",
            again=None if again is None or not node.shared else self._layers.number(again),
        )

    def _parts(self, node: Node) -> tuple[tuple[FieldCode, ...], Code]:
        what = node.what
        if isinstance(what, Prim):
            return self._prim_parts(what, node)
        if isinstance(what, Branches):
            return self._branches_parts(what, node)
        base = node.label or base_name(what)
        return (FieldCode(FIELD_MARK, base, self._layers.constructor(node)),), _applied(FIELD_MARK, len(node.inputs))

    def _prim_parts(self, prim: Prim, node: Node) -> tuple[tuple[FieldCode, ...], Code]:
        if prim.op.inputs == (0, 0):
            return (self._field(prim, node),), Code(f"self.{FIELD_MARK}")
        call = self._layers.call(prim, shapes_of(node.inputs), shapes_of(node.outputs))
        if call is not None:
            return (), call
        return (self._field(prim, node),), _applied(FIELD_MARK, len(node.inputs))

    def _field(self, prim: Prim, node: Node) -> FieldCode:
        return FieldCode(FIELD_MARK, node.label or prim.op.name, self._layers.constructor(node), prim.op.name)

    def _branches_parts(self, what: Branches, node: Node) -> tuple[tuple[FieldCode, ...], Code]:
        items = tuple(Item(self._layers.sequential(branch), constant_form(1)) for branch in what.branches)
        pieces = folded_row([Factor(items, constant_form(len(items)))])
        listed = enclosed("nn.ModuleList([", pieces, "])")
        if len(pieces) == 1 and pieces[0].text.startswith("*["):
            listed = enclosed("nn.ModuleList(", [Code(pieces[0].text[1:], pieces[0].slots)], ")")
        branches = FieldCode(FIELD_MARK, node.label or "branches", listed)
        merge = self._merge(what, node)
        return (branches, *merge[0]), merge[1]

    def _merge(self, what: Branches, node: Node) -> tuple[tuple[FieldCode, ...], Code]:
        """How the outputs of branches come together: in one expression over all of them, where there is one."""
        inputs = tuple(last_unit(branch).node.outputs[0].shape for branch in what.branches)
        prim, each = what.merge, f"{_BRANCH}({operand_mark(0)}) for {_BRANCH} in self.{FIELD_MARK}"
        call = self._layers.call(prim, inputs, shapes_of(node.outputs))
        if call is None:
            code = self._layers.module_of(prim, inputs, shapes_of(node.outputs))
            return (FieldCode(MERGE_MARK, prim.op.name, code, prim.op.name),), Code(f"self.{MERGE_MARK}(*[{each}])")
        if prim.op.name in ("add", "sum"):
            return (), Code(f"sum({each})")
        if prim.op.name in ("mean", "join"):
            return (), Code(f"sum({each}) / {len(inputs)}")
        return (), _listed_call(call, len(inputs), each)


def _rule(rule: InitRule) -> Rule:
    args = [(name, value if isinstance(value, str) else number_of(value) or 0) for name, value in rule.args.items()]
    return Rule(rule.target, rule.weight, rule.how, tuple(args))


def _applied(mark: str, inputs: int) -> Code:
    return Code(f"self.{mark}({', '.join(operand_mark(i) for i in range(inputs))})")


def _listed_call(call: Code, count: int, each: str) -> Code:
    """A call on all branches: over a list of them where it takes its operands in a row, one by one otherwise."""
    operands = ", ".join(operand_mark(i) for i in range(count))
    if f"(({operands})" in call.text:
        return Code(call.text.replace(f"(({operands})", f"([{each}]", 1), call.slots)
    single = f"self.{FIELD_MARK}[\\1]({operand_mark(0)})"
    return Code(re.sub(operand_mark("([0-9]+)"), single, call.text), call.slots)

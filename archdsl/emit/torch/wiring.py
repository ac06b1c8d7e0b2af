"""Who uses which result of a forward, and what only the auxiliary outputs need."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from archdsl.emit.torch.codes import GraphCode, NodeCode


class Wiring:
    """The uses of every wire of a graph."""

    def __init__(self, code: GraphCode) -> None:
        self._code = code
        self._users: dict[int, list[NodeCode]] = defaultdict(list)
        for node in code.nodes:
            for wire in node.inputs:
                self._users[wire].append(node)
        self._given = Counter((*code.outputs, *code.auxiliaries))

    def uses(self, wire: int) -> int:
        """How often a wire is used, as an operand or as a result of the graph."""
        return len(self._users[wire]) + self._given[wire]

    def needs_line(self, node: NodeCode) -> bool:
        """Whether the result of a node gets a line of its own, and is not nested into its only user."""
        wire = node.first
        if self.uses(wire) != 1:
            return True
        if wire in self._code.outputs and len(self._code.outputs) == 1:
            return bool(self._code.auxiliaries)
        return bool(node.names[0]) and not self._stays_inside(wire, node)

    def _stays_inside(self, wire: int, node: NodeCode) -> bool:
        """Whether only the same statement uses a result: then the name belongs to the statement's end."""
        users = self._users[wire]
        return bool(users) and all(user.statement == node.statement != "" for user in users)

    def late(self) -> frozenset[int]:
        """The nodes that nothing but the auxiliary outputs needs, by index, and all that read them."""
        code = self._code
        makers = {node.first + place: i for i, node in enumerate(code.nodes) for place in range(len(node.names))}
        late = _needed(code, code.auxiliaries, makers) - _needed(code, code.outputs, makers)
        for index, node in enumerate(code.nodes):
            if any(makers.get(wire) in late for wire in node.inputs):
                late.add(index)
        return frozenset(late)


def _needed(code: GraphCode, wires: Sequence[int], makers: Mapping[int, int]) -> set[int]:
    found: set[int] = set()
    todo = list(wires)
    while todo:
        maker = makers.get(todo.pop())
        if maker is not None and maker not in found:
            found.add(maker)
            todo.extend(code.nodes[maker].inputs)
    return found

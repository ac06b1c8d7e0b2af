"""The steps of a forward as trees of nested calls, and how a tree that is too deep or too wide is cut in pieces.

A step is nested into its only user unless the spec gave its result a name. A tree is cut where a reader would cut it:
before each convolution where the first step is one (convolution, norm, activation), otherwise after it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Union

from archdsl.emit.torch.codes import NodeCode

DEEPEST = 4
# Layers that go with another one: norms, random layers, learned factors.
_LIGHT = frozenset(
    {"bn", "ln", "gn", "instance_norm", "lrn", "prelu", "scale", "bias", "affine", "dropout", "channel_dropout"}
    | {"bernoulli_mask", "shift", "spp", "identity", "learned"}
)


@dataclass(eq=False, slots=True)
class Tree:
    """A step and what goes into it: other steps, or the names of values. `wire` is the number of its result."""

    index: int
    node: NodeCode
    wire: int
    operands: list[Operand]
    depth: int = 1

    @property
    def is_heavy(self) -> bool:
        """Whether a line may begin or end here: a layer that does the work, or a merge."""
        return len(self.operands) > 1 or is_heavy(self.node)


def is_heavy(node: NodeCode) -> bool:
    """Whether a step is a layer that does the work, and no norm or the like around it."""
    return bool(node.fields) and node.op not in _LIGHT


Operand = Union[Tree, ast.expr]


def tree(index: int, node: NodeCode, wire: int, operands: list[Operand]) -> Tree:
    """The tree of a step on its operands."""
    depth = 1 + max((operand.depth for operand in operands if isinstance(operand, Tree)), default=0)
    return Tree(index, node, wire, operands, depth)


def spine(root: Tree) -> list[Tree]:
    """The longest path of nested calls, innermost first."""
    path = [root]
    while (inner := deepest(path[-1])) is not None:
        path.append(inner)
    return path[::-1]


def deepest(node: Tree) -> Tree | None:
    """The operand with most calls in it."""
    inner = [operand for operand in node.operands if isinstance(operand, Tree)]
    return max(inner, key=lambda operand: operand.depth) if inner else None


def pieces(root: Tree, fits: Callable[[Tree, Tree], bool]) -> list[Tree]:
    """The outermost steps of the lines that a tree is cut into, in order; the last is `root`.

    fits: whether what lies between two steps of the spine, both included, fits on a line.
    """
    path = spine(root)
    before = path[0].is_heavy
    ends: list[Tree] = []
    start = 0
    for place, step in enumerate(path):
        cut = place > start and _cuts(path[place - 1], step, before)
        if place > start and (cut or place - start >= DEEPEST or not fits(path[start], step)):
            ends.append(path[place - 1])
            start = place
    return [*ends, root]


def _cuts(inner: Tree, outer: Tree, before: bool) -> bool:
    if len(outer.operands) > 1:
        return True
    return outer.is_heavy if before else inner.is_heavy

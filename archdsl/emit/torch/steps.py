"""The steps of a forward as trees of nested calls, and how a tree that is too deep or too wide is cut in pieces.

A step is nested into its only user unless the spec gave its result a name. A tree is cut where a reader would cut it:
before each convolution where the first step is one (convolution, norm, activation), otherwise after it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Union

from archdsl.emit.torch.codes import NodeCode

DEEPEST = 4
MOST_TERMS = 24
_INFIX = frozenset({"add", "mul"})
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
    depth: int = 1  # of nested calls; the terms of a sum are side by side
    terms: int = 1

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
    step = Tree(index, node, wire, operands, depth)
    first = operands[0] if operands else None
    if isinstance(first, Tree) and _goes_on(first, step):
        beside = (operand.depth for operand in operands[1:] if isinstance(operand, Tree))
        step.depth, step.terms = max(first.depth, 1 + max(beside, default=0)), first.terms + 1
    return step


def _goes_on(inner: Tree, outer: Tree) -> bool:
    """Whether a step adds one more term to a sum, or one more factor to a product."""
    return outer.operands[0] is inner and inner.node.op == outer.node.op and outer.node.op in _INFIX


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
    first, depth = path[0], 1
    for inner, step in pairwise(path):
        depth += not _goes_on(inner, step)
        if _cuts(inner, step, before) or depth > DEEPEST or not fits(first, step):
            ends.append(inner)
            first, depth = step, 1
    return [*ends, root]


def _cuts(inner: Tree, outer: Tree, before: bool) -> bool:
    """Whether a reader would begin a new line between two steps."""
    if _goes_on(inner, outer):
        return False
    if len(outer.operands) > 1:
        return True
    return outer.is_heavy if before else inner.is_heavy

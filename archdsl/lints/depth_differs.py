"""A network works out its units from its parameter `depth`, and is not that deep.

Depth is the number of convolutions and linear maps on the longest path. CIFAR ResNets have 6n + 2 (9n + 2 with
bottlenecks), wide ones 6n + 4, of which the two or three projections are counted too; DenseNet-BC has half as many
layers as DenseNet because each has two convolutions. Forgetting that makes DenseNet-BC-100-12 2.5 million parameters
instead of 0.77. A `depth` that is itself a number of blocks, as in transformers, may differ: only one that layers are
taken off first, as in `(depth - 4) / 6`, is held against the network.

Wrong:

    network DenseNetBC(depth = 100) { n = (depth - 4) / 3 ... }

Right:

    network DenseNetBC(depth = 100) { n = (depth - 4) / 6 ... }

Silence it with `# allow: depth-differs` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.analyses.params import family
from archdsl.analyses.walk import total
from archdsl.diagnostic import Severity
from archdsl.ir.graph import Graph
from archdsl.lints.names import expressions_of
from archdsl.lints.rule import Context, Finding, Rule
from archdsl.source import Span
from archdsl.syntax import ast

_SLACK = 1  # some papers leave out the classifier, some count it


def check(context: Context) -> Iterator[Finding]:
    """Networks with a formula for `depth` that is neither the longest path nor the number of all weight layers."""
    for network in context.networks:
        said = network.parameter("depth")
        if not isinstance(said, int) or network.graph.span not in set(_with_formula(context.file)):
            continue
        longest = network.cost.depth
        if abs(said - longest) > _SLACK and abs(said - _weight_layers(network.graph)) > _SLACK:
            title = f"depth is {said}, but the longest path has {longest} weight layers"
            yield Finding(network.graph.span, title, hint="look at the formula for the number of units")


def _with_formula(file: ast.File) -> Iterator[Span]:
    """The networks of a file, by their names' places, that subtract from their `depth` or add to it."""
    for declaration in file.declarations:
        if isinstance(declaration, ast.Block) and any(map(_counts_layers, expressions_of(declaration))):
            yield declaration.name.span


def _counts_layers(value: ast.Expr) -> bool:
    return (
        isinstance(value, ast.Chained)
        and value.operators[0].text in ("+", "-")
        and any(isinstance(operand, ast.Name) and operand.text == "depth" for operand in value.operands)
    )


def _weight_layers(graph: Graph) -> int:
    """All convolutions and linear maps, those of shortcuts included."""
    return total(graph, "lint:weight-layers", 0, lambda a: int(a.op is not None and family(a.op) in ("conv", "linear")))


RULE = Rule("L129", "depth-differs", Severity.WARNING, check)

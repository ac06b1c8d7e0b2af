"""A network's parameter `depth` is not its depth.

Depth is the number of convolutions and linear maps on the longest path. CIFAR ResNets have 6n + 2 (9n + 2 with
bottlenecks), wide ones 6n + 4, of which the two or three projections are counted too; DenseNet-BC has half as many
layers as DenseNet because each has two convolutions. Forgetting that makes DenseNet-BC-100-12 2.5 million parameters
instead of 0.77.

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
from archdsl.lints.rule import Context, Finding, Rule

_SLACK = 1  # some papers leave out the classifier, some count it


def check(context: Context) -> Iterator[Finding]:
    """Networks whose `depth` is neither the longest path nor the number of all weight layers."""
    for network in context.networks:
        said = network.parameter("depth")
        if not isinstance(said, int) or isinstance(said, bool) or network.graph.span is None:
            continue
        longest = network.cost.depth
        if abs(said - longest) > _SLACK and abs(said - _weight_layers(network.graph)) > _SLACK:
            title = f"depth is {said}, but the longest path has {longest} weight layers"
            yield Finding(network.graph.span, title, hint="look at the formula for the number of units")


def _weight_layers(graph: Graph) -> int:
    """All convolutions and linear maps, those of shortcuts included."""
    return total(graph, "lint:weight-layers", 0, lambda a: int(a.op is not None and family(a.op) in ("conv", "linear")))


RULE = Rule("L129", "depth-differs", Severity.WARNING, check)

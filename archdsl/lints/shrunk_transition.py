"""A plain DenseNet halves its channels between the blocks.

Compression belongs to DenseNet-BC, whose layers have a 1×1 bottleneck; the plain networks of the paper keep all
channels in their transitions. The default of the released code and many ports halve them always: 40 layers with a
growth of 12 then have 599,050 parameters instead of 1,019,722, 100 layers with 24 have 16,114,138 and not 27,249,082.
A network with a parameter for it (`theta`, `compression`, `reduction`) says that it means it.

Wrong:

    layer = dense_layer(growth)
    x = image -> conv(16, 3) -> layer * 12 -> transition(1/2) -> layer * 12

Right:

    layer = dense_layer(growth)
    x = image -> conv(16, 3) -> layer * 12 -> transition -> layer * 12

Silence it with `# allow: shrunk-transition` on the line or the line before.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostic import Severity
from archdsl.lints.flow import ACTIVATIONS, NORMS, Step, ahead, back
from archdsl.lints.rule import Context, Finding, Rule

_BETWEEN = ACTIVATIONS | NORMS | {"dropout"}
_POOLS = frozenset({"avg_pool", "max_pool"})


def check(context: Context) -> Iterator[Finding]:
    """1×1 convolutions to fewer channels, between plain dense layers and a pool."""
    for network in context.networks:
        if network.parameter("theta", "compression", "reduction") is not None:
            continue
        for step in network.flow.named(("conv",)):
            if _shrinks(step) and any(map(_is_plain_layer, back(step.before(), _BETWEEN))):
                title = f"a plain DenseNet keeps its {step.inputs[0][0]} channels here"
                text = f"goes to {step.outputs[0][0]}"
                yield Finding(step.span, title, text, hint="only DenseNet-BC compresses: `transition` without a factor")


def _shrinks(step: Step) -> bool:
    narrower = step.is_pointwise() and step.outputs[0][0] < step.inputs[0][0]
    return narrower and any(reader.name in _POOLS for reader in ahead(step.readers, _BETWEEN))


def _is_plain_layer(step: Step) -> bool:
    """Whether it appends to a tensor what one convolution, larger than 1×1, makes of that tensor."""
    if step.name != "concat" or len(step.sources) != 2:
        return False
    old, new = ({id(s): s for s in back(sources, _BETWEEN)} for sources in step.sources)
    made = [s for s in new.values() if s.name == "conv" and s.number("kernel") > 1]
    return any(id(s) in old or s is step for conv in made for s in back(conv.before(), _BETWEEN))


RULE = Rule("L131", "shrunk-transition", Severity.WARNING, check)

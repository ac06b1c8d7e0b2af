"""What is random in training and its expectation, or itself, in evaluation."""

from __future__ import annotations

from archdsl.ops.attrs import BYTES, flag, number, numel, on_maps
from archdsl.ops.op import Attrs, Kind, Misfit, Op, Param, Saved, Shape

_P = Param("p", Kind.PROBABILITY, doc="probability of becoming zero")


def _mask_bytes(p: object, masked: int) -> Saved:
    """One float for each masked number; nothing where nothing is dropped, a single zero where everything is."""
    if p == 0:
        return Saved()
    return Saved(per_batch=BYTES) if p == 1 else Saved(per_sample=BYTES * masked)


DROPOUT = Op(
    "dropout",
    """Each number becomes zero with probability p in training, the others are divided by 1 - p; identity in evaluation.

    Srivastava et al. 2014.""",
    params=(_P,),
    saved=lambda shapes, attrs: _mask_bytes(number(attrs, "p"), numel(shapes[0])),
    stochastic=True,
)

CHANNEL_DROPOUT = Op(
    "channel_dropout",
    """Each channel of each sample becomes zero as a whole with probability p; otherwise as `dropout`.

    Tompson et al. 2015, Spatial dropout.""",
    params=(_P,),
    infer=on_maps("channel_dropout", lambda shapes, attrs: (shapes[0],)),
    saved=lambda shapes, attrs: _mask_bytes(number(attrs, "p"), int(shapes[0][0])),
    stochastic=True,
)

BERNOULLI_MASK = Op(
    "bernoulli_mask",
    """Each number stays with probability `keep` in training, without rescaling; times `keep` in evaluation.

    Singh et al. 2016, Swapout, arXiv:1605.06465: `x -> bernoulli_mask(p)` + `f(x) -> bernoulli_mask(p)`.""",
    params=(Param("keep", Kind.PROBABILITY, doc="probability of staying"),),
    saved=lambda shapes, attrs: Saved(per_sample=BYTES * numel(shapes[0])),
    stochastic=True,
)


def _depth_saved(shapes: tuple[Shape, ...], attrs: Attrs) -> Saved:
    return Saved(per_sample=BYTES) if attrs["per"] == "sample" else Saved()


def _wrapped(shapes: tuple[Shape, ...], attrs: Attrs) -> tuple[Shape, ...] | Misfit:
    if flag(attrs, "rescale") and number(attrs, "keep") == 0:
        return Misfit("`rescale` divides by `keep`, which is 0", param="keep")
    return shapes


STOCHASTIC_DEPTH = Op(
    "stochastic_depth",
    """A layer that survives with probability `keep` in training and contributes zero otherwise.

    Per batch: one draw; a closed layer is not evaluated at all, so it gets no gradient and its batch statistics do not
    move. Per sample: one draw for each, on the layer's output. Evaluation: keep * layer(x). With `rescale` training
    divides by `keep` instead and evaluation is the plain layer. Huang et al. 2016, arXiv:1603.09382.""",
    params=(
        Param("keep", Kind.PROBABILITY, doc="probability of surviving"),
        Param(
            "per", Kind.CHOICE, "batch", ("batch", "sample"), doc="one draw for the mini-batch or one for each sample"
        ),
        Param("rescale", Kind.FLAG, False, doc="divide by `keep` in training instead of multiplying in evaluation"),
    ),
    infer=_wrapped,
    saved=_depth_saved,
    wraps=True,
    stochastic=True,
)

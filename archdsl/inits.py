"""The rules by which weights start: one table for the language, with what each takes.

How a back end carries a rule out is told beside that back end.
"""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.op import Kind, Param
from archdsl.scalar import Scalar


@dataclass(frozen=True, slots=True)
class Init:
    """A rule of weight initialisation. `fans` says that it needs a weight of at least two dimensions."""

    name: str
    doc: str
    params: tuple[Param, ...] = ()
    fans: bool = False

    def param(self, name: str) -> Param | None:
        """The parameter of that name."""
        return next((p for p in self.params if p.name == name), None)


_FAN = Param(
    "fan", Kind.CHOICE, "in", ("in", "out"), doc="what keeps its variance: the activations (in) or the gradients (out)"
)
_GAIN = Param("gain", Kind.NUMBER, Scalar(1), doc="factor of the deviation")
_MEAN = Param("mean", Kind.NUMBER, Scalar(0), doc="mean")
_STD = Param("std", Kind.NUMBER, doc="standard deviation")

_RULES = (
    Init(
        "he_normal",
        "Normal with deviation sqrt(2 / fan), for layers before rectifiers. He et al. 2015, arXiv:1502.01852.",
        (_FAN,),
        fans=True,
    ),
    Init(
        "he_uniform",
        "Uniform with the variance of `he_normal`, 2 / fan. He et al. 2015, arXiv:1502.01852.",
        (_FAN,),
        fans=True,
    ),
    Init(
        "xavier_normal",
        "Normal with deviation gain * sqrt(2 / (fan in + fan out)). Glorot & Bengio 2010.",
        (_GAIN,),
        fans=True,
    ),
    Init(
        "xavier_uniform",
        "Uniform with the variance of `xavier_normal`. Glorot & Bengio 2010.",
        (_GAIN,),
        fans=True,
    ),
    Init("lecun_normal", "Normal with deviation 1 / sqrt(fan in). LeCun et al. 1998, Efficient BackProp.", fans=True),
    Init(
        "lecun_uniform",
        "Uniform with the variance of `lecun_normal`. LeCun et al. 1998, Efficient BackProp.",
        fans=True,
    ),
    Init(
        "orthogonal", "A random orthogonal matrix times a gain. Saxe et al. 2014, arXiv:1312.6120.", (_GAIN,), fans=True
    ),
    Init("normal", "Normal with a given deviation and mean.", (_STD, _MEAN)),
    Init(
        "truncated_normal",
        "Normal with a given deviation and mean, drawn again where it is more than two deviations off.",
        (_STD, _MEAN),
    ),
    Init(
        "uniform",
        "Uniform between two numbers.",
        (
            Param("low", Kind.NUMBER, doc="smallest value"),
            Param("high", Kind.NUMBER, doc="largest value"),
        ),
    ),
    Init("constant", "One number everywhere.", (Param("value", Kind.NUMBER, doc="the number"),)),
    Init("zeros", "Zero everywhere."),
    Init("ones", "One everywhere."),
)
INITS: dict[str, Init] = {rule.name: rule for rule in _RULES}

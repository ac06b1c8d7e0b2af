"""The records of a recipe: one for each choice, one table for each family of choices."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

LONGEST_TEXT = 200

Share = Annotated[float, Field(ge=0, le=1)]
Below1 = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0, le=1000)]
NotNegative = Annotated[float, Field(ge=0, le=1e6)]
Positive = Annotated[float, Field(gt=0, le=1e6)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]


class Record(BaseModel):
    """What every record is: strict, closed, frozen, its numbers finite."""

    # defer_build: only `Recipe` builds its validator, with the records' inside; start-up is felt by every lint
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True, defer_build=True)


# --- augmentation: what is done to a training batch, in this order


class PadCrop(Record):
    """Pad every side, then cut a window of the old size at a random place."""

    kind: Literal["pad_crop"] = "pad_crop"
    pad: Annotated[int, Field(ge=1, le=64)]
    mode: Literal["zero", "reflect"] = "zero"


class Flip(Record):
    """Mirror left and right."""

    kind: Literal["flip"] = "flip"
    p: Share = 0.5


class Cutout(Record):
    """Blank a square of `size` pixels around a random point."""

    kind: Literal["cutout"] = "cutout"
    size: Annotated[int, Field(ge=1, le=512)]


class Affine(Record):
    """Rotate (degrees), scale, shift (share of the side) and shear, each drawn from ± its bound; off after `until`."""

    kind: Literal["affine"] = "affine"
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    scale: Below1 = 0.0
    shift: Share = 0.0
    shear: Share = 0.0
    until: Share = 1.0


class Colour(Record):
    """Change brightness, contrast and saturation, each by a factor drawn from 1 ± its bound; off after `until`."""

    kind: Literal["colour"] = "colour"
    brightness: Share = 0.0
    contrast: Share = 0.0
    saturation: Share = 0.0
    until: Share = 1.0


class Mixup(Record):
    """Blend pairs of images and their labels, the share drawn from Beta(alpha, alpha) once a batch."""

    kind: Literal["mixup"] = "mixup"
    alpha: Annotated[float, Field(gt=0, le=100)] = 1.0


class Cutmix(Record):
    """Paste a box of another image and mix the labels by area."""

    kind: Literal["cutmix"] = "cutmix"
    alpha: Annotated[float, Field(gt=0, le=100)] = 1.0


Augment = PadCrop | Flip | Cutout | Affine | Colour | Mixup | Cutmix


# --- normalisation: fitted on the training images, applied before augmentation, so that padding is zero afterwards


class MeanStd(Record):
    """Subtract each channel's mean, divide by its standard deviation."""

    kind: Literal["mean_std"] = "mean_std"


class PerPixelMean(Record):
    """Subtract the mean image."""

    kind: Literal["per_pixel_mean"] = "per_pixel_mean"


class Gcn(Record):
    """Global contrast normalisation: each image to mean 0 and Euclidean norm `scale`."""

    kind: Literal["gcn"] = "gcn"
    scale: Positive = 55.0
    eps: Positive = 1e-8


class Zca(Record):
    """Whitening by the training covariance; `eps` is added to its eigenvalues."""

    kind: Literal["zca"] = "zca"
    eps: Positive = 0.1


Normalize = MeanStd | PerPixelMean | Gcn | Zca


# --- optimiser


class Sgd(Record):
    """Stochastic gradient descent; momentum may move linearly to `momentum_to` over `momentum_epochs`."""

    kind: Literal["sgd"] = "sgd"
    lr: Rate = 0.1
    momentum: Below1 = 0.9
    nesterov: bool = False
    weight_decay: NotNegative = 0.0
    dampening: Share = 0.0
    momentum_to: Below1 | None = None
    momentum_epochs: Positive | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Sgd:
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ValueError("nesterov needs a momentum above 0 and a dampening of 0")
        if (self.momentum_to is None) != (self.momentum_epochs is None):
            raise ValueError("`momentum_to` and `momentum_epochs` go together")
        return self


class RmsProp(Record):
    """RMSProp; `decay` is that of the running square."""

    kind: Literal["rmsprop"] = "rmsprop"
    lr: Rate = 0.001
    decay: Below1 = 0.9
    momentum: Below1 = 0.0
    weight_decay: NotNegative = 0.0
    eps: Positive = 1e-8


class Adam(Record):
    """Adam, weight decay as part of the gradient."""

    kind: Literal["adam"] = "adam"
    lr: Rate = 0.001
    beta1: Below1 = 0.9
    beta2: Below1 = 0.999
    weight_decay: NotNegative = 0.0
    eps: Positive = 1e-8


class AdamW(Record):
    """Adam with decoupled weight decay."""

    kind: Literal["adamw"] = "adamw"
    lr: Rate = 0.001
    beta1: Below1 = 0.9
    beta2: Below1 = 0.999
    weight_decay: NotNegative = 0.01
    eps: Positive = 1e-8


Optimizer = Sgd | RmsProp | Adam | AdamW


# --- schedule: the factor on the learning rate


class Constant(Record):
    """The same rate throughout."""

    kind: Literal["constant"] = "constant"


class Steps(Record):
    """Multiply by `gamma` at the start of each point, counted in epochs, iterations or as a share of the run."""

    kind: Literal["steps"] = "steps"
    at: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=100)]
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1
    by: Literal["epoch", "iteration", "fraction"] = "epoch"

    @model_validator(mode="after")
    def _rising(self) -> Steps:
        if any(a >= b for a, b in zip(self.at, self.at[1:], strict=False)):
            raise ValueError("the points of `at` must rise")
        if self.by == "fraction" and self.at[-1] >= 1:
            raise ValueError('with by="fraction" every point lies between 0 and 1')
        return self


class Every(Record):
    """Multiply by `gamma` every so many epochs."""

    kind: Literal["every"] = "every"
    epochs: Positive
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1


class HalvingRemaining(Record):
    """Multiply by `gamma` each time the epochs that remain have halved, at most `times` times."""

    kind: Literal["halving_remaining"] = "halving_remaining"
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1
    times: Annotated[int, Field(ge=1, le=64)] = 64


class Cosine(Record):
    """Half a cosine from `lr` to `lr_min`, set anew every iteration."""

    kind: Literal["cosine"] = "cosine"
    lr_min: NotNegative = 0.0


class Sgdr(Record):
    """Cosine with warm restarts: the first cycle lasts `first` epochs, each next one `mult` times as long."""

    kind: Literal["sgdr"] = "sgdr"
    first: Positive
    mult: Annotated[float, Field(ge=1, le=100)] = 1.0
    lr_min: NotNegative = 0.0


class OneCycle(Record):
    """Rise from `start`·lr to lr during the share `rise` of the run, then fall to `end`·lr."""

    kind: Literal["onecycle"] = "onecycle"
    rise: Share = 0.3
    start: Share = 0.04
    end: Share = 0.0
    shape: Literal["cosine", "linear"] = "cosine"


class Linear(Record):
    """Fall linearly to `to`·lr over the run, or over `epochs`."""

    kind: Literal["linear"] = "linear"
    to: Share = 0.0
    epochs: Positive | None = None


class Exponential(Record):
    """lr·exp(-rate·epoch), with whole epochs or anew every iteration."""

    kind: Literal["exponential"] = "exponential"
    rate: Positive
    by: Literal["epoch", "iteration"] = "epoch"


Schedule = Constant | Steps | Every | HalvingRemaining | Cosine | Sgdr | OneCycle | Linear | Exponential


class Warmup(Record):
    """Begin with a small rate: for some iterations or epochs, or until the training error falls below a share."""

    kind: Literal["warmup"] = "warmup"
    iterations: Count | None = None
    epochs: Positive | None = None
    until_error: Annotated[float, Field(gt=0, lt=1)] | None = None
    lr: Rate = 0.01
    ramp: Literal["constant", "linear"] = "constant"

    @model_validator(mode="after")
    def _one_end(self) -> Warmup:
        if sum(end is not None for end in (self.iterations, self.epochs, self.until_error)) != 1:
            raise ValueError("warmup needs one of `iterations`, `epochs`, `until_error`")
        if self.until_error is not None and self.ramp == "linear":
            raise ValueError("a linear ramp needs a known length: `iterations` or `epochs`")
        return self


# --- the rest


class Rule(Record):
    """Treat some parameters differently: those of a kind, or whose name matches a pattern (`*` and `?`)."""

    kind: Literal["rule"] = "rule"
    on: Literal["bias", "norm", "conv", "linear", "other"] | None = None
    name: Text | None = None
    lr: NotNegative = 1.0
    decay: NotNegative = 1.0
    max_norm: Positive | None = None
    clamp: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _selects(self) -> Rule:
        if self.on is None and self.name is None:
            raise ValueError("a rule says what it is for: `on` or `name`")
        if self.clamp and self.clamp[0] >= self.clamp[1]:
            raise ValueError("`clamp` is [lowest, highest]")
        return self


class CrossEntropy(Record):
    """Softmax cross entropy."""

    kind: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Below1 = 0.0


class SquaredHinge(Record):
    """One-vs-rest squared hinge, summed over the classes."""

    kind: Literal["squared_hinge"] = "squared_hinge"
    margin: Positive = 1.0


Loss = CrossEntropy | SquaredHinge


class Fade(Record):
    """The weights of auxiliary outputs move linearly to `to` times their value over the run."""

    kind: Literal["fade"] = "fade"
    to: Share = 0.0


class Single(Record):
    """One deterministic pass."""

    kind: Literal["single"] = "single"


class MeanOf(Record):
    """Mean softmax of several passes with the random parts left on and the statistics of normalisation fixed."""

    kind: Literal["mean"] = "mean"
    passes: Annotated[int, Field(ge=1, le=1000)]


class DeepestColumn(Record):
    """Only the deepest column of a fractal network."""

    kind: Literal["deepest_column"] = "deepest_column"


Evaluate = Single | MeanOf | DeepestColumn


class Recipe(Record):
    """How a network is trained. The defaults suit CIFAR-10 and a residual network."""

    augment: Annotated[tuple[Annotated[Augment, Field(discriminator="kind")], ...], Field(max_length=20)] = (
        PadCrop(pad=4),
        Flip(),
    )
    normalize: Annotated[tuple[Annotated[Normalize, Field(discriminator="kind")], ...], Field(max_length=4)] = (
        MeanStd(),
    )
    optimizer: Annotated[Optimizer, Field(discriminator="kind")] = Sgd(nesterov=True, weight_decay=5e-4)
    schedule: Annotated[Schedule, Field(discriminator="kind")] = Cosine()
    warmup: Warmup | None = None
    rules: Annotated[tuple[Rule, ...], Field(max_length=100)] = ()
    loss: Annotated[Loss, Field(discriminator="kind")] = CrossEntropy()
    auxiliary: Fade | None = None
    evaluate: Annotated[Evaluate, Field(discriminator="kind")] = Single()
    epochs: Annotated[int, Field(ge=1, le=100_000)] | None = None
    iterations: Count | None = None
    batch: Annotated[int, Field(ge=1, le=65_536)] = 128
    drop_last: bool = False
    validation: Annotated[int, Field(ge=0, le=10**8)] = 0
    early_stop: Count | None = None
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    clip: Positive | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0

    DEFAULT_EPOCHS: ClassVar[int] = 200

    @model_validator(mode="after")
    def _one_length(self) -> Recipe:
        if self.epochs is not None and self.iterations is not None:
            raise ValueError("give `epochs` or `iterations`, not both")
        return self

    def length(self, steps_per_epoch: int) -> int:
        """Iterations of the whole run, with so many to an epoch."""
        if self.iterations is not None:
            return self.iterations
        return (self.epochs or self.DEFAULT_EPOCHS) * steps_per_epoch


def _family(*records: type[Record]) -> dict[str, type[Record]]:
    return {record.model_fields["kind"].default: record for record in records}


CHOICES: dict[str, dict[str, type[Record]]] = {
    "augment": _family(*get_args(Augment)),
    "normalize": _family(*get_args(Normalize)),
    "optimizer": _family(*get_args(Optimizer)),
    "schedule": _family(*get_args(Schedule)),
    "warmup": _family(Warmup),
    "rules": _family(Rule),
    "loss": _family(*get_args(Loss)),
    "auxiliary": _family(Fade),
    "evaluate": _family(*get_args(Evaluate)),
}
LISTS = frozenset({"augment", "normalize", "rules"})

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
Side = Annotated[int, Field(ge=1, le=4096)]  # of an image, in pixels
Factor = Annotated[float, Field(gt=0, lt=1)]
Size = Annotated[int, Field(ge=1, le=65_536)]  # of a batch
Length = Annotated[int, Field(ge=1, le=100_000)]  # in epochs


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


class Crop(Record):
    """Cut a window of size × size at a random place. Images are judged by the window in their middle."""

    kind: Literal["crop"] = "crop"
    size: Side


class ResizedCrop(Record):
    """Cut a window of a random share of the area and a random width/height, and resize it to size × size.

    Images are judged by the size × size in their middle. Szegedy et al. 2014, arXiv:1409.4842, section 6.
    """

    kind: Literal["resized_crop"] = "resized_crop"
    size: Side
    area: tuple[Share, Share] = (0.08, 1.0)
    ratio: tuple[Positive, Positive] = (3 / 4, 4 / 3)

    @model_validator(mode="after")
    def _rising(self) -> ResizedCrop:
        if not 0 < self.area[0] <= self.area[1] or self.ratio[0] > self.ratio[1]:
            raise ValueError("`area` and `ratio` are [smallest, largest], and above 0")
        return self


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


class PcaColour(Record):
    """Shift an image's colour along the principal components of all training pixels, each by a normal draw.

    `std` is in standard deviations of the component. Krizhevsky et al. 2012, section 4.1, multiplies by eigenvalues,
    which would change with the unit of a pixel; their square roots do not.
    """

    kind: Literal["pca_colour"] = "pca_colour"
    std: Annotated[float, Field(gt=0, le=1)] = 0.1


class Mixup(Record):
    """Blend pairs of images and their labels, the share drawn from Beta(alpha, alpha) once a batch."""

    kind: Literal["mixup"] = "mixup"
    alpha: Annotated[float, Field(gt=0, le=100)] = 1.0


class Cutmix(Record):
    """Paste a box of another image and mix the labels by area."""

    kind: Literal["cutmix"] = "cutmix"
    alpha: Annotated[float, Field(gt=0, le=100)] = 1.0


Augment = PadCrop | Crop | ResizedCrop | Flip | Cutout | Affine | Colour | PcaColour | Mixup | Cutmix


# --- normalisation: fitted on the training images, applied before augmentation, so that padding is zero afterwards


class Scale(Record):
    """Divide the bytes of a pixel by `by`; the largest becomes 255/by. Without any normalisation it is 1, too."""

    kind: Literal["scale"] = "scale"
    by: Positive = 255.0


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


Normalize = Scale | MeanStd | PerPixelMean | Gcn | Zca


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
    gamma: Factor = 0.1
    by: Literal["epoch", "iteration", "fraction"] = "epoch"

    @model_validator(mode="after")
    def _rising(self) -> Steps:
        if any(a >= b for a, b in zip(self.at, self.at[1:], strict=False)):
            raise ValueError("the points of `at` must rise")
        if self.by == "fraction" and self.at[-1] >= 1:
            raise ValueError('with by="fraction" every point lies between 0 and 1')
        return self


class Piecewise(Record):
    """From each point of `at` on, the rate is the share of `to` that stands at the same place."""

    kind: Literal["piecewise"] = "piecewise"
    at: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=100)]
    to: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=100)]
    by: Literal["epoch", "iteration", "fraction"] = "epoch"

    @model_validator(mode="after")
    def _pairs(self) -> Piecewise:
        if len(self.at) != len(self.to):
            raise ValueError(f"`at` has {len(self.at)} points, `to` has {len(self.to)}")
        if any(a >= b for a, b in zip(self.at, self.at[1:], strict=False)):
            raise ValueError("the points of `at` must rise")
        return self


class Plateau(Record):
    """Multiply by `gamma` after `patience` epochs without a new lowest error, at most `times` times.

    What is watched is the error on the images held back for validation, on those trained on (as met in training), or
    on the test images, where a paper did that.
    """

    kind: Literal["plateau"] = "plateau"
    gamma: Factor = 0.1
    patience: Annotated[int, Field(ge=1, le=10_000)] = 10
    times: Annotated[int, Field(ge=1, le=64)] = 64
    of: Literal["validation", "train", "test"] = "validation"


class Every(Record):
    """Multiply by `gamma` every so many epochs."""

    kind: Literal["every"] = "every"
    epochs: Positive
    gamma: Factor = 0.1


class HalvingRemaining(Record):
    """Multiply by `gamma` each time the epochs that remain have halved, at most `times` times."""

    kind: Literal["halving_remaining"] = "halving_remaining"
    gamma: Factor = 0.1
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


Schedule = (
    Constant | Steps | Piecewise | Plateau | Every | HalvingRemaining | Cosine | Sgdr | OneCycle | Linear | Exponential
)


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


class Hint(Record):
    """Half the squared distance between a layer of the teacher and what a regressor makes of a layer of the network.

    Layers go by their names in the specs. The regressor is learned along and left behind: between maps a convolution
    that is not padded, as large as it takes to make one size of the other; between vectors a linear map. It ends as the
    teacher's layer does. Romero et al. 2014, arXiv:1412.6550, equation 3.
    """

    kind: Literal["hint"] = "hint"
    layer: Text
    of: Text
    activation: Literal["none", "relu", "maxout"] = "none"


class Distill(Record):
    """Cross entropy, and `weight` times the cross entropy with the teacher's answers, both softened by `temperature`.

    The weight moves linearly to `to` over the stage. Hinton et al. 2015, arXiv:1503.02531; Romero et al. 2014,
    arXiv:1412.6550, equation 2.
    """

    kind: Literal["distill"] = "distill"
    temperature: Annotated[float, Field(ge=1, le=1000)] = 3.0
    weight: NotNegative = 1.0
    to: NotNegative | None = None


Loss = CrossEntropy | SquaredHinge | Hint | Distill


class Phase(Record):
    """For a part of the run, other rates in the dropout layers whose name matches a pattern (`*` and `?`).

    The rate is that of the network times a factor, which may move linearly to `to`; outside the phase it is as written.
    """

    kind: Literal["phase"] = "phase"
    name: Text = "*"
    times: NotNegative = 1.0
    to: NotNegative | None = None
    start: NotNegative = 0.0
    end: Positive | None = None
    by: Literal["epoch", "iteration", "fraction"] = "epoch"

    @model_validator(mode="after")
    def _does_something(self) -> Phase:
        if self.end is not None and self.end <= self.start:
            raise ValueError("a phase ends after its `start`")
        if self.times == 1 and self.to in (None, 1):
            raise ValueError("a phase changes something: `times` or `to`")
        if self.to is not None and self.end is None:
            raise ValueError("`to` is reached at the `end` of the phase, which is missing")
        return self


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


class TenCrop(Record):
    """Mean softmax over the four corners and the middle of an image, and their mirror images."""

    kind: Literal["ten_crop"] = "ten_crop"


Evaluate = Single | MeanOf | DeepestColumn | TenCrop

Augments = Annotated[tuple[Annotated[Augment, Field(discriminator="kind")], ...], Field(max_length=20)]
Rules = Annotated[tuple[Rule, ...], Field(max_length=100)]
Phases = Annotated[tuple[Phase, ...], Field(max_length=100)]
Names = Annotated[tuple[Text, ...], Field(min_length=1, max_length=100)]


class Stage(Record):
    """A part of a run that is trained in another way; what it does not say is as the recipe says.

    `train` has patterns of the names of the parameters that move. A stage begins with the weights that the one before
    it ended with, and with an optimiser and a clock of its own.
    """

    kind: Literal["stage"] = "stage"
    loss: Annotated[Loss, Field(discriminator="kind")] | None = None
    epochs: Length | None = None
    iterations: Count | None = None
    train: Names | None = None
    augment: Augments | None = None
    optimizer: Annotated[Optimizer, Field(discriminator="kind")] | None = None
    schedule: Annotated[Schedule, Field(discriminator="kind")] | None = None
    warmup: Warmup | None = None
    rules: Rules | None = None
    dropout: Phases | None = None
    batch: Size | None = None


class Recipe(Record):
    """How a network is trained. The defaults suit CIFAR-10 and a residual network."""

    resize: Side | None = None
    augment: Augments = (PadCrop(pad=4), Flip())
    normalize: Annotated[tuple[Annotated[Normalize, Field(discriminator="kind")], ...], Field(max_length=4)] = (
        MeanStd(),
    )
    optimizer: Annotated[Optimizer, Field(discriminator="kind")] = Sgd(nesterov=True, weight_decay=5e-4)
    schedule: Annotated[Schedule, Field(discriminator="kind")] = Cosine()
    warmup: Warmup | None = None
    rules: Rules = ()
    dropout: Phases = ()
    train: Names | None = None
    loss: Annotated[Loss, Field(discriminator="kind")] = CrossEntropy()
    auxiliary: Fade | None = None
    evaluate: Annotated[Evaluate, Field(discriminator="kind")] = Single()
    teacher: Text | None = None
    teacher_recipe: Text | None = None
    stages: Annotated[tuple[Stage, ...], Field(max_length=20)] = ()
    epochs: Length | None = None
    iterations: Count | None = None
    batch: Size = 128
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

    def of_stage(self, number: int) -> Recipe:
        """The recipe of one stage by itself, counted from 0."""
        stage = self.stages[number]
        said = {name: value for name, value in stage if name != "kind" and value is not None}
        if "epochs" in said or "iterations" in said:
            said = {"epochs": None, "iterations": None, **said}
        return self.model_copy(update={**said, "stages": ()})

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
    "dropout": _family(Phase),
    "stages": _family(Stage),
    "loss": _family(*get_args(Loss)),
    "auxiliary": _family(Fade),
    "evaluate": _family(*get_args(Evaluate)),
}
LISTS = frozenset({"augment", "normalize", "rules", "dropout", "stages"})

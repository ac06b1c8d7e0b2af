"""What the trainer is asked to do: the options of the command line, and the compiled network. No torch in here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from archdsl.recipe import Recipe

Whole = Annotated[int, Field(ge=1, le=10**9)]
UNPUBLISHED = ("shapes", "digits", "folder")  # sets whose files, if they have any, have no published checksums
NO_FILES = ("shapes", "digits")  # sets that come with archdsl or with a library


class TrainConfig(BaseModel):
    """The options of `archdsl train`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    data: Literal[
        "shapes", "cifar10", "cifar100", "svhn", "svhn-train", "mnist", "fashion-mnist", "digits", "folder"
    ] = "shapes"
    data_dir: Path | None = None
    workers: Annotated[int, Field(ge=0, le=256)] | None = None
    """Processes that read pictures; without a number as many as there are cores, at most eight."""
    worker_timeout: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    """Seconds that one may take for a batch."""
    unofficial: bool = False
    """Take data files whose checksums are not the published ones."""
    download: bool = False
    """Fetch what is missing in `data_dir` from where it was published."""
    out: Path | None = None
    """The run folder; without one, the next free `runs/<name>-<number>`."""
    teacher: Path | None = None
    """A run folder with the trained teacher; without one the recipe's teacher is trained first."""
    resume: bool = False
    """Go on from the newest whole checkpoint in `out`."""
    changes: tuple[Annotated[str, Field(max_length=1000)], ...] = ()
    """What `--set` changed of the recipe, for the report; the recipe of the job has it already."""
    epochs: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Run this many epochs instead, the schedule drawn together or out accordingly."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    engine: Literal["auto", "eager", "compile", "graph"] = "auto"
    deterministic: bool = False
    """Only algorithms that give the same bits each time, where a GPU has them; slower."""
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    micro_batch: Whole | None = None
    """At most this many images at once; the gradients of a batch are summed up."""
    limit: Whole | None = None
    """Only the first so many training and test images."""
    dry_run: bool = False
    """Two steps of everything, to see that it works."""
    overfit_batch: bool = False
    """Train on one batch over and over: a network that cannot learn it cannot learn."""
    keep: Annotated[int, Field(ge=2, le=1000)] = 2
    """How many checkpoints stay, besides the best."""
    save_steps: Whole | None = None
    """Also save every so many steps, not only after each epoch."""
    sync_batch_norm: bool = False
    """Of several ranks: normalise with the statistics of all their images."""
    timeout: Annotated[float, Field(gt=0, le=86_400)] = 120.0
    """Seconds after which a rank that does not answer counts as lost."""
    report: bool = True
    """Write pictures and `report.md` after the last epoch."""

    @model_validator(mode="after")
    def _flags_fit_together(self) -> TrainConfig:
        """Nothing that was asked for is passed over."""
        tries = "--dry-run and --overfit-batch are two different tries: give one of them"
        needs = {
            "--resume needs the run folder: --out": self.resume and self.out is None,
            f"--data {self.data} needs no files: there is nothing to --download": self.data in NO_FILES
            and self.download,
            "--download needs the folder that the files go to: --data-dir": self.download and self.data_dir is None,
            f"--data {self.data} needs no files: --data-dir is for the other sets": self.data in NO_FILES
            and self.data_dir is not None,
            f"--unofficial is for sets with published checksums: {self.data} has none": self.data in UNPUBLISHED
            and self.unofficial,
            f"--workers is for --data folder: {self.data} lies in memory": self.data != "folder"
            and self.workers is not None,
            tries: self.dry_run and self.overfit_batch,
            "--dry-run is two steps: --epochs is for a whole run": self.dry_run and self.epochs is not None,
            "--dry-run takes the images of two batches: --limit is for a whole run": self.dry_run
            and self.limit is not None,
            "--overfit-batch takes one batch: not --limit N but --set batch=N says how many images": self.overfit_batch
            and self.limit is not None,
        }
        for text, broken in needs.items():
            if broken:
                raise ValueError(text)
        return self


@dataclass(frozen=True)
class StepMemory:
    """What the static analysis predicts for training, in bytes of float32: a bound, see `test_r35_memory.py`."""

    per_image: int
    """What a step holds of each image at most: what autograd keeps, the image itself, and what a layer works with."""
    fixed: int
    """Whatever the batch: weights, gradients, what the optimiser keeps."""
    saving: int = 0
    """Copies for a checkpoint, beside `fixed`, when nothing of a step is held."""

    def at(self, batch: int) -> int:
        """For batches of so many images."""
        return self.fixed + max(self.per_image * batch, self.saving)


@dataclass(frozen=True)
class Tapped:
    """The text of a module that gives the output of an inner layer after its own, and that output's size."""

    module: str
    size: tuple[int, ...]


@dataclass(frozen=True)
class Chosen:
    """What was asked of a file: the row of its table, parameters as on the command line, and the recipe by its name."""

    variant: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    recipe: str | None = None

    def said(self, name: str) -> str:
        """The run as a person calls it, `lenet-5 (lenet_5_rgb, classes=7)`: what its name does not say in brackets."""
        variant = [self.variant] if self.variant and self.variant.replace("_", "-") != name.replace("_", "-") else []
        recipe = [f"recipe {self.recipe}"] if self.recipe else []
        more = ", ".join([*variant, *(f"{key}={value}" for key, value in self.parameters.items()), *recipe])
        return f"{name} ({more})" if more else name


@dataclass(frozen=True)
class Job:
    """A compiled network, ready to be trained."""

    name: str
    """As the run is called, e.g. `resnet-20`."""
    spec: str
    """The text of the `.arch` file."""
    sources: Mapping[str, str] = field(default_factory=dict[str, str], kw_only=True)
    """Of a file that imports others its text and theirs, by paths that keep the imports right."""
    chosen: Chosen = field(default_factory=Chosen, kw_only=True)
    """What was asked of the file."""
    module: str
    """The generated Python text; the network is imported from this very text."""
    network: str
    """The class in it."""
    recipe: Recipe = field(default_factory=Recipe)
    arguments: Mapping[str, object] = field(default_factory=dict[str, object])
    """Keyword arguments of the class, where it takes any."""
    auxiliary_weights: tuple[float, ...] = ()
    """The weight in the loss of each auxiliary output."""
    parameters: int | None = None
    """The exact count, from the static analysis."""
    macs: int | None = None
    """Multiply-accumulates for one image, likewise."""
    uncounted: tuple[str, ...] = ()
    """Python classes in it, by their names in the text, of which nothing is counted but the parameters."""
    image: tuple[int, ...] | None = None
    """The size of what the network takes: channels, height, width."""
    memory: StepMemory | None = None
    claims: Mapping[str, float] = field(default_factory=dict[str, float])
    """The paper's test error by data set, as a share."""
    tapped: Mapping[str, Tapped] = field(default_factory=dict[str, Tapped])
    """Modules that also give an inner layer, by its name; for those that a recipe asks about."""
    teacher: Job | None = None
    """The network that the recipe learns from, and how it is trained where no run of it is given."""
    start: Path | None = None
    """The run folder whose weights this one begins with."""
    guide: Guide | None = None
    """The trained network that this run learns from."""


@dataclass(frozen=True)
class Guide:
    """A trained teacher; where a hint is taken from it, `job` has the module that gives the layer."""

    job: Job
    weights: Path
    sizes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    """Of the layer that learns and of the one that it learns from, without the batch."""

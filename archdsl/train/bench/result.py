"""What a measurement found: as records, as JSON, and as a page to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from archdsl.train.bench.pacing import Ratio
from archdsl.train.bench.roofline import Bound

_LAYERS = 12  # of the slowest are shown
TRAINING = 3  # times the operations of the forward pass: the backward pass is two more of its size


@dataclass(frozen=True)
class Mode:
    """One way to run the network; rates are images a second, the ratios are to the plain loop."""

    name: str
    precision: str
    training: float
    training_ratio: Ratio
    mfu: Ratio
    """Operations of the network a second, as a share of what a large matrix product reaches in the same precision."""
    inference: float
    inference_ratio: Ratio


@dataclass(frozen=True)
class Compared:
    """Ours beside another's, in images a second."""

    ours: float
    other: float
    ratio: Ratio


@dataclass(frozen=True)
class Overhead:
    """The seconds of the trainer's step over those of the bare one, less one; `pairs` were compared."""

    mode: str
    share: Ratio
    pairs: int


@dataclass(frozen=True)
class Roofline:
    """The bounds of a forward pass in one mode, and how much of the rate that they allow was reached."""

    mode: str
    bounds: Sequence[Bound]
    reached: float

    @property
    def images(self) -> float:
        """Images a second that the machine would allow."""
        return 1 / sum(bound.seconds for bound in self.bounds)


@dataclass(frozen=True)
class Result:
    """All of it."""

    network: str
    parameters: int
    macs: int
    batch: int
    device: str
    seconds: str
    """In which rates are given: `wall`, or `CPU` seconds of the process."""
    workers: int
    peaks: dict[str, float]
    bandwidth: float
    modes: Sequence[Mode]
    skipped: dict[str, str]
    """What was not measured, and why."""
    input: Compared
    overhead: Overhead
    roofline: Roofline


def document(result: Result) -> dict[str, Any]:
    """The fields for a machine."""
    found = asdict(result)
    found["roofline"]["images"] = result.roofline.images
    return {"version": 1, **found}


def text(result: Result) -> str:
    """The page."""
    parts = (_head(result), _modes(result), _skipped(result), _rest(result), _layers(result.roofline))
    return "\n".join("\n".join(line.rstrip() for line in part) + "\n" for part in parts if part)


def _head(result: Result) -> list[str]:
    peaks = ", ".join(f"{name} {_si(peak)}FLOP/s" for name, peak in result.peaks.items())
    return [
        f"{result.network}: {result.parameters:,} parameters, {result.macs:,} multiply-accumulates",
        f"batch {result.batch} on {result.device}" + ", by CPU seconds" * (result.seconds == "CPU"),
        f"a large matrix product reaches {peaks}; memory {_si(result.bandwidth)}B/s",
    ]


def _modes(result: Result) -> list[str]:
    head = f"{'':14}  {'training':27}  {'':>6}  inference"
    names = f"{'':14}  {'images/s':>9}  {'× plain':16}  {'MFU':>6}  {'images/s':>9}  {'× plain':16}"
    return [head, names, *map(_mode, result.modes)]


def _mode(mode: Mode) -> str:
    trained = f"{mode.training:9,.0f}  {mode.training_ratio!s:16}  {mode.mfu.median:6.1%}"
    return f"{mode.name:14}  {trained}  {mode.inference:9,.0f}  {mode.inference_ratio!s:16}"


def _skipped(result: Result) -> list[str]:
    return [f"{name}: not measured; {why}" for name, why in result.skipped.items()]


def _rest(result: Result) -> list[str]:
    found, over = result.input, result.overhead
    workers = f"{result.workers} worker{'s' * (result.workers != 1)}" if result.workers else "no workers"
    other = f"a DataLoader of PIL pictures with {workers}, {found.other:,.0f}"
    middle = f"half of {over.pairs} pairs between {over.share.low:+.1%} and {over.share.high:+.1%}"
    return [
        f"input     {found.ours:,.0f} images/s padded, cut, mirrored, normalised: {found.ratio} times {other}",
        f"trainer   {over.share.median:+.1%} over the same step by hand, {over.mode} ({middle})",
    ]


def _layers(roofline: Roofline) -> list[str]:
    whole = sum(bound.seconds for bound in roofline.bounds)
    lines = [
        f"{bound.layer.kind:20} {_shape(bound.layer.shape):>14} {bound.layer.count:6} {bound.intensity:10.1f}  "
        f"{bound.by:10} {bound.seconds / whole:7.1%}"
        for bound in roofline.bounds[:_LAYERS]
    ]
    rest = roofline.bounds[_LAYERS:]
    if rest:
        share = sum(bound.seconds for bound in rest) / whole
        lines.append(f"{f'{len(rest)} more':20} {'':14} {'':6} {'':10}  {'':10} {share:7.1%}")
    return [
        f"an image's layers at the machine's limits, {roofline.mode}, inference: {roofline.images:,.0f} images/s; "
        f"{roofline.reached:.0%} of it measured",
        f"{'layers':20} {'output':>14} {'count':>6} {'FLOP/byte':>10}  {'limit':10} {'of time':>7}",
        *lines,
    ]


def _shape(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def _si(amount: float) -> str:
    """`1.25 T`: with the prefix that leaves one to three digits before the point."""
    prefix = next((sign for sign, size in (("T", 1e12), ("G", 1e9), ("M", 1e6)) if amount >= size), "")
    return f"{amount / {'T': 1e12, 'G': 1e9, 'M': 1e6, '': 1}[prefix]:.3g} {prefix}"

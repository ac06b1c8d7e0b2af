"""All that the rest of a run depends on, taken out of it and put back."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from archdsl.train import chance
from archdsl.train.checkpoint import Checkpoint
from archdsl.train.progress import Row
from archdsl.train.state import Plan, Progress
from archdsl.train.step import Stepper
from archdsl.train.trouble import TrainTrouble


def snapshot(plan: Plan, stepper: Stepper, progress: Progress) -> Checkpoint:
    """Everything that the rest of the run depends on."""
    average = stepper.average
    progress.average_updates = average.updates if average else 0
    training = {f"optimizer/{name}": tensor for name, tensor in stepper.optimizer.tensors().items()}
    if average:
        training |= {f"average/{name}": tensor for name, tensor in average.model.state_dict().items()}
    training |= {"sums": stepper.sums, "window": stepper.window, **chance.tensors()}
    state = {
        "identity": plan.identity,
        "fingerprint": fingerprint(plan),
        "progress": asdict(progress),
        "scaler": stepper.scaler.state_dict(),
        "chance": chance.numbers(),
    }
    return Checkpoint(progress.step, stepper.model.state_dict(), training, state)


def fingerprint(plan: Plan) -> dict[str, object]:
    """What may change the last bits of the numbers."""
    return {
        "torch": torch.__version__,
        "threads": plan.device.threads,
        "device": str(plan.device),
        "micro_batch": plan.micro_batch,
    }


def differences(plan: Plan, saved: Checkpoint) -> Iterator[str]:
    """What is not as it was when `saved` was made and may show in the last bits, a line for each."""
    for name, value in fingerprint(plan).items():
        then = saved.state["fingerprint"].get(name)
        if then != value:
            yield f"not bit for bit: {name} was {then}, is {value}"


def restore(plan: Plan, stepper: Stepper, saved: Checkpoint) -> Progress:
    """Put everything where it was when `saved` was made. `TrainTrouble` where it is of another run."""
    if saved.state["identity"] != plan.identity:
        raise TrainTrouble(f"{plan.out} holds a run of another network, recipe or data set: nothing was done")
    stepper.model.load_state_dict(saved.weights)
    stepper.optimizer.load(_below("optimizer/", saved.training))
    stepper.sums.copy_(saved.training["sums"])
    stepper.window.copy_(saved.training["window"])
    stepper.scaler.load_state_dict(saved.state["scaler"])
    progress = _progress(saved.state["progress"])
    if stepper.average:
        stepper.average.model.load_state_dict(_below("average/", saved.training))
        stepper.average.updates = progress.average_updates
    chance.restore(dict(saved.training), saved.state["chance"])
    return progress


def _progress(state: Mapping[str, Any]) -> Progress:
    values: dict[str, Any] = {**state, "rows": [Row(**row) for row in state["rows"]]}
    return Progress(**values)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

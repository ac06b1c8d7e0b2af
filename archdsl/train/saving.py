"""All that the rest of a run depends on, taken out of it and put back."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from archdsl.ice import version
from archdsl.train import chance
from archdsl.train.checkpoint import Checkpoint
from archdsl.train.distributed import Team
from archdsl.train.progress import Row
from archdsl.train.state import Plan, Progress
from archdsl.train.step import Stepper
from archdsl.train.trouble import TrainTrouble


def snapshot(plan: Plan, stepper: Stepper, progress: Progress) -> Checkpoint:
    """Everything that the rest of the run depends on. All ranks of a team come here together."""
    team = stepper.team
    average = stepper.average
    progress.average_updates = average.updates if average else 0
    training = {f"optimizer/{name}": tensor for name, tensor in stepper.optimizer.tensors().items()}
    if average:
        training |= {f"average/{name}": tensor for name, tensor in average.model.state_dict().items()}
    training |= {"sums": team.total(stepper.sums), "window": team.total(stepper.window), **chance.tensors()}
    training |= {f"rank{rank}": others for rank, others in enumerate(map(_bytes, team.gathered(_chance()))) if rank}
    state = {
        "identity": plan.identity,
        "fingerprint": fingerprint(plan, team),
        "progress": asdict(progress),
        "scaler": stepper.scaler.state_dict(),
        "chance": chance.numbers(),
    }
    return Checkpoint(progress.step, stepper.model.state_dict(), training, state)


def fingerprint(plan: Plan, team: Team) -> dict[str, object]:
    """What may change the last bits of the numbers."""
    device = plan.device
    return {
        "archdsl": version(),
        "torch": torch.__version__,
        "processor": device.name,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "device": device.device.type,
        "precision": str(device.precision),
        "engine": device.engine,
        "threads": device.threads,
        "micro_batch": plan.micro_batch,
        "ranks": team.size,
        "sync_batch_norm": plan.sync_batch_norm,
        "mkldnn": torch.backends.mkldnn.enabled,
        "float32_matmul": torch.get_float32_matmul_precision(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def differences(plan: Plan, team: Team, saved: Checkpoint) -> Iterator[str]:
    """What is not as it was when `saved` was made and may show in the last bits, a line for each."""
    for name, value in fingerprint(plan, team).items():
        then = saved.state.get("fingerprint", {}).get(name)
        if then != value:
            yield f"not bit for bit: {name} was {then}, is {value}"


def restore(plan: Plan, stepper: Stepper, saved: Checkpoint) -> Progress:
    """Put everything where it was when `saved` was made. `TrainTrouble` where it lacks a part."""
    try:
        return _put_back(stepper, saved)
    except KeyError as key:
        reason = f"it lacks {key.args[0]}"
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:  # whole, but written by another version
        reason = " ".join(str(error).split())
    raise TrainTrouble(f"{plan.out}: the checkpoint of step {saved.step} does not fit this run: {reason}")


def _put_back(stepper: Stepper, saved: Checkpoint) -> Progress:
    _load(stepper.model, saved.weights)
    stepper.optimizer.load(_below("optimizer/", saved.training))
    leads = float(stepper.team.leads)  # the sums of all ranks go on in the leader's
    stepper.sums.copy_(saved.training["sums"] * leads)
    stepper.window.copy_(saved.training["window"] * leads)
    if scale := saved.state["scaler"]:  # empty where the run was not in fp16 then; the note says so
        stepper.scaler.load_state_dict(scale)
    progress = _progress(saved.state["progress"])
    if stepper.average:
        _load(stepper.average.model, _below("average/", saved.training))
        stepper.average.updates = progress.average_updates
    _check_ranks(stepper.team, saved)
    _restore_chance(stepper.team.rank, saved)
    return progress


def _load(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """torch itself goes on without how many batches a norm has seen, which files of 2018 did not have."""
    for name in model.state_dict():
        if name not in tensors:
            raise KeyError(name)
    model.load_state_dict(tensors)


def _chance() -> bytes:
    """This rank's random states: each rank drops out other neurons."""
    numbers = _bytes(json.dumps(chance.numbers()).encode())
    return safetensors.torch.save({**chance.tensors(), "numbers": numbers})


def _check_ranks(team: Team, saved: Checkpoint) -> None:
    """Every rank that there was then has its random states. All look for all, so that none goes on without another."""
    for rank in range(1, min(team.size, saved.state["fingerprint"].get("ranks", 1))):
        if f"rank{rank}" not in saved.training:
            raise KeyError(f"rank{rank}")


def _restore_chance(rank: int, saved: Checkpoint) -> None:
    """A rank that there was not then goes on with its generators as they are: another number of ranks is said aloud."""
    if rank == 0:
        chance.restore(dict(saved.training), saved.state["chance"])
    elif (mine := saved.training.get(f"rank{rank}")) is not None:
        tensors = safetensors.torch.load(bytes(mine.tolist()))
        chance.restore(tensors, json.loads(bytes(tensors["numbers"].tolist())))


def _bytes(data: bytes) -> Tensor:
    return torch.tensor(list(data), dtype=torch.uint8)


def _progress(state: Mapping[str, Any]) -> Progress:
    """Whatever has a default must be there, too: a count that begins anew would be silent."""
    needed = {field.name: state[field.name] for field in fields(Progress)}
    values: dict[str, Any] = {**state, **needed, "rows": [Row(**row) for row in state["rows"]]}
    return Progress(**values)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

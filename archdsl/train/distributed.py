"""Several processes that train one network: who does which part, how they agree, and what if one is lost.

`torchrun` starts the processes (ranks) and tells each through the environment who it is. A batch of the recipe is the
batch of all ranks together, so a run means the same on any number of them. What all ranks must know is agreed on the
CPU, over gloo, so that no GPU is waited for.
"""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from archdsl.fsio import FileTrouble
from archdsl.train import meeting
from archdsl.train.data.images import Split
from archdsl.train.identity import Identity, differences
from archdsl.train.job import TrainConfig
from archdsl.train.trouble import Lost, Misfit, TrainTrouble

_GRACE = 5.0  # seconds that ranks have to say that they are there, once one has found that another is not
_OF_A_COLLECTIVE = ("gloo", "ProcessGroup", "caused pair closure")  # the last is gloo's, too, without its name
_TOLD = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
# Options that may differ by machine. What `--set` changes is part of the recipe, which is compared by itself.
_OWN = ("data_dir", "out", "teacher", "workers", "worker_timeout", "threads", "unofficial", "download", "changes")


@dataclass(frozen=True, eq=False)
class Portion:
    """What one rank does of a batch."""

    index: Tensor
    weight: float = 1.0
    """Of its mean loss, so that the mean over ranks is the mean over the batch."""
    counts: bool = True
    """Whether its images count in the metrics: not where another rank trains on the same ones."""
    repeated: bool = False
    """Whether every rank has the whole batch."""


class Team:
    """One process alone; all that ranks do together costs it nothing."""

    rank, size = 0, 1
    launch: dist.Store | None = None
    """What all attempts of a launch share, where a launcher may start this again."""

    @property
    def leads(self) -> bool:
        """Whether this is the rank that writes files and speaks."""
        return self.rank == 0

    def portion(self, index: Tensor) -> Portion:
        """This rank's images of a batch. One too small to give each rank two is done by every rank, as a whole."""
        if self.size == 1 or len(index) < 2 * self.size:
            return Portion(index, counts=self.leads, repeated=self.size > 1)
        mine = index.tensor_split(self.size)[self.rank]
        return Portion(mine, len(mine) * self.size / len(index))

    def shard(self, split: Split) -> Split:
        """This rank's part of a split that is judged; shards differ by at most one image."""
        count = len(split)
        return split if self.size == 1 else split.part(*(count * k // self.size for k in (self.rank, self.rank + 1)))

    def averaged(self, model: nn.Module) -> nn.Module:
        """`model`, its gradients averaged over the ranks during the backward pass."""
        return model

    def align(self, model: nn.Module) -> None:
        """Give every rank the leader's buffers, statistics of normalisation above all, which each gathers by itself."""

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all ranks, the same bits on each."""
        return tensor.clone()

    def largest(self, number: int) -> int:
        """The largest of all ranks' numbers."""
        return number

    def worst(self, flag: Tensor) -> Tensor:
        """The largest of all ranks' flags, a scalar, without waiting for the device."""
        return flag

    def gathered(self, data: bytes) -> list[bytes]:
        """What each rank gives, by rank."""
        return [data]

    def from_leader(self, work: Callable[[], str | None]) -> str:
        """Do `work` on the leader alone; all get its text, or raise what went wrong there as `TrainTrouble`."""
        return work() or ""

    def alike(self, known: Identity, what: str = "another run") -> None:
        """Raise `Misfit` where ranks were given another network, recipe or data set, of which this is the identity."""
        first, *others = map(json.loads, self.gathered(json.dumps(known).encode()))
        for rank, other in enumerate(others, 1):
            if another := differences(first, other):
                raise Misfit(f"rank {rank} has {what} than rank 0: {another}")

    def opened(self) -> None:
        """The run folder is this run's: should the ranks be started again, they go on in it."""
        if self.launch is not None and self.leads:
            meeting.open_to_later(self.launch)

    @contextmanager
    def watched(self) -> Generator[None]:
        """Raise `Lost` where a rank is missing."""
        yield


ALONE = Team()
_teams: list[Team] = [ALONE]


def present() -> Team:
    """The team of this process; like torch's process group there is one at a time."""
    return _teams[-1]


class Ranks(Team):
    """One of several processes."""

    def __init__(
        self, store: dist.Store, rank: int, size: int, timeout: float, launch: dist.Store | None = None
    ) -> None:
        self.store, self.rank, self.size, self.timeout, self.launch = store, rank, size, timeout, launch
        self.wrapped: list[DistributedDataParallel] = []

    def averaged(self, model: nn.Module) -> nn.Module:
        """torch's own. Networks may leave out layers by chance, so it must look for gradients that are missing."""
        warnings.filterwarnings("ignore", "find_unused_parameters=True was specified")
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        self.wrapped.append(DistributedDataParallel(model, find_unused_parameters=True))
        return self.wrapped[-1]

    def align(self, model: nn.Module) -> None:
        for buffer in model.buffers():
            dist.broadcast(buffer, 0)

    def total(self, tensor: Tensor) -> Tensor:
        whole = tensor.clone()
        dist.all_reduce(whole)
        return whole

    def largest(self, number: int) -> int:
        agreed = torch.tensor(number)
        dist.all_reduce(agreed, dist.ReduceOp.MAX)
        return int(agreed)

    def worst(self, flag: Tensor) -> Tensor:
        agreed = flag.float()
        dist.all_reduce(agreed, dist.ReduceOp.MAX)
        return agreed

    def gathered(self, data: bytes) -> list[bytes]:
        mine = torch.frombuffer(bytearray(data or b"\0"), dtype=torch.uint8)
        lengths = [torch.tensor(0) for _ in range(self.size)]
        dist.all_gather(lengths, torch.tensor(len(data)))
        room = max(1, *(int(length) for length in lengths))
        parts = [torch.empty(room, dtype=torch.uint8) for _ in lengths]
        dist.all_gather(parts, torch.cat([mine, mine.new_zeros(room - len(mine))]))
        return [bytes(part[:length].tolist()) for part, length in zip(parts, lengths, strict=True)]

    def from_leader(self, work: Callable[[], str | None]) -> str:
        code, text = 0, ""
        if self.leads:
            try:
                text = work() or ""
            except (TrainTrouble, FileTrouble) as error:
                code, text = getattr(error, "exit_code", TrainTrouble.exit_code), str(error)
        said, _, text = self.gathered(f"{code} {text}".encode())[0].decode().partition(" ")
        if int(said):
            trouble = TrainTrouble(text)
            trouble.exit_code = int(said)
            raise trouble
        return text

    def disband(self) -> None:
        """Take the process group from what may outlive it, a network in a traceback above all.

        Freed by one of those, the group would wait for its thread, which may just then wait for Python's lock.
        """
        for model in self.wrapped:
            for name in ("reducer", "logger"):
                vars(model).pop(name, None)

    @contextmanager
    def watched(self) -> Generator[None]:
        try:
            yield
        except RuntimeError as error:
            if not _is_of_a_collective(error):
                raise
            raise Lost(f"{self._lost()}; --resume goes on from the newest checkpoint") from None

    def _lost(self) -> str:
        if missing := self._missing():
            who = f"rank{'s' * (len(missing) > 1)} {', '.join(map(str, missing))}"
            return f"{who} of {self.size} lost: dead, or silent for {self.timeout:g} s"
        return f"all {self.size} ranks answer, but they are not at the same place, or cannot reach each other"

    def _missing(self) -> list[int]:
        """The ranks that do not say that they are there: all others come here, too, when their own step fails."""
        others = [rank for rank in range(self.size) if rank != self.rank]
        missing = others
        until = time.monotonic() + _GRACE
        try:
            self.store.set_timeout(timedelta(seconds=_GRACE))  # it may live in the process that hangs
            self.store.set(f"archdsl/here/{self.rank}", "1")
            while missing and time.monotonic() < until:
                time.sleep(0.2)
                missing = self._unheard(missing)
            return missing
        except RuntimeError:  # the store lived in rank 0's process
            return [0]

    def _unheard(self, ranks: Sequence[int]) -> list[int]:
        return [rank for rank in ranks if not self.store.check([f"archdsl/here/{rank}"])]


def _is_of_a_collective(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or any(words in str(error) for words in _OF_A_COLLECTIVE)


def expected() -> bool:
    """Whether a launcher has told this process that it is one of several."""
    return all(name in os.environ for name in _TOLD) and os.environ["WORLD_SIZE"] != "1"


def _restartable() -> bool:
    """Whether `torchrun` started this process, be it alone: it may start it again."""
    return all(name in os.environ for name in (*_TOLD, "TORCHELASTIC_RUN_ID"))


def speaker() -> str:
    """Who says something, for messages of several ranks on one screen: `rank 1: `."""
    return f"rank {os.environ['RANK']}: " if expected() else ""


def as_rank(config: TrainConfig) -> TrainConfig:
    """The options as a launched process takes them: all ranks have the same, and after a restart they go on.

    Only in a folder that an attempt of the same launch has begun: another's is refused as often as it is asked for.
    """
    team = present()
    if (launch := team.launch) is None:
        return config
    if config.out is None:
        raise Misfit("ranks need a run folder, or a restart could not find its checkpoints: give --out")
    team.alike(_shared(config), "other options")
    again = team.from_leader(lambda: "again" if meeting.opened_earlier(launch) else "")
    return config.model_copy(update={"resume": config.resume or bool(again)})


def _shared(config: TrainConfig) -> Identity:
    """The options that must be the same on all ranks, or they would not do the same steps in the same order."""
    options = config.model_dump(mode="json", exclude=set(_OWN))
    return {f"--{name.replace('_', '-')}": value for name, value in options.items()}


def neighbours() -> int:
    """How many ranks share this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if expected() else 1


def gpus() -> int:
    """How many there are on this machine, and for this process."""
    return torch.cuda.device_count()


def _on_gpus(config: TrainConfig) -> bool:
    return config.device != "cpu" and torch.cuda.is_available()


def _gpu(number: int, count: int) -> int:
    if number >= count:
        raise Misfit(f"this machine has no GPU for its rank {number}: --nproc-per-node {count}, or --device cpu")
    return number


@contextmanager
def assembled(config: TrainConfig) -> Generator[None]:
    """Be one of the ranks that a launcher started, for as long as the context lasts: `present` gives the team.

    A rank takes the GPU of its number. `Lost` where the others are not found within the timeout.
    """
    if not expected():
        with _alone(config):
            yield
        return
    team = _met(config)
    _teams.append(team)
    try:
        with team.watched():
            yield
    except BaseException:
        if _on_gpus(config):
            _abort()
        raise
    finally:
        _teams.pop()
        team.disband()
        dist.destroy_process_group()


def _abort() -> None:
    """End NCCL's kernels, which wait for a rank that is lost: to destroy the group would wait for them."""
    group = dist.group.WORLD
    if group is not None:
        group._get_backend(torch.device("cuda")).abort()  # pyright: ignore[reportPrivateUsage]


@contextmanager
def _alone(config: TrainConfig) -> Generator[None]:
    """One process; where `torchrun` started it, it can tell those that come after it."""
    team = Team()
    if _restartable():
        with _found():
            team.launch, _, _ = next(rendezvous("env://", timeout=timedelta(seconds=config.timeout)))
    _teams.append(team)
    try:
        yield
    finally:
        _teams.pop()


def _met(config: TrainConfig) -> Ranks:
    """The ranks, each of which has found all others."""
    timeout, cuda = config.timeout, _on_gpus(config)
    if cuda:
        torch.cuda.set_device(_gpu(int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()))
    wait = timedelta(seconds=timeout)
    with _found():
        launch, rank, size = next(rendezvous("env://", timeout=wait))
        store = meeting.met(launch, rank, size, timeout)
        backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=wait)
    return Ranks(store, rank, size, timeout, launch)


@contextmanager
def _found() -> Generator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise Lost(f"the ranks did not find each other: {str(error).splitlines()[0]}") from None


def unshared(forward: nn.Module, last: bool):
    """The context of a forward and backward pass whose gradients stay on this rank: all but a batch's last part."""
    if last or not isinstance(forward, DistributedDataParallel):
        return nullcontext()
    return forward.no_sync()

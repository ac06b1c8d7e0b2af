"""A launcher of several training processes, as `torchrun` is one, that starts them in a tenth of a second.

    python ranks.py

A fork server: this process imports torch and never trains. It reads one request a line as JSON, hosts the store where
the ranks meet (as torchrun's agent does, so that it outlives each of them), forks the ranks, sends them signals, waits,
and answers with a line of JSON: the exit code and the text of each rank, which signals it got and what it did just then,
and how long it took. Requests are made by `launching.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
import torch._dynamo  # optimisers load it at their first step, which would be most of a child's life
import torch.distributed as dist
from harness import few, go, job
from small_networks import AUXILIARY, SKIPPING, TINY

from archdsl.recipe import Recipe
from archdsl.recipe.records import Flip, Sgd, Warmup
from archdsl.train import augment, loop, run, saving
from archdsl.train.augment import Batch
from archdsl.train.data import Images, Request, load
from archdsl.train.distributed import Portion
from archdsl.train.loop import Trainer
from archdsl.train.randomness import permutation
from archdsl.train.signals import SIGNALS, Flag
from archdsl.train.step import Stepper

RECIPE = Recipe(augment=(Flip(),), optimizer=Sgd(lr=0.05), epochs=2, batch=32)
JOBS = {
    "plain": job(RECIPE, AUXILIARY, "Deep", auxiliary_weights=(0.3,)),
    "norm": job(RECIPE, TINY, arguments={"dropout": 0.0}),
    "chance": job(RECIPE.model_copy(update={"ema": 0.9, "validation": 37}), TINY),
    "small": job(RECIPE.model_copy(update={"batch": 3}), TINY),
    "skipping": job(RECIPE, SKIPPING, "Skipping"),
    "rising": job(RECIPE.model_copy(update={"epochs": 3, "ema": 0.9, "warmup": Warmup(iterations=7)}), TINY),
    "pictures": job(RECIPE.model_copy(update={"batch": 8}), TINY, arguments={"classes": 2}, image=(3, 8, 8)),
}
PLACES = {
    "Trainer._save": "save",
    "Trainer._judge": "judge",
    "Trainer._step": "step",
    "Trainer.restore": "restore",
    "Trainer.__init__": "set up",
    "images_for": "load",
}
"""What a rank does, by the function that is under way."""


MINUTE = timedelta(seconds=60)
stores: list[dist.TCPStore] = []


def main() -> None:
    torch.set_num_threads(1)
    run.load = given
    for line in sys.stdin:
        print(json.dumps(launch(json.loads(line))), flush=True)


def given(name: str, request: Request) -> Images:
    """A few images in memory, or those of a folder."""
    return load(name, request) if name == "folder" else few(name, request)


def launch(request: dict[str, Any]) -> dict[str, Any]:
    """Run `job` with `options` on `size` ranks, `recipe` changing its recipe.

    `fault` says what happens to which rank at which step; `signals` are those that are sent, each the seconds after all
    listen, its name, and to which ranks. With `restarts` it is another attempt of the launch before: the same store.
    `own` are options that a rank alone was given.
    """
    size, out = request["size"], Path(request["options"]["out"])
    if not request.get("restarts"):
        stores[:] = [dist.TCPStore("localhost", 0, is_master=True, wait_for_workers=False, timeout=MINUTE)]
    (store,) = stores
    began = time.monotonic()
    listens, tells = os.pipe()
    pids = [child(rank, size, store.port, request, tells) for rank in range(size)]
    os.close(tells)
    send(pids, request.get("signals", ()), listens)
    os.close(listens)
    codes = wait(dict(enumerate(pids)), request.get("patience", 60))
    texts = [path.read_text() if (path := said(out, rank)).exists() else "" for rank in range(size)]
    heard = [[json.loads(line) for line in lines(heard_by(out, rank))] for rank in range(size)]
    return {"codes": codes, "texts": texts, "heard": heard, "seconds": time.monotonic() - began}


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def send(pids: list[int], signals: list[tuple[float, str, list[int]]], listens: int) -> None:
    """Send each at its time, which counts from when all ranks listen."""
    if signals:
        os.read(listens, 1)  # comes back when all have closed their end
    began = time.monotonic()
    for after, name, ranks in signals:
        time.sleep(max(0.0, began + after - time.monotonic()))
        for rank in ranks:
            os.kill(pids[rank], getattr(signal, name))  # who is over is not yet waited for: the number is nobody else's


def wait(pids: dict[int, int], patience: float) -> list[int]:
    """The exit codes by rank; -9 also for one that had to be killed when its time was up or all others were gone."""
    codes: dict[int, int] = {}
    until = time.monotonic() + patience
    while len(codes) < len(pids):
        for rank, pid in pids.items():
            done, status = (0, 0) if rank in codes else os.waitpid(pid, os.WNOHANG)
            if done:
                codes[rank] = os.waitstatus_to_exitcode(status)
        rest = [pid for rank, pid in pids.items() if rank not in codes]
        stopped = all(Path(f"/proc/{pid}/stat").read_text().split()[2] == "T" for pid in rest)
        if rest and (stopped or time.monotonic() > until):
            for pid in rest:
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    return [codes[rank] for rank in pids]


def said(out: Path, rank: int) -> Path:
    return out.parent / f"{out.name}.rank{rank}.txt"


def heard_by(out: Path, rank: int) -> Path:
    return out.parent / f"{out.name}.rank{rank}.heard"


def child(rank: int, size: int, port: int, request: dict[str, Any], tells: int) -> int:
    """Fork a rank; it trains and leaves with its exit code."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        if size > 1 or "restarts" in request:
            names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
            os.environ.update({name: str(value) for name, value in names.items()})
            os.environ.update(MASTER_ADDR="localhost", MASTER_PORT=str(port))
            os.environ.update(TORCHELASTIC_USE_AGENT_STORE="True", TORCHELASTIC_RUN_ID="none")
        out = Path(request["options"]["out"])
        said(out, rank).unlink(missing_ok=True)
        prepare(rank, request)
        listen(heard_by(out, rank), tells, request.get("deaf", 0))
        given = {**request["options"], **request.get("own", {}).get(str(rank), {})}
        options = {name: as_is(value) for name, value in given.items() if name != "out"}
        code, text = go(out, asked(request), **options)
        said(out, rank).write_text(text + moved())
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def as_is(value: Any) -> Any:
    """Paths are the only texts with a slash among the options."""
    return Path(value) if isinstance(value, str) and "/" in value else value


def asked(request: dict[str, Any]) -> Any:
    work = JOBS[request["job"]]
    return replace(work, recipe=work.recipe.model_copy(update=request.get("recipe", {})))


trainers: list[tuple[Trainer, str]] = []


def weights(trainer: Trainer) -> str:
    """A digest of all that is learned; not of statistics, which the forward pass moves."""
    parts = [p.detach().contiguous().numpy().tobytes() for p in trainer.model.parameters()]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def moved() -> str:
    """Whether the weights are still those of when the fault struck."""
    return "".join(f"weights {'as before' if weights(one) == before else 'moved'}\n" for one, before in trainers)


def listen(path: Path, tells: int, deaf: int) -> None:
    """Say when signals are caught, and write down what was done when one came. Before and after they are ignored.

    `deaf`: how often a question whether one has come is answered with no.
    """
    path.unlink(missing_ok=True)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    watched, raised, agreed = run.watched, Flag.raise_, Flag.agreed
    refusals = iter(range(deaf))

    @contextmanager
    def watched_and_told() -> Generator[Flag]:
        with watched() as flag:
            os.close(tells)
            yield flag

    def heard(self: Flag, number: int, frame: FrameType | None = None) -> None:
        with path.open("a") as file:
            file.write(json.dumps([signal.Signals(number).name, *doing(frame)]) + "\n")
        raised(self, number, frame)

    def heard_at_last(self: Flag, largest: Callable[[int], int]) -> bool:
        return agreed(self, largest) and next(refusals, None) is None

    run.watched, Flag.raise_, Flag.agreed = watched_and_told, heard, heard_at_last  # type: ignore[method-assign]


def doing(frame: FrameType | None) -> tuple[str, int]:
    """What is under way, and after which step."""
    found, step = "between", 0
    while frame is not None:
        if found == "between":
            found = PLACES.get(frame.f_code.co_qualname, found)
        for owner in (frame.f_locals.get("self"), frame.f_locals.get("trainer")):
            if isinstance(owner, Trainer) and hasattr(owner, "progress"):
                step = owner.progress.step
        frame = frame.f_back
    return found, step


def prepare(rank: int, request: dict[str, Any]) -> None:
    """Let the fault happen when its time comes, and write down which images are trained on.

    With `shuffled` the order of images is the process's own, instead of a function of seed and epoch. With `forgetful` a run
    that goes on draws other random numbers.
    """
    if request.get("forgetful"):
        saving._restore_chance = lambda *_: None
    if request.get("shuffled"):
        own = int.from_bytes(os.urandom(4), "big")
        augment.permutation = lambda key, count: permutation(key ^ own << 1, count)
    fault, log = request.get("fault") or {"rank": None}, request.get("log")
    if request.get("careless"):
        Stepper._may_update = lambda *_: True  # type: ignore[method-assign]
    step, between, refuse = Trainer._step, Trainer._between_steps, Trainer._batch

    def logged(self: Trainer, portion: Portion, taken: Any) -> Batch:
        p = self.progress
        if log and portion.counts:
            with Path(log).open("a") as file:
                file.write(json.dumps([p.epoch, p.seen, portion.index.tolist()]) + "\n")
        return step(self, portion, taken)

    def faulty(self: Trainer, steps: int, batch: Batch) -> None:
        if fault["rank"] == rank and fault["step"] == self.progress.step:
            strike(fault["what"])
        between(self, steps, batch)

    def poisoned(self: Trainer, index: torch.Tensor, taken: Any) -> Batch:
        batch = refuse(self, index, taken)
        if fault["rank"] == rank and fault["step"] == self.progress.step and fault["what"] in POISONS:
            POISONS[fault["what"]](self, batch)
        if fault["rank"] is not None and fault["step"] == self.progress.step:
            trainers.append((self, weights(self)))
        return batch

    loop.Trainer._step, loop.Trainer._between_steps, loop.Trainer._batch = logged, faulty, poisoned  # type: ignore[method-assign]


def bad_loss(trainer: Trainer, _: Batch) -> None:
    objective = trainer.stepper.objective
    trainer.stepper.objective = lambda *given: objective(*given) * float("nan")


def bad_layer(trainer: Trainer, _: Batch) -> None:
    """Weights whose products are beyond the largest number."""
    next(trainer.model.parameters()).detach().fill_(3e38)


def bad_gradient(trainer: Trainer, _: Batch) -> None:
    """As an operation would give that has no derivative at this place."""
    list(trainer.model.parameters())[-1].register_hook(lambda gradient: gradient * float("inf"))


POISONS: dict[str, Callable[[Trainer, Batch], object]] = {
    "nan": lambda _, batch: batch.images[0, 0, 0, 0].fill_(float("nan")),
    "inf": lambda _, batch: batch.images[-1].fill_(float("inf")),
    "label": lambda _, batch: batch.labels[:1].fill_(-100),
    "layer": bad_layer,
    "loss": bad_loss,
    "gradient": bad_gradient,
}


def strike(what: str) -> None:
    match what:
        case "raise":
            raise ValueError("a rank's own mistake")
        case "exit":
            os._exit(0)
        case _ if what not in POISONS:
            os.kill(os.getpid(), getattr(signal, what))
        case _:
            return


if __name__ == "__main__":
    main()

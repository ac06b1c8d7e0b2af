"""A launcher of several training processes, as `torchrun` is one, that starts them in a tenth of a second.

    python ranks.py

A fork server: this process imports torch and never trains. It reads one request a line as JSON, hosts the store where
the ranks meet (as torchrun's agent does, so that it outlives each of them), forks the ranks, waits, and answers with a
line of JSON: the exit code and the text of each rank, and how long it took.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
import torch._dynamo  # optimisers load it at their first step, which would be most of a child's life
import torch.distributed as dist
from harness import few, go, job
from small_networks import AUXILIARY, SKIPPING, TINY

from archdsl.recipe import Recipe
from archdsl.recipe.records import Flip, Sgd
from archdsl.train import loop, run
from archdsl.train.augment import Batch
from archdsl.train.distributed import Portion
from archdsl.train.loop import Trainer

RECIPE = Recipe(augment=(Flip(),), optimizer=Sgd(lr=0.05), epochs=2, batch=32)
JOBS = {
    "plain": job(RECIPE, AUXILIARY, "Deep", auxiliary_weights=(0.3,)),
    "norm": job(RECIPE, TINY, arguments={"dropout": 0.0}),
    "chance": job(RECIPE.model_copy(update={"ema": 0.9, "validation": 37}), TINY),
    "small": job(RECIPE.model_copy(update={"batch": 3}), TINY),
    "skipping": job(RECIPE, SKIPPING, "Skipping"),
}


def main() -> None:
    torch.set_num_threads(1)
    run.load = few
    for line in sys.stdin:
        print(json.dumps(launch(json.loads(line))), flush=True)


def launch(request: dict[str, Any]) -> dict[str, Any]:
    """Run `job` with `options` on `size` ranks; `fault` says what happens to which rank at which step."""
    size, out = request["size"], Path(request["options"]["out"])
    store = dist.TCPStore("localhost", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=60))
    began = time.monotonic()
    pids = [child(rank, size, store.port, request) for rank in range(size)]
    codes = wait(dict(enumerate(pids)), request.get("patience", 60))
    texts = [path.read_text() if (path := said(out, rank)).exists() else "" for rank in range(size)]
    return {"codes": codes, "texts": texts, "seconds": time.monotonic() - began}


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


def child(rank: int, size: int, port: int, request: dict[str, Any]) -> int:
    """Fork a rank; it trains and leaves with its exit code."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        if size > 1:
            names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
            os.environ.update({name: str(value) for name, value in names.items()})
            os.environ.update(MASTER_ADDR="localhost", MASTER_PORT=str(port), TORCHELASTIC_USE_AGENT_STORE="True")
            os.environ["TORCHELASTIC_RESTART_COUNT"] = str(request.get("restarts", 0))
        prepare(rank, request)
        options = {**request["options"], "out": Path(request["options"]["out"])}
        code, text = go(options.pop("out"), JOBS[request["job"]], **options)
        said(Path(request["options"]["out"]), rank).write_text(text)
    finally:
        os._exit(code)


def prepare(rank: int, request: dict[str, Any]) -> None:
    """Let the fault happen when its time comes, and write down which images are trained on."""
    fault, log = request.get("fault") or {"rank": None}, request.get("log")
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
        if fault["rank"] == rank and fault["step"] == self.progress.step and fault["what"] == "nan":
            batch.images[0, 0, 0, 0] = float("nan")
        return batch

    loop.Trainer._step, loop.Trainer._between_steps, loop.Trainer._batch = logged, faulty, poisoned  # type: ignore[method-assign]


def strike(what: str) -> None:
    match what:
        case "raise":
            raise ValueError("a rank's own mistake")
        case "exit":
            os._exit(0)
        case "nan":
            return
        case _:
            os.kill(os.getpid(), getattr(signal, what))


if __name__ == "__main__":
    main()

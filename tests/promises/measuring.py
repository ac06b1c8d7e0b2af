"""Measures what training takes, and trains with less memory than it needs.

    python measuring.py

A fork server like `tests/train/ranks.py`: one request a line as JSON, one answer a line. Memory is what the kernel says of
a child: the largest resident size since the run began, in a process whose larger pieces are given back when they are freed.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import shutil
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # optimisers load it at their first step
from harness import go, images

import archdsl
from archdsl import training
from archdsl.pipeline import emit
from archdsl.recipe.records import Distill
from archdsl.train import run
from archdsl.train.data import Images
from archdsl.train.job import Job

TESTS = Path(__file__).parents[1]
# What a recipe may ask of the data is not measured, and stages are runs of their own.
EMPTY = ("augment", "stages", "rules", "normalize", "dropout", "train")
NONE = ("epochs", "warmup", "resize", "early_stop")
PLAIN: dict[str, Any] = {"iterations": 2, "validation": 0, **dict.fromkeys(EMPTY, ()), **dict.fromkeys(NONE)}


def work(request: dict[str, Any]) -> tuple[Job, tuple[int, ...]]:
    """The first network of a spec, or of a file of its own, trained plainly, and the size of its images."""
    path = request.get("path", str(TESTS.parent / "specs" / f"{request['spec']}.arch"))
    loaded = archdsl.load(path, request.get("arguments"))
    recipe = training.chosen_recipe(loaded.checked, request.get("recipe"), []).model_copy(update=PLAIN)
    if not isinstance(recipe.loss, Distill):
        recipe = training.alone(recipe)
    job = training.job(path, loaded.checked, loaded.network, emit(loaded.checked, loaded.network), recipe)
    return job, loaded.network.graph.inputs[0].values


def some(count: int, shape: tuple[int, ...], classes: int) -> Images:
    """So many images to train on, and to judge."""
    found = images(count, count, shape[-1])
    parts = (
        replace(part, pixels=part.pixels[..., : shape[0]], labels=part.labels % classes)
        for part in (found.train, found.test)
    )  # type: ignore[type-var]
    train, test = parts
    return replace(found, train=train, test=test, classes=tuple(map(str, range(classes))))


def train(job: Job, data: Images, batch: int, out: str, **options: Any) -> tuple[int, str]:
    run.load = lambda *_: data
    return go(Path(out), replace(job, recipe=job.recipe.model_copy(update={"batch": batch})), **options)


def load_kernels() -> None:
    """What a library loads the first time it is asked, 10 MiB for convolutions of 1×1, is not of a run."""
    for channels, kernel in ((3, 1), (32, 1), (32, 3)):
        images = torch.zeros(64, channels, 32, 32).contiguous(memory_format=torch.channels_last).requires_grad_()
        torch.nn.Conv2d(channels, 32, kernel)(images).sum().backward()


def size(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Estimate and peak of a spec, at the batch for which activations take about so many bytes.

    With a teacher, it is trained in the first run, in which all kernels are made, and asked in the one that is measured.
    """
    job, shape = work(request)
    assert job.memory is not None
    batch = max(4, request["bytes"] // job.memory.per_image)
    classes = request.get("classes", 10)
    load_kernels()
    code, text = train(job, some(4, shape, classes), 4, f"{request['out']}/first")
    taught = {"teacher": Path(request["out"], "first", "teacher")} if job.teacher else {}
    data = some(batch, shape, classes)
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    before = size("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from now
    if code == 0:
        code, text = train(job, data, batch, f"{request['out']}/run", **taught)
    peak = size("VmHWM") - before
    shutil.rmtree(request["out"])  # hundreds of runs would fill a disk
    return {"code": code, "text": text, "batch": batch, "estimate": job.memory.at(batch), "peak": peak}


def squeeze(request: dict[str, Any]) -> dict[str, Any]:
    """Train with so many bytes of address space on top of what there is."""
    job, shape = work(request)
    data = some(request["batch"], shape, 10)
    limit = size("VmSize") + request["room"]
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    code, text = train(job, data, request["batch"], request["out"], **request.get("options", {}))
    return {"code": code, "text": text}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Of a child, so that each begins with as little."""
    reads, writes = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            found = {"measure": measure, "squeeze": squeeze}[request["do"]](request)
            os.write(writes, json.dumps(found).encode())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as pipe:
        said = pipe.read()
    status = os.waitpid(pid, 0)[1]
    return json.loads(said) if said else {"code": -1, "text": f"the child ended with {status}"}


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)

"""Run folders one file of which would run code if anything in it were run, opened in every way, under a hook that ends the process.

python gadget_runs.py FOLDER: prints how often one was opened in which way, and how many were refused.

`model.py` is not among the files: a run folder's network is imported from it, as docs/training.md says.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import pickle
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import torch
import torch._dynamo  # optimisers load it at their first step
from gadgets import CONTAINERS, payloads
from harness import few, go, job
from test_cifar import MARK

from archdsl.recipe import Recipe
from archdsl.recipe.records import Distill
from archdsl.train import checkpoint, reopened, run, stored
from archdsl.train.checkpoint import MANIFEST, STATE, TRAINING, WEIGHTS
from archdsl.train.trouble import TrainTrouble

FORBIDDEN = ("import", "subprocess.", "socket.", "ctypes.", "pickle.", "marshal.", "os.system", "os.exec", "os.fork")
FORBIDDEN += ("os.posix_spawn", "os.spawn", "os.putenv", "os.kill")
IMPORTED = ("model.py", "teacher.py")
CHECKPOINT = (WEIGHTS, TRAINING, STATE, MANIFEST)
BESIDE = (
    *(stored.RECIPE, stored.CONFIG, stored.NETWORK, stored.PLAN, stored.ENVIRONMENT, stored.METRICS),
    stored.NORMALIZATION,
)
RESUMED = 40  # so many gadgets fewer: to resume takes longer


def safetensors(payload: bytes) -> bytes:
    """What looks like a file of weights, with the gadget for a header and for a tensor."""
    header = json.dumps({"__metadata__": {"pickle": payload.decode("latin1")}, "x": tensor(len(payload))}).encode()
    return len(header).to_bytes(8, "little") + header + payload


def tensor(size: int) -> dict[str, object]:
    return {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}


def text(payload: bytes) -> bytes:
    """JSON that says what it would like to be."""
    said = payload.decode("latin1")
    return json.dumps({"py/object": "os.system", "__reduce__": said, "progress": said, "recipe": said}).encode()


def table(payload: bytes) -> bytes:
    """Metrics whose numbers are texts."""
    names = "epoch,step,lr,train_loss,train_error,validation_error,test_loss,test_error,seconds"
    return names.encode() + b"\n" + b",".join([payload.replace(b"\n", b" ")] * 9) + b"\n"


FORMS = {**CONTAINERS, "safetensors": safetensors, "json": text, "csv": table}


def sealed(place: Path) -> None:
    """Write the manifest that belongs to the files: who writes one file can write the other."""
    files = {}
    for name in (WEIGHTS, TRAINING, STATE):
        data = (place / name).read_bytes()
        files[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest = {"step": checkpoint.step_of(place), "files": files}
    (place / MANIFEST).write_bytes(checkpoint._sealed(manifest))


def resume(out: Path) -> str:
    return ended(*go(out, job(RECIPE), resume=True))


def open_again(out: Path) -> str:
    """As `eval`, `predict` and `export` do, and the report."""
    try:
        found = stored.load(out)
        reopened.reopen(found)
        reopened.normalization(found, torch.device("cpu"))
    except TrainTrouble as trouble:
        return ended(3, f"error: {trouble}\n")
    return "taken"


def learn_from(out: Path) -> str:
    """With `--teacher`."""
    student = out.with_name("student")
    shutil.rmtree(student, ignore_errors=True)
    return ended(*go(student, replace(job(LEARNING), teacher=job(RECIPE)), teacher=out))


RECIPE = Recipe(epochs=1, batch=100)
LEARNING = Recipe(epochs=1, batch=100, loss=Distill(), teacher="Tiny()")
WAYS: dict[str, Callable[[Path], str]] = {"resumed": resume, "opened again": open_again, "learned from": learn_from}


def ended(code: int, said: str) -> str:
    """Taken where the file is none that is read, or written anew; refused in one line; anything else is wrong."""
    if code == 0:
        return "taken"
    assert code in (1, 3), (code, said)  # 1: the weights of another network
    assert sum(line.startswith("error: ") for line in said.splitlines()) == 1, said
    return "refused"


armed = False


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """The audit hook. What opens a run folder imports its module and writes into it, and does nothing else."""
    if not armed:
        return
    subject = str(arguments[0]) if arguments else ""
    writes = event == "open" and len(arguments) == 3 and isinstance(arguments[2], int) and arguments[2] & 3
    elsewhere = subject.startswith("/") and not subject.startswith((os.getcwd(), "/proc/", "/dev/"))
    runs = event in ("exec", "compile") and not any(name in str(arguments) for name in IMPORTED)
    if event.startswith(FORBIDDEN) or runs or (writes and (elsewhere or MARK in subject)):
        os.write(2, f"{event} {arguments!r}\n".encode())
        os._exit(99)


def attacks(out: Path) -> Iterator[tuple[Path, bool]]:
    """Each file of the run, and whether the manifest is made to fit."""
    (place,) = checkpoint.finished(out)
    yield from ((out / name, False) for name in BESIDE)
    yield from ((place / name, False) for name in CHECKPOINT)
    yield from ((place / name, True) for name in CHECKPOINT if name != MANIFEST)


def opened(way: str, out: Path, path: Path, data: bytes, seals: bool) -> str:
    """What comes of it when the folder is opened with `data` in place of one of its files."""
    global armed
    path.write_bytes(data)
    if seals:
        sealed(path.parent)
    armed = True
    try:
        return WAYS[way](out)
    finally:
        armed = False


def main(root: Path) -> None:
    global armed
    torch.set_num_threads(1)
    run.load = few
    stored.TypeAdapter = cache(stored.TypeAdapter)  # each compiles the annotations of our own classes
    os.chdir(root)
    whole, out = root / "whole", root / "run"
    assert go(whole, job(RECIPE))[0] == 0
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"):  # which json tries
        codecs.lookup(encoding)
    for way in WAYS.values():  # whatever is imported late is imported before the hook is set
        shutil.copytree(whole, out, dirs_exist_ok=True)
        assert way(out) == "taken"
    sys.addaudithook(watch)
    if "control" in sys.argv[2:]:
        armed = True
        pickle.loads(payloads()[0])
    files = [wrap(payload) for payload in payloads() for wrap in FORMS.values()]
    count: Counter[str] = Counter()
    for path, seals in attacks(whole):
        for way in WAYS:
            for data in files[:: RESUMED if way != "opened again" else 1]:
                shutil.rmtree(out)
                shutil.copytree(whole, out)
                what = opened(way, out, out / path.relative_to(whole), data, seals)
                count[f"{way}, {what}"] += 1
                # a manifest that does not fit is never gone by, whoever opens the run
                assert what == "refused" or seals or path.parent == whole, (way, path, data)
    assert not list(root.rglob(MARK))
    print(json.dumps(count))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Files that would run code if anything in them were run, through every reader, under a hook that ends the process.

python gadgets.py FOLDER: prints how many were refused.
"""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matfiles import HEADER, element, packed, svhn
from PIL import Image
from test_cifar import GADGETS, TEXTS
from test_idx import contents

from archdsl.train.data import Request, load
from archdsl.train.data.pictures import Frame
from archdsl.train.trouble import DataTrouble

FORBIDDEN = ("exec", "compile", "import", "subprocess.", "socket.", "ctypes.", "pickle.find_class", "os.")
HARMLESS = ("os.listdir", "os.scandir")
PROTOCOLS = (0, 2, 4)


def payloads() -> list[bytes]:
    made = [pickle.dumps(gadget, protocol) for gadget in GADGETS for protocol in PROTOCOLS]
    return [*made, *(text for text in TEXTS if len(text) > 20)]


def npy(payload: bytes) -> bytes:
    """An array of objects, as numpy saves them."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + payload


def pt(payload: bytes) -> bytes:
    """What torch saves."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", payload)
        archive.writestr("archive/version", "3")
    return out.getvalue()


def mat(payload: bytes) -> bytes:
    """An opaque object in a MATLAB file."""
    flags = element(6, struct.pack("<II", 17, 0))
    return HEADER + packed(
        element(14, flags + element(5, struct.pack("<ii", 1, 1)) + element(1, b"X") + element(2, payload))
    )


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {"plain": bytes, "npy": npy, "mat": mat, "pt": pt}


def sets(root: Path) -> dict[str, Path]:
    """A whole set for each reader, and the file of it that is replaced."""
    cifar = root / "cifar-10-batches-py"
    cifar.mkdir(parents=True)
    batch = pickle.dumps({b"labels": [1, 2], b"data": np.zeros((2, 3072), np.uint8)}, 2)
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"):
        (cifar / name).write_bytes(batch)
    (cifar / "batches.meta").write_bytes(pickle.dumps({b"label_names": [b"name%d" % i for i in range(10)]}, 2))
    for part in ("train", "test"):
        (root / f"{part}_32x32.mat").write_bytes(svhn(3)[0])
        (root / part / "a").mkdir(parents=True)
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(root / part / "a" / "x.png")
    for name, data in contents().items():
        (root / name).write_bytes(data)
    return {
        "cifar10": cifar / "test_batch",
        "svhn-train": root / "train_32x32.mat",
        "mnist": root / "train-images-idx3-ubyte",
        "folder": root / "train/a/x.png",
    }


def read(name: str, root: Path) -> None:
    images = load(name, Request(root, unofficial=True, frame=Frame(1, 8, 8)))
    list(images.train.in_order(10))


armed = False


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """The audit hook: while a reader works nothing may be run, imported, connected to, or opened for writing."""
    if not armed:
        return
    writes = event == "open" and len(arguments) == 3 and isinstance(arguments[2], int) and arguments[2] & 3
    if writes or (event.startswith(FORBIDDEN) and event not in HARMLESS):
        os.write(2, f"{event} {arguments!r}\n".encode())
        os._exit(99)


def refused(name: str, root: Path, path: Path, data: bytes) -> bool:
    """Whether the reader of `name` refuses the set with `data` in place of one of its files."""
    global armed
    path.write_bytes(data)
    armed = True
    try:
        read(name, root)
    except DataTrouble:
        return True
    finally:
        armed = False
    return False


def main(root: Path) -> None:
    global armed
    replaced = sets(root)
    for name, path in replaced.items():
        sound = path.read_bytes()
        read(name, root)  # whatever is imported late is imported before the hook is set
        refused(name, root, path, b"")
        path.write_bytes(sound)
    sys.addaudithook(watch)
    if "control" in sys.argv[2:]:
        armed = True
        pickle.loads(payloads()[0])
    files = [wrap(payload) for payload in payloads() for wrap in CONTAINERS.values()]
    count = 0
    for name, path in replaced.items():
        sound = path.read_bytes()
        count += sum(refused(name, root, path, data) for data in files)
        path.write_bytes(sound)
        read(name, root)
    print(f"{count} of {len(files) * len(replaced)} refused")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

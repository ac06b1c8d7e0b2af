"""How the files of published data sets are named: shared by those who read them and those who fetch them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """The files of one form of CIFAR; where a label has a coarse one in front, the fine one is the last."""

    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    names: str
    labels: bytes = b"labels"
    label_names: bytes = b"label_names"
    label_bytes: int = 1
    classes: int = 10

    @property
    def files(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.train, *self.test, self.names)


def _batches(ending: str) -> tuple[str, ...]:
    return tuple(f"data_batch_{n}{ending}" for n in range(1, 6))


FORMS: dict[str, dict[str, Form]] = {
    "cifar10": {
        "python": Form("cifar-10-batches-py", _batches(""), ("test_batch",), "batches.meta"),
        "binary": Form("cifar-10-batches-bin", _batches(".bin"), ("test_batch.bin",), "batches.meta.txt"),
    },
    "cifar100": {
        "python": Form(
            "cifar-100-python", ("train",), ("test",), "meta", b"fine_labels", b"fine_label_names", classes=100
        ),
        "binary": Form(
            "cifar-100-binary", ("train.bin",), ("test.bin",), "fine_label_names.txt", label_bytes=2, classes=100
        ),
    },
}


def folders(name: str) -> tuple[str, ...]:
    """Where single files of the data set `name` may lie, below the directory of data; they are fetched to the first."""
    return ("svhn", "svhn-train") if name == "svhn-train" else (name,)

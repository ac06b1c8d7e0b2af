"""The 1,797 handwritten digits that scikit-learn brings along, for a run of seconds without a download.

A part of Alpaydin & Kaynak 1998, Optical Recognition of Handwritten Digits. The 8×8 images lie enlarged in 32×32, each
pixel four by four, so that networks for MNIST and CIFAR take them (the latter with one input channel).
"""

# scikit-learn need not be there, and has no annotations
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from archdsl.train.data.images import Images, InMemory, Request
from archdsl.train.trouble import DataTrouble

TRAIN = 1437  # four of five; the rest was written by other hands
DARKEST, LARGER = 16, 4


def digits(_: Request) -> Images:
    """1,437 training and 360 test images."""
    given = _given()
    grey: NDArray[np.float64] = given.images
    pixels = (grey * (255 / DARKEST)).round().astype(np.uint8)
    pixels = pixels.repeat(LARGER, 1).repeat(LARGER, 2)[..., None]
    whole = InMemory(torch.tensor(pixels), torch.tensor(given.target.astype(np.int64)))
    parts = whole.part(0, TRAIN), whole.part(TRAIN, len(whole))
    return Images("digits", *parts, tuple("0123456789"), epochs=20)


def _given() -> Any:
    try:
        from sklearn.datasets import load_digits

        return cast("Any", load_digits())
    except Exception as error:  # a library that does not go with another one fails in any way
        if isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] == "sklearn":
            raise DataTrouble(
                "digits comes with scikit-learn, which is not installed: pip install scikit-learn"
            ) from None
        reason = ascii(str(error).partition("\n")[0])[1:-1][:200]
        raise DataTrouble(
            f"digits comes with scikit-learn, which is installed but does not work: {type(error).__name__}: {reason}"
        ) from None

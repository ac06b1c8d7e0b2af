"""Decoding one picture out of a file that nobody vouches for: bounded in bytes and pixels, one kind of exception."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from archdsl.fsio import FileTrouble, read_limited
from archdsl.train.trouble import DataTrouble

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".webp"}
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "WEBP")
LARGEST_FILE = 64 * 2**20
MOST_PIXELS = 50_000_000  # 150 MB as RGB; a camera has half of it
_DEEP = ("I", "F")  # modes with more than eight bits, which Pillow would cut off instead of scaling


@dataclass(frozen=True)
class Frame:
    """What every picture is brought to."""

    channels: int
    """1 is grey, 3 is RGB."""
    height: int
    width: int

    def read(self, path: Path) -> NDArray[np.uint8]:
        """The picture as [H, W, C]: its middle, cut to the frame's proportions and resized (bilinear, antialiased).

        Raises `DataTrouble` with the path.
        """
        try:
            data = read_limited(path, LARGEST_FILE)
        except FileTrouble as trouble:
            raise DataTrouble(str(trouble)) from None
        try:
            return self._decoded(data)
        except DataTrouble as trouble:
            raise DataTrouble(f"{path}: {trouble}") from None
        except Exception as error:  # a decoder fails in as many ways as a file can be damaged
            raise DataTrouble(f"{path}: not a picture that can be read ({_reason(error)})") from None

    def _decoded(self, data: bytes) -> NDArray[np.uint8]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a size that is judged below, of damaged EXIF that nobody reads
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
            if image.width * image.height > MOST_PIXELS:
                size = f"{image.width:,}×{image.height:,}"
                raise DataTrouble(f"a picture of {size} pixels, over the limit of {MOST_PIXELS:,}")
            if image.mode.startswith(_DEEP):
                raise DataTrouble(f"more than eight bits a channel (Pillow's mode {image.mode})")
            image = image.convert("L" if self.channels == 1 else "RGB")
        fitted = ImageOps.fit(image, (self.width, self.height), Image.Resampling.BILINEAR)
        return np.asarray(fitted, np.uint8).reshape(self.height, self.width, self.channels)


def _reason(error: Exception) -> str:
    """Pillow names the buffer that it was given; that says nothing."""
    text = str(error).partition("<_io.BytesIO")[0].strip() or type(error).__name__
    return ascii(text.splitlines()[0])[1:-1][:120]

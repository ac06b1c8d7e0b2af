"""Decoding one picture out of a file that nobody vouches for: bounded in bytes and pixels, one kind of exception."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from archdsl.fsio import FileTrouble, read_limited
from archdsl.train.trouble import DataTrouble
from archdsl.visible import visible

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".webp"}
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "WEBP")
LARGEST_FILE = 64 * 2**20
MOST_PIXELS = 50_000_000  # 150 MB as RGB; a camera has half of it
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PPM = (b"P2", b"P3", b"P5", b"P6")
_PPM_HEADER = 10_000  # bytes; comments may lie in it
_COMMENT = re.compile(rb"#[^\r\n]*")
CHANNELS = {1: "L", 3: "RGB"}
"""How many a picture may be read with, and Pillow's name for that."""
_DEEP = ("I", "F")  # modes with more than eight bits, which Pillow would cut off instead of scaling
_MOVING = ("GIF", "PNG", "WEBP")  # formats whose frames are an animation; those of a JPEG are previews


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
            raise DataTrouble(visible(f"{path}: {trouble}")) from None
        except Exception as error:  # a decoder fails in as many ways as a file can be damaged
            raise DataTrouble(visible(f"{path}: not a picture that can be read ({_reason(error)})")) from None

    def _decoded(self, data: bytes) -> NDArray[np.uint8]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a size that is judged below, of damaged EXIF
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
            if image.width * image.height > MOST_PIXELS:
                size = f"{image.width:,}×{image.height:,}"
                raise DataTrouble(f"a picture of {size} pixels, over the limit of {MOST_PIXELS:,}")
            _check_kind(image, data)
            image = _on_black(_upright(image)).convert(CHANNELS[self.channels])
        fitted = ImageOps.fit(image, (self.width, self.height), Image.Resampling.BILINEAR)
        return np.asarray(fitted, np.uint8).reshape(self.height, self.width, self.channels)


def _check_kind(image: Image.Image, data: bytes) -> None:
    """Refuse what could only be read in part."""
    if image.mode.startswith(_DEEP) or _is_deep(data):
        raise DataTrouble("more than eight bits a channel")
    if image.format in _MOVING and getattr(image, "is_animated", False):
        raise DataTrouble("an animation; expected one picture")


def _is_deep(data: bytes) -> bool:
    """Whether the header says so where Pillow gives eight bits all the same: PNG has their number, PPM the largest."""
    if data.startswith(b"\x89PNG"):
        return data[24:25] == b"\x10"
    words = _COMMENT.sub(b" ", data[:_PPM_HEADER]).split(maxsplit=4)[:4]
    return len(words) == 4 and words[0] in _PPM and words[3].isdigit() and int(words[3][:9]) > 255


def _upright(image: Image.Image) -> Image.Image:
    """As the camera was held; EXIF that is damaged says nothing."""
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # what is in it may be of any type and length
        turn = None
    return image if turn is None else image.transpose(turn)


def _on_black(image: Image.Image) -> Image.Image:
    """What shows through is black: beneath transparent pixels there may be anything."""
    if not image.has_transparency_data:
        return image
    seen = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", seen.size, "black"), seen)


def _reason(error: Exception) -> str:
    """Pillow names the buffer that it was given; that says nothing."""
    text = str(error).partition("<_io.BytesIO")[0].strip() or type(error).__name__
    return ascii(text.splitlines()[0])[1:-1][:120]

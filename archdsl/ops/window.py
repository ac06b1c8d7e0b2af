"""What a sliding window does to one direction of a map: sizes, sentences and pixels it never reaches."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from archdsl.ops.attrs import by
from archdsl.ops.op import Dim, Misfit, Window


class Slide(NamedTuple):
    """A window along one direction: its kernel, stride, dilation and the padding before and after."""

    kernel: Dim
    stride: Dim = 1
    before: Dim = 0
    after: Dim = 0
    dilation: Dim = 1

    @property
    def span(self) -> Dim:
        """How many positions the kernel reaches over."""
        return self.kernel if self.dilation == 1 else self.dilation * (self.kernel - 1) + 1

    def outputs(self, size: Dim) -> Dim:
        """(H + 2P - F)//S + 1, with the same size object back where the window keeps it."""
        if self.before + self.after == self.span - 1:
            return size if self.stride == 1 else (size - 1) // self.stride + 1
        room = size + (self.before + self.after) - self.span
        return room + 1 if self.stride == 1 else room // self.stride + 1

    def outputs_ceil(self, size: Dim) -> Dim:
        """As `outputs`, rounded up, but no window starts beyond the map and the padding before it."""
        room = size + (self.before + self.after) - self.span
        outputs = (room + self.stride - 1) // self.stride + 1
        return outputs - 1 if (outputs - 1) * self.stride >= size + self.before else outputs

    def arithmetic(self, size: Dim) -> str:
        """The size formula with its numbers."""
        pads = f"2*{self.before}" if self.before == self.after else f"{self.before} + {self.after}"
        exact = Fraction(int(size + self.before + self.after - self.span), int(self.stride)) + 1
        return f"({size} + {pads} - {self.span})/{self.stride} + 1 = {exact}"

    def unread(self, size: Dim) -> int:
        """Real pixels at the far end that no window covers; none where the window is smaller than its stride."""
        if self.span < self.stride:
            return 0
        rest = int(size + self.before + self.after - self.span) % int(self.stride)
        return max(0, rest - int(self.after))


def unfit(high: Slide, wide: Slide, height: Dim, width: Dim) -> Misfit | None:
    """A misfit where the kernel is larger than the padded map."""
    for slide, size in ((high, height), (wide, width)):
        if size + slide.before + slide.after < slide.span:
            dilated = "" if slide.dilation == 1 else f" with dilation {slide.dilation}"
            kernel = f"a {by(high.kernel, wide.kernel)} kernel{dilated}"
            return Misfit(f"{kernel} does not fit a {by(height, width)} map: {slide.arithmetic(size)}")
    return None


def unread_note(high: Slide, wide: Slide, height: Dim, width: Dim) -> tuple[str, ...]:
    """A note where a strided window never sees the last rows or columns."""
    rows, columns = high.unread(height), wide.unread(width)
    if not rows and not columns:
        return ()
    parts = [f"{n} {what}{'s' if n > 1 else ''}" for n, what in ((rows, "row"), (columns, "column")) if n]
    slide, size = (high, height) if rows else (wide, width)
    return (f"the last {' and '.join(parts)} of the {by(height, width)} map are never read: {slide.arithmetic(size)}",)


def step(high: Slide, wide: Slide) -> Window:
    """The receptive-field step of the wider direction."""
    return Window(max(int(high.span), int(wide.span)), Fraction(max(int(high.stride), int(wide.stride))))

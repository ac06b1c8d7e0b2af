"""The options of `archdsl bench`. No torch in here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Asked(BaseModel):
    """What is to be measured, and for how long."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    batch: Annotated[int, Field(ge=2, le=65_536)] | None = None
    """Images in a step; without a number the recipe's."""
    seconds: Annotated[float, Field(gt=0, le=86_400)] = 25.0
    """About how long the measurement takes, once all is set up."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    compiled: bool = False
    """Measure `torch.compile` on a CPU, too: it compiles for a minute."""
    workers: Annotated[int, Field(ge=0, le=64)] = 2
    """Processes that prepare the plain loop's images; with 0 the loop does it between steps."""
    cpu_time: bool = False
    """Count CPU seconds of this process, which do not grow when others take the cores."""

    @model_validator(mode="after")
    def _sees_all_work(self) -> Asked:
        if self.cpu_time and (self.workers or self.device == "cuda"):
            raise ValueError("--cpu-time sees this process alone: give --workers 0, and no GPU")
        return self

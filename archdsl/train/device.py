"""Where and how the arithmetic is done: decided once, with reasons, and asked by everything else."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import os
import platform
import shutil
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch

from archdsl.train.distributed import neighbours
from archdsl.train.job import TrainConfig
from archdsl.train.trouble import Misfit

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Hardware:
    """What the machine offers."""

    cores: int
    cuda: bool = False
    cuda_name: str = ""
    cuda_bf16: bool = False
    cpu_bf16: bool = False
    """Whether it is faster than fp32."""
    compiler: bool = False

    @staticmethod
    def found() -> Hardware:
        """This machine."""
        cuda = torch.cuda.is_available()
        return Hardware(
            cores=_cores(),
            cuda=cuda,
            cuda_name=torch.cuda.get_device_name() if cuda else "",
            cuda_bf16=cuda and torch.cuda.is_bf16_supported(including_emulation=False),
            cpu_bf16=_cpu_has_fast_bf16(),
            compiler=shutil.which(os.environ.get("CXX", "g++")) is not None,
        )


def _cores() -> int:
    """The cores this process may use: fewer than the machine has in a container, or shared with other ranks."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(cores // neighbours(), 1)


def _cpu_has_fast_bf16() -> bool:
    """Matrix units have, and AMD's vector units; in Intel's, a product of matrices takes twice as long as in fp32."""
    flags = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    vectors = flags.get("avx512_bf16") and "intel" not in str(flags.get("cpu_name", "")).lower()
    return bool(vectors or flags.get("amx_bf16") or flags.get("amx_tile"))


@dataclass(frozen=True)
class Device:
    """The decisions. `reasons` says, in words for the plan, why each was made."""

    device: torch.device
    precision: torch.dtype
    engine: str
    threads: int
    name: str
    reasons: tuple[str, ...] = ()

    @property
    def layout(self) -> torch.memory_format:
        """Channels last is 10 to 20 % faster for convolutions on the CPU, and what tensor cores want."""
        return torch.channels_last

    @property
    def reads_are_free(self) -> bool:
        """Whether looking at a number each step costs nothing. On a GPU it would wait for the GPU."""
        return self.device.type == "cpu"

    @property
    def scales_loss(self) -> bool:
        """fp16 has too few exponents for gradients: the loss is scaled up, the gradients down again."""
        return self.precision is torch.float16

    @property
    def precision_name(self) -> str:
        """As the command line calls it: fp32, bf16 or fp16."""
        return {dtype: name for name, dtype in _DTYPES.items()}[self.precision]

    def autocast(self) -> AbstractContextManager[object]:
        """The context of the forward pass."""
        if self.precision is torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.precision)

    def full_precision(self, why: str) -> Device:
        """The same with fp32, for what has no other kernel."""
        reasons = (f"fp32: {self.precision_name} failed ({why})", *self.reasons[1:])
        return replace(self, precision=torch.float32, reasons=reasons)

    def __str__(self) -> str:
        where = self.name if self.device.type == "cuda" else f"{self.threads} thread{'s' * (self.threads != 1)}"
        return f"{self.device.type} ({where}), {self.precision_name}, channels last, {self.engine}"


def choose(config: TrainConfig, hardware: Hardware) -> Device:
    """The device for these options on this hardware, or why it cannot be had."""
    if config.device == "cuda" and not hardware.cuda:
        raise Misfit("device cuda was asked for, but torch sees no CUDA device")
    cuda = hardware.cuda and config.device != "cpu"
    precision, why_precision = _precision(config.precision, cuda, hardware)
    engine, why_engine = _engine(config.engine, cuda, hardware)
    return Device(
        device=torch.device("cuda" if cuda else "cpu"),
        precision=_DTYPES[precision],
        engine=engine,
        threads=config.threads or hardware.cores,
        name=hardware.cuda_name if cuda else platform.machine(),
        reasons=(f"{precision}: {why_precision}", f"{engine}: {why_engine}"),
    )


def _precision(asked: str, cuda: bool, hardware: Hardware) -> tuple[str, str]:
    if asked == "fp16" and not cuda:
        raise Misfit("precision fp16 needs a CUDA device")
    if asked != "auto":
        return asked, "as asked" + _warning(asked, cuda, hardware)
    if cuda:
        return ("bf16", "the GPU has it") if hardware.cuda_bf16 else ("fp16", "the GPU has no bf16")
    return ("bf16", "the CPU has it") if hardware.cpu_bf16 else ("fp32", "the CPU has no fast bf16")


def _warning(asked: str, cuda: bool, hardware: Hardware) -> str:
    slow = asked == "bf16" and not cuda and not hardware.cpu_bf16
    return ", though this CPU is faster in fp32" if slow else ""


def _engine(asked: str, cuda: bool, hardware: Hardware) -> tuple[str, str]:
    if asked == "compile" and not hardware.compiler:
        return "eager", "compile was asked for, but there is no C++ compiler"
    if asked == "graph" and not cuda:
        return "eager", "graph was asked for, but there is no CUDA device"
    if asked != "auto":
        return asked, "as asked"
    if not cuda:
        return "eager", "on the CPU compiling takes longer than it saves in a short run"
    return ("compile", "fewer kernel launches") if hardware.compiler else ("eager", "there is no C++ compiler")


def apply(device: Device, deterministic: bool = False) -> None:
    """Make the process-wide settings that go with the device."""
    torch.set_num_threads(device.threads)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs to be so, too
        torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = not torch.are_deterministic_algorithms_enabled()  # it may choose another each time
    torch.set_float32_matmul_precision("high")

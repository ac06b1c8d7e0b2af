"""The trainer: the only part of archdsl that imports torch. `run.run` is its front door."""

import os

# OpenMP threads that spin at a barrier lose a factor of ten as soon as another process wants the core; sleeping ones
# cost nothing measurable. It is read once, when torch is loaded, so it is set before anything here imports torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if "WORLD_SIZE" in os.environ:
    # Each rank would warn that it looks for gradients that are not missing; it looks because they may be.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

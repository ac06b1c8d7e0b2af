"""The trainer: the only part of archdsl that imports torch. `run.run` is its front door."""

import os

# Threads of OpenMP that sleep between two operations cost a seventh of the rate of training. Those that wait as long as
# they do by default lose most of it as soon as another process wants the core. So they wait, but a thirtieth of that.
# It is read once, when torch is loaded, so it is set before anything here imports torch.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

if "WORLD_SIZE" in os.environ:
    # Each rank would warn that it looks for gradients that are not missing; it looks because they may be.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

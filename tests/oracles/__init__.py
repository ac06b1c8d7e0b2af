"""Independent transcriptions of the papers' networks, for tests only.

Every module here is written from the papers' descriptions, never from a spec, so that agreement with a generated module
means something. `ORACLES` maps the names of the reference table to constructors; `compare` holds two modules together.
"""

from .table import ORACLES

__all__ = ["ORACLES"]

"""What is computed from a checked network: exact counts, each distinct block analysed once. Nothing here runs it."""

from archdsl.analyses.cost import Cost, cost
from archdsl.analyses.depth import depth
from archdsl.analyses.kept import Bytes
from archdsl.analyses.macs import Macs, macs
from archdsl.analyses.memory import Memory, memory
from archdsl.analyses.params import Params, params
from archdsl.analyses.receptive_field import Field, fields

__all__ = [
    "Bytes",
    "Cost",
    "Field",
    "Macs",
    "Memory",
    "Params",
    "cost",
    "depth",
    "fields",
    "macs",
    "memory",
    "params",
]

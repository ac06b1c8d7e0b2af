"""How much archdsl takes on: every bound in one table, so that no text can make it slow, large or wrong.

A text over a limit is refused with the limit's name and its place. No number is near what a real network needs.
"""

from __future__ import annotations

from archdsl.record import record


@record
class Limit:
    """One bound: at most `value` of `unit`."""

    name: str
    value: int
    unit: str
    doc: str

    def __str__(self) -> str:
        return f"{self.value:,} {self.unit}"


SOURCE = Limit("source", 256 * 1024, "bytes", "The text of one file, and of standard input.")
FILES = Limit("files", 64, "files", "Files that one file imports, directly or through others.")
TOKENS = Limit("tokens", 50_000, "tokens", "Words, numbers and signs of one file.")
DEPTH = Limit("depth", 64, "levels of brackets", "Brackets and braces inside each other, counted before parsing.")
NESTING = Limit("nesting", 500, "levels", "Operators, calls, choices and brackets inside each other.")
NAME = Limit("name", 64, "characters", "Letters of a name; names are ASCII.")
DIGITS = Limit("digits", 18, "digits", "Digits of a number as written, before and after the point together.")
SIZE = Limit("size", 2**31 - 1, "at most", "A size, count or stride: what PyTorch takes.")
NUMBER = Limit("number", 256, "bits", "Numerator and denominator of a value on the way to a size.")
EXPONENT = Limit("exponent", 64, "at most", "The exponent of a power.")
CALLS = Limit("calls", 64, "calls inside each other", "Blocks, functions and rows of layers inside each other.")
ROWS = Limit("rows", 8, "rows", "Repeats and rows of layers inside each other, in one block or network.")
LEVELS = Limit("levels", 1_500, "levels", "Expressions evaluated inside each other, over all calls.")
STEPS = Limit("steps", 200_000, "steps", "Expressions evaluated for one file, items listed; equal calls count once.")
ITEMS = Limit("items", 10_000, "items", "Parts of a list or a layer, those of its parts included.")
NODES = Limit("nodes", 10_000, "nodes", "Distinct layers of all networks of a file; repeats count once.")
REPEATS = Limit("repeats", 10_000_000, "copies", "Copies of a layer in a row.")
RANK = Limit("rank", 8, "dimensions", "Dimensions of a tensor.")
PARAMETERS = Limit("parameters", 2**48, "parameters", "Parameters of a network.")
ACTIVATIONS = Limit("activations", 2**40, "elements", "Elements of one tensor, for one sample.")
OVERRIDES = Limit("overrides", 64, "parameters", "Parameters given on the command line.")
PATHS = Limit("paths", 10_000, "files", "Files that one command reads.")
DIAGNOSTICS = Limit("diagnostics", 100, "findings", "Findings that one run shows; the rest are counted.")
MESSAGE = Limit("message", 2048, "characters", "A title, a label, a note or a hint; the rest is cut off.")
JSON = Limit("json", 16 * 1024 * 1024, "bytes", "The JSON form of a checked network, read back.")

LIMITS = (
    SOURCE,
    FILES,
    TOKENS,
    DEPTH,
    NESTING,
    NAME,
    DIGITS,
    SIZE,
    NUMBER,
    EXPONENT,
    CALLS,
    ROWS,
    LEVELS,
    STEPS,
    ITEMS,
    NODES,
    REPEATS,
    RANK,
    PARAMETERS,
    ACTIVATIONS,
    OVERRIDES,
    PATHS,
    DIAGNOSTICS,
    MESSAGE,
    JSON,
)

"""The recipe of a run: augmentation, optimiser, schedule and the rest, as small validated records.

A recipe reaches us as plain data from the language (`RawCall`, exact rationals, lists). `validate` turns it into a
`Recipe` or says everything that is wrong with it. A choice such as `sgd(...)` is one record in `records` and one branch
in the trainer; what the trainer cannot run has no record.
"""

from archdsl.recipe.border import RawCall, validate
from archdsl.recipe.override import override
from archdsl.recipe.problem import Problem
from archdsl.recipe.records import Recipe

__all__ = ["Problem", "RawCall", "Recipe", "override", "validate"]

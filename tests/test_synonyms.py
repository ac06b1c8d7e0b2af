"""The names of other frameworks lead to names that exist."""

from __future__ import annotations

from archdsl import synonyms
from archdsl.ops import OPS


def test_every_synonym_leads_to_a_primitive_or_a_parameter() -> None:
    parameters = {p.name for op in OPS.values() for p in op.params}
    assert set(synonyms._LAYERS.values()) <= set(OPS)
    assert set(synonyms._PARAMETERS.values()) <= parameters


def test_case_and_underscores_do_not_matter() -> None:
    assert [synonyms.synonym(name, OPS) for name in ("Conv2d", "conv_2D", "BATCHNORM2d")] == ["conv", "conv", "bn"]
    assert synonyms.synonym("conv", OPS) is None
    assert synonyms.synonym("Conv2d", {"bn"}) is None

"""R40: an export gives the same answers and loads without archdsl.

Random programs over all primitives, and networks of the zoo: each is exported, read and run by another process that
cannot import archdsl. Promised: 200 networks; bit-equal where the module goes along, within 1e-5 elsewhere.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import safetensors.torch
import torch
from exporting import of_source, of_spec, random_network
from soak import Tally, shards

from archdsl import deep
from archdsl.train.export import fresh, hub, onnx, safe, table, torch_export, torchscript
from archdsl.train.export.fresh import Trial
from archdsl.train.export.target import Target
from archdsl.train.trouble import Misfit

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel"),
]
BOTH = (onnx.TARGET, torch_export.TARGET)
LIGHT = (torchscript.TARGET, safe.TARGET, hub.TARGET)
LACKING = {"fractional_max_pool": "fractionalmaxpool2d", "adaptive_max_pool2d": "adaptivemaxpool2d"}
SMALL = (
    "network Net() {\n    input image: [3, 8, 8]\n    output label = image -> conv(4, 3) -> flatten -> linear(5)\n}\n"
)
ZOO = ("resnet-20", "shake-shake", "densenet-bc-100-12", "fractalnet-20", "pyramidnet-110-a48", "googlenet")


def trials(seed: int, targets: tuple[Target, ...], folding: bool) -> list[Trial]:
    """A random network in some forms. torch.onnx has neither what draws regions nor adaptive max pooling."""
    made: list[Trial] = []
    for target in targets:
        _, program = random_network(seed)
        try:
            made.append(trial(seed, target, folding and not target.exact))
        except Misfit as refusal:
            text = program.text.replace("_", "").lower()  # a layer is there as a module or as a function
            if target is not onnx.TARGET or not any(
                reason in str(refusal) and layer in text for reason, layer in LACKING.items()
            ):
                raise
    return made


def trial(seed: int, target: Target, folding: bool) -> Trial:
    """For any number of samples; for three where a single one has no answer, as the refusal says."""
    try:
        return table.trial(random_network(seed)[0], target, folding)
    except Misfit as refusal:
        if "has no answer to 1 at once: " not in str(refusal) or "; --batch N asks for" not in str(refusal):
            raise
        return table.trial(replace(random_network(seed)[0], batch=3), target, folding)


def check(made: list[Trial]) -> None:
    """Each answers as it should. A norm that has single numbers gives but rounding, which is no measure of anything."""
    far = {}
    for trial, verdict in zip(made, fresh.verdicts(made), strict=True):
        distance = verdict.relative if trial.subject.batch is None else verdict.difference
        if not distance <= trial.target.largest_difference:
            far[trial.subject.name, trial.target.name, trial.subject.folded] = verdict
    assert far == {}


def run(seeds: range, targets: tuple[Target, ...], folding: bool = False) -> int:
    """How many exports were compared."""
    made = deep.run(lambda: [trial for seed in seeds for trial in trials(seed, targets, folding)])
    check(made)
    return len(made)


def test_random_networks_answer_the_same_elsewhere() -> None:
    assert run(range(20), LIGHT) == 60


def test_random_networks_with_folded_batch_norms() -> None:
    assert run(range(20, 40), (torchscript.TARGET,), folding=True) == 20


def test_random_networks_as_graphs() -> None:
    assert run(range(40, 43), BOTH) >= 5


def test_the_state_that_is_written_is_the_networks_to_the_bit() -> None:
    for seed in range(10):
        found, _ = random_network(seed)
        read = safetensors.torch.load(safe.files(found)["model.safetensors"])
        state = found.module.state_dict()
        assert read.keys() == state.keys()
        assert all(torch.equal(read[name], value) for name, value in state.items())


@pytest.mark.prove
@pytest.mark.promised("R40", of="exports")
@pytest.mark.parametrize("folding", [False, True], ids=["plain", "folded"])
@pytest.mark.parametrize(("first", "count"), shards(200, 10))
def test_two_hundred_networks(first: int, count: int, folding: bool, soak: Tally) -> None:
    soak.seed = f"networks {first} to {first + count - 1}"
    soak.cases += run(range(first, first + count), BOTH + (LIGHT[:1] if folding else LIGHT), folding)


@pytest.mark.prove
@pytest.mark.promised("R40", of="exports")
@pytest.mark.parametrize("target", table.TARGETS)
@pytest.mark.parametrize("name", ZOO)
def test_networks_of_the_zoo(name: str, target: str, soak: Tally) -> None:
    chosen = table.TARGETS[target]
    check([table.trial(of_spec(name), chosen, folding) for folding in {False, not chosen.exact}])
    soak.cases += 1 if chosen.exact else 2


def test_another_answer_is_noticed() -> None:
    """The negative control: one bit of one weight, and one part in ten thousand of an answer."""
    found, _ = of_source("net", SMALL)
    made = table.trial(found, safe.TARGET)
    weights = bytearray(made.files["model.safetensors"])
    weights[-2] ^= 64
    with pytest.raises(AssertionError):
        check([replace(made, files={**made.files, "model.safetensors": bytes(weights)})])
    traced = table.trial(found, torchscript.TARGET)
    off = [replace(case, expected=tuple(part * 1.0001 for part in case.expected)) for case in traced.cases]
    with pytest.raises(AssertionError):
        check([replace(traced, cases=off)])

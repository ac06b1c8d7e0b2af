"""Networks to be exported: weights, and statistics of batch norms, of which nothing is 0 or 1."""

from __future__ import annotations

from pathlib import Path

import torch
from networks.generator import program
from networks.oracle import Compiled, compiled
from torch import nn

from archdsl.train.export import subject
from archdsl.train.export.subject import Subject

SPECS = Path(__file__).parents[2] / "specs"


def stirred(found: Subject) -> Subject:
    """Batch norms as after some training: fresh ones change nothing in evaluation."""
    generator = torch.Generator().manual_seed(7)
    for part in found.module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            means, scales = (part.running_mean, part.bias), (part.running_var, part.weight)
            for values in (values for values in means if values is not None):
                values.data.copy_(torch.randn(values.shape, generator=generator) / 4)
            for values in (values for values in scales if values is not None):
                values.data.copy_(torch.rand(values.shape, generator=generator) / 2 + 0.75)
    return found


def of_source(name: str, source: str, seed: int = 0) -> tuple[Subject, Compiled]:
    """The network of a program."""
    made = compiled(source)
    sizes = [wire.values for wire in made.graph.inputs]
    return stirred(subject.of_text(name, made.text, sizes, seed)), made


def random_network(seed: int) -> tuple[Subject, Compiled]:
    """A random program's."""
    return of_source(f"net-{seed}", program(seed), seed)


def of_spec(name: str) -> Subject:
    """The first network of a spec."""
    import archdsl

    spec = archdsl.load(str(SPECS / f"{name}.arch"))
    sizes = [wire.values for wire in spec.network.graph.inputs]
    return stirred(subject.of_text(name, spec.module_text(), sizes, 0))

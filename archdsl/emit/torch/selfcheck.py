"""What a generated module does when it is run: it counts its parameters, and goes forward and backward once."""

from __future__ import annotations

from archdsl.emit.torch.pretty import text_literal
from archdsl.emit.torch.view import PyStatement
from archdsl.ir.graph import Graph

_PAD = "    "


def self_check(network: Graph, class_name: str, params: int) -> tuple[PyStatement, ...]:
    """The statements under `if __name__ == "__main__":`."""
    samples = [f"torch.randn(2, {', '.join(map(str, wire.values))})" for wire in network.inputs]
    lines = [f"network = {class_name}()", *_count(params)]
    names = ["sample"] if len(samples) == 1 else [f"sample{n}" for n in range(1, len(samples) + 1)]
    lines += [f"{name} = {sample}" for name, sample in zip(names, samples, strict=True)]
    several = len(network.outputs) + len(network.auxiliaries) > 1
    lines.append(f"outputs = network({', '.join(names)})" if several else f"output = network({', '.join(names)})")
    lines += _backward(several, params > 0)
    lines.append(_report(class_name, several))
    return tuple(PyStatement((_PAD + line,)) for line in lines)


def _count(params: int) -> list[str]:
    literal = f"{params:_}" if params > 9999 else str(params)
    return ["count = sum(p.numel() for p in network.parameters())", f"assert count == {literal}, count"]


def _backward(several: bool, learns: bool) -> list[str]:
    if not learns:
        return []
    return [
        "torch.stack([output.sum() for output in outputs]).sum().backward()" if several else "output.sum().backward()"
    ]


def _report(name: str, several: bool) -> str:
    shape = "[tuple(output.shape) for output in outputs]" if several else "tuple(output.shape)"
    return f'print({text_literal(name)}, f"{{count:,}} parameters, output", {shape})'

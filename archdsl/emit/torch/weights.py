"""Weight initialisation, at the end of the network's constructor: the network's rules first, then those of its blocks.

A rule for a primitive goes over all modules and picks PyTorch's class; a rule for a statement names the field.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from archdsl.emit.torch.codes import Layers, Module, Rule
from archdsl.emit.torch.fields import Field
from archdsl.emit.torch.inits import rule_text
from archdsl.emit.torch.layout import STEP
from archdsl.emit.torch.pretty import statement_lines
from archdsl.emit.torch.view import PyStatement
from archdsl.emit.torch.writer import Written

_BODY = 2 * STEP


@dataclass(frozen=True, slots=True)
class _Action:
    """Statements for all modules of which a condition holds."""

    condition: str
    statements: tuple[PyStatement, ...]


def initialised(classes: Sequence[Written], module: Module) -> list[Written]:
    """The classes, with the rules of all of them in the constructor of the last, the network."""
    *blocks, network = classes
    by_kind = [action for rule in network.code.rules for action in _for_primitive(rule, network, module)]
    own = [s for rule in network.code.rules for s in _for_fields(rule, network, "self", _BODY, module)]
    by_block = [_Action(_is_a([b.view.name]), _of_block(b, module)) for b in blocks if b.code.rules]
    statements = (*_loop(by_kind), *own, *_loop([action for action in by_block if action.statements]))
    return [*blocks, replace(network, view=replace(network.view, initialisation=statements))]


def _of_block(block: Written, module: Module) -> tuple[PyStatement, ...]:
    deep = _BODY + 2 * STEP
    return tuple(s for rule in block.code.rules for s in _for_block(rule, block, deep, module))


def _for_block(rule: Rule, block: Written, indent: int, module: Module) -> Iterator[PyStatement]:
    """A rule of a block, for the block's own layers."""
    if rule.target not in module.layers or _names_statement(rule, block):
        yield from _for_fields(rule, block, "module", indent, module)
        return
    for field in block.fields.listed:
        if field.op == rule.target:
            yield from _of_field(rule, field, f"module.{field.name}", indent, module)
        elif field.code.text.startswith("nn.Sequential("):
            yield from _of_row(rule, f"module.{field.name}", indent, module)


def _names_statement(rule: Rule, written: Written) -> bool:
    return any(field.statement == rule.target for field in written.fields.listed)


def _for_primitive(rule: Rule, network: Written, module: Module) -> Iterator[_Action]:
    """A rule of the network for a kind of layer, wherever it stands."""
    layers = module.layers.get(rule.target)
    if layers is None or _names_statement(rule, network):
        return
    statements = tuple(_on_weights(rule, layers, "module", _BODY + 2 * STEP))
    if statements and layers.classes:
        yield _Action(_is_a(sorted(layers.classes)) + _apart(rule.target, module), statements)


def _apart(target: str, module: Module) -> str:
    """What tells plain from depthwise convolutions, which are one class in PyTorch, where a network has both."""
    if not {"conv", "depthwise"} <= module.layers.keys():
        return ""
    plain = " and (module.groups == 1 or module.groups < module.in_channels)"
    return {"conv": plain, "depthwise": " and module.groups == module.in_channels"}.get(target, "")


def _for_fields(rule: Rule, written: Written, owner: str, indent: int, module: Module) -> Iterator[PyStatement]:
    """A rule for the layers of one statement."""
    for field in written.fields.listed:
        if field.statement == rule.target:
            place = f"{owner}.{field.name}"
            if field.op:
                yield from _of_field(rule, field, place, indent, module)
            else:
                yield from _of_row(rule, place, indent, module)


def _of_field(rule: Rule, field: Field, place: str, indent: int, module: Module) -> Iterator[PyStatement]:
    if field.op == "learned":
        yield _statement(rule_text(rule.how, place, dict(rule.args)), indent)
        return
    yield from _on_weights(rule, module.layers[field.op], place, indent)


def _of_row(rule: Rule, place: str, indent: int, module: Module) -> Iterator[PyStatement]:
    """A rule for layers in a row: for those of its kind, or for all that have such a weight."""
    kinds = [rule.target] if rule.target in module.layers else sorted(module.layers)
    found = [module.layers[kind] for kind in kinds if _paths(rule, module.layers[kind])]
    classes = sorted({name for layers in found for name in layers.classes})
    if not classes:
        return
    inner = [line for s in _on_weights(rule, found[0], "layer", indent + 2 * STEP) for line in s.lines]
    head = f"{' ' * indent}for layer in {place}.modules():"
    yield PyStatement((head, f"{' ' * (indent + STEP)}if {_is_a(classes, 'layer')}:", *inner))


def _on_weights(rule: Rule, layers: Layers, place: str, indent: int) -> Iterator[PyStatement]:
    """The statements for one module's weights; those that some of its kind lack are asked for first."""
    for path in _paths(rule, layers):
        weight = f"{place}.{path}"
        if all(_has(weights, path) for weights in layers.weights):
            yield _statement(rule_text(rule.how, weight, dict(rule.args)), indent)
        else:
            inner = _statement(rule_text(rule.how, weight, dict(rule.args)), indent + STEP)
            yield PyStatement((f"{' ' * indent}if {weight} is not None:", *inner.lines))


def _paths(rule: Rule, layers: Layers) -> list[str]:
    """The attributes that a weight's name means: itself, or those of that name deeper inside."""
    names = dict.fromkeys(name for weights in layers.weights for name in sorted(weights))
    paths = [_inside(name) for name in names if name.rsplit(".", 1)[-1] == rule.weight]
    return list(dict.fromkeys(paths))


def _inside(name: str) -> str:
    """A weight's path in its own layer, without the places in a Sequential before it."""
    return ".".join(part for part in name.split(".") if not part.isdigit())


def _has(weights: frozenset[str], path: str) -> bool:
    return any(_inside(name) == path for name in weights)


def _loop(actions: Sequence[_Action]) -> tuple[PyStatement, ...]:
    """One loop over all modules; rules for the same modules come one after the other."""
    if not actions:
        return ()
    merged: dict[str, list[PyStatement]] = {}
    for action in actions:
        merged.setdefault(action.condition, []).extend(action.statements)
    lines = [f"{' ' * _BODY}for module in self.modules():"]
    for condition, statements in merged.items():
        lines.append(f"{' ' * (_BODY + STEP)}if {condition}:")
        lines.extend(line for statement in statements for line in statement.lines)
    return (PyStatement(tuple(lines)),)


def _is_a(classes: Sequence[str], what: str = "module") -> str:
    return f"isinstance({what}, {' | '.join(classes)})"


def _statement(source: str, indent: int) -> PyStatement:
    return PyStatement(tuple(statement_lines("", ast.parse(source, mode="eval").body, indent)))

"""Arguments to parameters: by place, by name, with what is still open left open."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Union, cast

from archdsl.elaborate import errors
from archdsl.elaborate.derivation import derivation
from archdsl.elaborate.values import UNKNOWN, BlockLayer, OpLayer, Value, described, is_layer
from archdsl.ops.coerce import coerce
from archdsl.ops.op import REQUIRED, Misfit, Param
from archdsl.ops.op import Value as Attr
from archdsl.scalar import Scalar
from archdsl.source import Span
from archdsl.syntax import ast

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from archdsl.elaborate.frame import Frame

# An evaluated argument: its name (None by place), its value, where it stands.
Given = tuple[ast.Name | None, Value, Span]

# What an attribute can be made of.
Plain = Union[Scalar, bool, str, None, tuple["Plain", ...]]

TYPES = ("int", "number", "bool", "text", "list", "layer")


def configure(
    layer: OpLayer | BlockLayer, given: list[Given], frame: Frame, span: Span, written: tuple[ast.Argument, ...] = ()
) -> OpLayer | BlockLayer | None:
    """The layer with further arguments; None where they do not go with it (reported).

    written: the arguments as they stand in the text, for messages that show how a number came about.
    """
    if isinstance(layer, OpLayer) and layer.op.wraps and layer.body is None and given and given[0][0] is None:
        return _wrapping(layer, given, frame, span)
    names = parameter_names(layer)
    bound = match(_title(layer), names, dict(layer.bound), given, frame, span)
    if bound is None:
        return None
    if isinstance(layer, OpLayer):
        new = OpLayer(layer.op, bound, span, layer.body)
        return new if check_op(new, given, frame, written) else None
    called = BlockLayer(layer.block, layer.module, bound, span)
    return called if _types_fit(called, given, frame) else None


def _wrapping(layer: OpLayer, given: list[Given], frame: Frame, span: Span) -> OpLayer | BlockLayer | None:
    body = given[0][1]
    if body is UNKNOWN:
        return None
    if not is_layer(body):
        frame.report(errors.wrong_argument(given[0][2], layer.op.name, f"takes a layer first, not {described(body)}"))
        return None
    return configure(replace(layer, body=body), given[1:], frame, span)


def _title(layer: OpLayer | BlockLayer) -> str:
    return layer.op.name if isinstance(layer, OpLayer) else layer.block.name.text


def parameter_names(layer: OpLayer | BlockLayer) -> list[str]:
    """All parameters, in order."""
    params = layer.op.params if isinstance(layer, OpLayer) else layer.block.params
    return [p.name if isinstance(p.name, str) else p.name.text for p in params]


def match(
    title: str, names: list[str], bound: dict[str, Value], given: list[Given], frame: Frame, span: Span
) -> dict[str, Value] | None:
    """`bound` with `given` added: by place into the parameters that are still open, in order; by name anywhere."""
    open_names = [name for name in names if name not in bound]
    by_place = [(value, place) for name, value, place in given if name is None]
    fine = len(by_place) <= len(open_names)
    if not fine:
        surplus = by_place[len(open_names)][1]
        frame.report(errors.too_many_arguments(surplus, title, len(names), len(bound) + len(given), names))
    taken = dict(bound)
    taken.update((name, value) for name, (value, _) in zip(open_names, by_place, strict=False))
    seen = set(open_names[: len(by_place)])
    for name, value, place in given:
        if name is None:
            continue
        if name.text not in names:
            frame.report(errors.unknown_argument(name.span, name.text, title, names))
            fine = False
        elif name.text in seen:
            frame.report(errors.argument_twice(place, name.text, title))
            fine = False
        seen.add(name.text)
        taken[name.text] = value
    return taken if fine else None


def check_op(layer: OpLayer, given: list[Given], frame: Frame, written: tuple[ast.Argument, ...] = ()) -> bool:
    """Whether each given argument suits its parameter; reported at the argument."""
    fine = True
    for param in layer.op.params:
        if param.name not in layer.bound:
            continue
        value = layer.bound[param.name]
        if value is UNKNOWN:
            fine = False
        elif not is_plain(value) or isinstance(coerce(param, value), Misfit):
            place = _place(layer, param.name, value, given)
            arithmetic = next((_arithmetic(a.value, value, frame) for a in written if a.span == place), "")
            frame.report(_unsuitable(layer, param.name, value, place, arithmetic))
            fine = False
    return fine


def _place(layer: OpLayer, name: str, value: Value, given: list[Given]) -> Span:
    by_name = [place for n, _, place in given if n is not None and n.text == name]
    by_value = [place for n, v, place in given if n is None and v is value]
    return (by_name or by_value or [layer.span])[0]


def _arithmetic(expr: ast.Expr, value: Value, frame: Frame) -> str:
    """How a number that is not whole, or too small, came about; nothing where it stands there itself."""
    return derivation(expr, value, frame) if isinstance(value, Scalar) and not isinstance(expr, ast.Number) else ""


def _unsuitable(layer: OpLayer, name: str, value: Value, span: Span, text: str) -> errors.Diagnostic:
    param = layer.op.param(name)
    assert param is not None
    if not is_plain(value):
        return errors.wrong_argument(span, layer.op.name, f"`{name}` takes {param.kind.value}, got {described(value)}")
    misfit = coerce(param, value)
    assert isinstance(misfit, Misfit)
    return errors.wrong_argument(span, layer.op.name, misfit.reason, misfit.hint, text)


def is_plain(value: Value) -> TypeIs[Plain]:
    """Whether a value can be an attribute: numbers, flags, texts, none, and lists of them."""
    if isinstance(value, tuple):
        return all(is_plain(part) for part in value)
    return value is None or isinstance(value, (Scalar, bool, str))


def op_attributes(layer: OpLayer, frame: Frame, span: Span) -> dict[str, Attr] | None:
    """All attributes of a primitive, defaults included; None where one is missing or wrong (reported)."""
    absent = missing(layer)
    if absent:
        needed = tuple(p.name for p in layer.op.params if p.required)
        frame.report(errors.missing_argument(span, layer.op.name, absent, None, needed))
        return None
    attrs: dict[str, Attr] = {}
    for param in layer.op.params:
        if param.name not in layer.bound:
            attrs[param.name] = _default(param)
            continue
        value = layer.bound[param.name]
        if value is UNKNOWN:
            return None
        found = coerce(param, value)
        if isinstance(found, Misfit):
            frame.report(errors.wrong_argument(span, layer.op.name, found.reason, found.hint))
            return None
        attrs[param.name] = found
    return attrs


@cache
def _default(param: Param) -> Attr:
    """A default as an attribute; the table of primitives has only such that are."""
    return cast(Attr, coerce(param, param.default))


def missing(layer: BlockLayer | OpLayer) -> tuple[str, ...]:
    """The parameters without a default that are still open."""
    if isinstance(layer, OpLayer):
        return tuple([p.name for p in layer.op.params if p.default is REQUIRED and p.name not in layer.bound])
    return tuple([p.name.text for p in layer.block.params if p.default is None and p.name.text not in layer.bound])


def _types_fit(layer: BlockLayer, given: list[Given], frame: Frame) -> bool:
    fine = True
    for param in layer.block.params:
        value = layer.bound.get(param.name.text, UNKNOWN)
        if param.type is None or value is UNKNOWN or has_type(value, param.type.text):
            continue
        places = [
            place for name, v, place in given if (name is not None and name.text == param.name.text) or v is value
        ]
        where = places[0] if places else layer.span
        frame.report(errors.wrong_type(where, param.name.text, param.type.text, value, param.span))
        fine = False
    return fine


def has_type(value: Value, type_name: str) -> bool:
    """Whether a value is of a declared type; an unknown type is reported where it is declared, not here."""
    if type_name == "layer":
        return is_layer(value)
    if type_name == "int":
        return isinstance(value, Scalar) and value.is_whole
    return isinstance(value, _TYPES.get(type_name, object))


_TYPES: dict[str, type] = {"number": Scalar, "bool": bool, "text": str, "list": tuple}

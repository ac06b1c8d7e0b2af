"""Block calls. A call is elaborated once for each distinct set of arguments and input sizes; inside, parameters and
input sizes are symbols, so that the graph is said in the block's own terms; the call binds them to the caller's."""

from __future__ import annotations

from typing import Any, cast, overload

from archdsl.elaborate import errors
from archdsl.elaborate.derivation import derivation
from archdsl.elaborate.evaluate import evaluate
from archdsl.elaborate.frame import Assembly, CallSite, Frame
from archdsl.elaborate.functions import bind_parameters, place_of
from archdsl.elaborate.nodes import add_node
from archdsl.elaborate.shapes import Shapes
from archdsl.elaborate.values import (
    UNKNOWN,
    BlockLayer,
    Function,
    Join,
    Layer,
    Named,
    OpLayer,
    Repeat,
    Sequence,
    Shared,
    Value,
)
from archdsl.ir.graph import Call, Extern, Graph, Node, Parameter, Wire
from archdsl.ops.op import Value as Attr
from archdsl.scalar import Scalar, fitting, has_symbols, substitute
from archdsl.source import Span
from archdsl.syntax import ast


def call_block(layer: BlockLayer, wires: tuple[Wire, ...], frame: Frame, span: Span, closed: bool) -> Value:
    """`wires -> block(...)`: a node that holds the block's graph."""
    if any(value is UNKNOWN for value in layer.bound.values()):
        return UNKNOWN
    if isinstance(layer.block, ast.ExternDecl):
        return _call_extern(layer, layer.block, wires, frame, span)
    graph = block_graph(layer, wires, frame, span, closed)
    if graph is None:
        return UNKNOWN
    if not graph.nodes and graph.open_join is None and graph.outputs == graph.inputs:
        return wires[0] if len(wires) == 1 else wires  # a block that only hands on what it is given leaves no trace
    node = _directly(call_node(graph, layer, wires, span))
    add_node(node, frame)
    if graph.open_join is not None:
        frame.assembly.open_calls[id(node)] = (layer, wires)
        return Join(graph.open_join, node.outputs, span, call=node)
    return node.outputs[0] if len(node.outputs) == 1 else node.outputs


def call_node(graph: Graph, layer: BlockLayer, wires: tuple[Wire, ...], span: Span) -> Node:
    """The application of a graph: its symbols bound, its output sizes said in the caller's terms."""
    args: dict[str, Attr] = {}
    for parameter in graph.parameters:
        args[parameter.name] = _argument(parameter, layer, wires, graph)
    bindings = {name: value.term for name, value in args.items() if isinstance(value, Scalar)}
    bindings |= {name: value for name, value in args.items() if isinstance(value, int) and not isinstance(value, bool)}
    outputs = tuple(Wire(tuple(_outside(d, bindings) for d in wire.shape), span=span) for wire in graph.outputs)
    return Node(Call(graph, args), wires, outputs, span)


def _directly(node: Node) -> Node:
    """A block that does nothing but apply one other block is that block: its call is replaced by the inner one."""
    call = cast(Call, node.what)
    only = call.graph.nodes[0] if len(call.graph.nodes) == 1 else None
    if only is None or not isinstance(only.what, Call) or only.shared or call.graph.inits or call.graph.open_join:
        return node
    if only.inputs != call.graph.inputs or only.outputs != call.graph.outputs:
        return node
    bindings = {name: value.term if isinstance(value, Scalar) else value for name, value in call.args.items()}
    args = {name: _outside_value(value, bindings) for name, value in only.what.args.items()}
    return Node(Call(only.what.graph, args), node.inputs, node.outputs, node.span)


def _outside_value(value: Attr, bindings: dict[str, Any]) -> Attr:
    return _outside(value, bindings) if isinstance(value, Scalar) else value


def _argument(parameter: Parameter, layer: BlockLayer, wires: tuple[Wire, ...], graph: Graph) -> Attr:
    """A symbol's value in the caller's terms."""
    if parameter.name in layer.bound:
        return cast(Attr, layer.bound[parameter.name])
    if parameter.kind != "dimension":
        return Scalar(parameter.value.value) if isinstance(parameter.value, Scalar) else parameter.value
    for wire, inner in zip(wires, graph.inputs, strict=True):
        for size, symbol in zip(wire.shape, inner.shape, strict=True):
            if isinstance(symbol, Scalar) and symbol.expr == parameter.name:
                return size
    return parameter.value


def _outside(dimension: int | Scalar, bindings: dict[str, Any]) -> int | Scalar:
    if not isinstance(dimension, Scalar) or dimension.expr is None:
        return dimension
    expr = fitting(substitute(dimension.expr, bindings))
    return Scalar(dimension.value, expr if expr is not None and has_symbols(expr) else None)


def close_call(node: Node, frame: Frame) -> Wire | None:
    """Replace an open call by the same block with its join made inside."""
    layer, wires = frame.assembly.open_calls[id(node)]
    graph = block_graph(layer, wires, frame, node.span, closed=True)
    if graph is None or graph.open_join is not None:
        return None
    closed = call_node(graph, layer, wires, node.span)
    node.what, node.outputs = closed.what, closed.outputs
    return node.outputs[0]


def _call_extern(layer: BlockLayer, extern: ast.ExternDecl, wires: tuple[Wire, ...], frame: Frame, span: Span) -> Value:
    inner = Frame(frame.session, layer.module, frame.assembly, {}, None, frame.site, frame.place)
    bind_parameters(extern.params, layer.bound, inner)
    shapes = Shapes(inner, extern.name.text)
    if not shapes.check_inputs(extern.contract, wires, span, frame):
        return UNKNOWN
    count = evaluate(extern.count, inner)
    made = [shapes.made(shape, span) for shape in extern.contract.outputs]
    if not isinstance(count, Scalar) or not count.is_whole or any(wire is None for wire in made):
        frame.report(errors.not_whole(extern.count.span, "a parameter count", derivation(extern.count, count, inner)))
        return UNKNOWN
    outputs = tuple(wire for wire in made if wire is not None)
    args = {p.name.text: cast(Attr, inner.names[p.name.text].value) for p in extern.params}
    add_node(Node(Extern(extern.name.text, extern.path.value, args, int(count)), wires, outputs, span), frame)
    return outputs[0] if len(outputs) == 1 else outputs


# ---- blocks -----------------------------------------------------------------------------------------------------


def block_graph(layer: BlockLayer, wires: tuple[Wire, ...], frame: Frame, span: Span, closed: bool) -> Graph | None:
    """The graph of a block for these arguments and input sizes, elaborated at most once."""
    block = cast(ast.Block, layer.block)
    key = (block, _bound_key(layer), tuple([w.values for w in wires]), closed)
    memo = frame.session.memo
    if (made := memo.get(key)) is not None:
        return made
    if key in frame.session.running:
        again = f"an `if` with a smaller argument ends it: `{block.name.text}(n - 1)`"
        frame.report(errors.endless(span, block.name.text, "is applied inside itself, with the same arguments", again))
    if not frame.session.remembers(key):
        memo[key] = None
        with frame.deeper(span), frame.running(key):
            made = memo[key] = _elaborate_block(block, layer, wires, frame, span, closed)
        if made is not None and not closed and made.open_join is None:
            memo[(*key[:3], True)] = made
    return memo[key]


def key_of(value: Value) -> object:
    """A value as a key: equal for what elaborates equally."""
    if isinstance(value, Scalar):
        return ("number", value.value.numerator, value.value.denominator)  # to hash a Fraction takes long
    if isinstance(value, tuple):
        return tuple([key_of(part) for part in value])
    if isinstance(value, OpLayer):
        return (value.op.name, _bound_key(value), key_of(value.body))
    if isinstance(value, BlockLayer):
        return (value.block, _bound_key(value))
    if isinstance(value, Sequence):
        return ("row", key_of(value.layers))
    if isinstance(value, Repeat):
        return ("repeat", key_of(value.layer), value.count.value)
    if isinstance(value, Named):
        return ("named", value.label, key_of(value.layer))
    if isinstance(value, (Shared, Function, Wire, Join)):
        return ("once", value)
    return (type(value).__name__, value)


def _bound_key(layer: OpLayer | BlockLayer) -> object:
    return tuple([(name, key_of(value)) for name, value in layer.bound.items()])


def _elaborate_block(
    block: ast.Block, layer: BlockLayer, wires: tuple[Wire, ...], frame: Frame, span: Span, closed: bool
) -> Graph | None:
    site = CallSite(frame, span, block.name.text, "block", place_of(frame))
    inner = Frame(frame.session, layer.module, Assembly(), {}, None, site)
    bind_parameters(block.params, {name: _inside(name, value) for name, value in layer.bound.items()}, inner)
    if any(binding.value is UNKNOWN for binding in inner.names.values()):
        return None
    _symbols_for_defaults(block, inner)
    from archdsl.elaborate.bodies import Body

    body = Body(block, inner, closed)
    return body.run(wires, frame, span)


def _inside(name: str, value: Value) -> Value:
    """An argument as the block sees it: a number becomes the parameter's symbol, anything else a plain constant."""
    return Scalar(value.value, name) if isinstance(value, Scalar) else _without_symbols(value)


@overload
def _without_symbols(value: Layer) -> Layer: ...
@overload
def _without_symbols(value: Value) -> Value: ...
def _without_symbols(value: Value) -> Value:
    """A value without the caller's symbols, which mean nothing inside."""
    if isinstance(value, Scalar):
        return Scalar(value.value)
    if isinstance(value, tuple):
        return tuple(_without_symbols(part) for part in value)
    if isinstance(value, OpLayer):
        body = None if value.body is None else _without_symbols(value.body)
        return OpLayer(value.op, {k: _without_symbols(v) for k, v in value.bound.items()}, value.span, body)
    if isinstance(value, BlockLayer):
        bound = {k: _without_symbols(v) for k, v in value.bound.items()}
        return BlockLayer(value.block, value.module, bound, value.span)
    if isinstance(value, Sequence):
        layers = tuple(_without_symbols(part) for part in value.layers)
        return Sequence(layers, value.span, value.label, value.grouped)
    if isinstance(value, Repeat):
        return Repeat(_without_symbols(value.layer), Scalar(value.count.value), value.span)
    return Named(_without_symbols(value.layer), value.label, value.span) if isinstance(value, Named) else value


def _symbols_for_defaults(block: ast.Block, inner: Frame) -> None:
    """A constant default is a symbol too; one that depends on other parameters stays said in their terms."""
    for param in block.params:
        binding = inner.names.get(param.name.text)
        if binding is not None and isinstance(binding.value, Scalar) and binding.value.expr is None:
            binding.value = Scalar(binding.value.value, param.name.text)
